"""`tree`: a shallow decision tree over the teacher's answers to yes/no questions, by CART.

Depth is chosen by cross-validation on the training inputs (`knowledge.trees.fitting`). It decides about every input;
an answer nobody could read counts as no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation
from symdistill.knowledge.trees.fitting import fit_tree, require_scikit_learn
from symdistill.knowledge.trees.settings import FitSettings
from symdistill.methods.symbolic import Distilled, Symbolic, SymbolicSettings


class TreeSettings(SymbolicSettings, FitSettings):
    """The tree; its keys are options of `symdistill trees fit`."""

    name: Literal["tree"] = "tree"


class TreeMethod(Symbolic):
    """A tree over the answers."""

    settings_type = TreeSettings
    settings: TreeSettings

    def fit(
        self,
        rows: Sequence[Observation],
        features: Sequence[str],
        questions: Mapping[str, str],
        seed: int,
        proposed: RuleSet | None,
    ) -> Distilled:
        tree = fit_tree(rows, features, questions, self.settings, seed=seed).tree
        return Distilled(tree.rules(), tree, rows)

    def check(self) -> None:
        require_scikit_learn()
