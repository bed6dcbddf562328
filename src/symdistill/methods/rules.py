"""`rules`: IF-THEN rules over the teacher's answers to yes/no questions, and a default.

`by: ripper` learns them from the training inputs, `by: teacher` has the teacher write them over the same questions and
measures them there. Either way what earns nothing on the training inputs is taken away (`knowledge.rules.simplify`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from symdistill.errors import DataError
from symdistill.knowledge.rules.decisions import measured
from symdistill.knowledge.rules.learning import LearningSettings, learn_rules, require_wittgenstein
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, require_labels
from symdistill.knowledge.rules.simplify import pruned
from symdistill.methods.symbolic import Distilled, Symbolic, SymbolicSettings


class RulesSettings(SymbolicSettings, LearningSettings):
    """The rules; most keys are options of `symdistill rules learn`."""

    name: Literal["rules"] = "rules"
    by: Literal["ripper", "teacher"] = "ripper"
    """Who finds the rules: RIPPER, which the keys above but `labels` are about, or the teacher."""


class RulesMethod(Symbolic):
    """Rules over the answers."""

    settings_type = RulesSettings
    settings: RulesSettings

    def fit(
        self,
        rows: Sequence[Observation],
        features: Sequence[str],
        questions: Mapping[str, str],
        seed: int,
        proposed: RuleSet | None,
    ) -> Distilled:
        if self.settings.by == "ripper":
            found = learn_rules(rows, features, questions, self.settings, seed=seed)
        elif proposed is None:
            raise DataError(f"{self.label} uses a teacher's rules, and there are none yet.", "Run the whole run first.")
        else:
            commonest = require_labels(rows, "The training part of the table")[0]
            known = [rule for rule in proposed.rules if {one.predicate for one in rule.body} <= set(features)]
            found = measured(RuleSet(tuple(known), proposed.target, commonest, dict(questions)), rows)
        return Distilled(pruned(found, rows).rules, None, rows)

    def check(self) -> None:
        if self.settings.by == "ripper":
            require_wittgenstein()
