"""What `tree` and `rules` have in common: knowledge that people read decides, and no student is asked.

A teacher answers yes/no questions about every input (`features`), and something short is fitted to the answers of the
training inputs: to the teacher's labels for them (`labels: teacher`, so that all that is known comes from the teacher;
it is then shown no gold answer when it is asked for questions, unless `features.show_answers` says so) or to the gold
ones. It is the survey's distilled knowledge base as a classifier (arXiv 2408.10210). About a held-out
input the teacher has to answer the questions too: the tokens of these answers are what a decision costs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, in_split, names_of
from symdistill.knowledge.trees.tree import Tree
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.taught import taught_answers
from symdistill.records import TrainingExample


class SymbolicSettings(MethodSettings):
    """What `tree` and `rules` share."""

    labels: Literal["teacher", "gold"] = "teacher"
    """Whose labels the knowledge is fitted to."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """The rules, the tree whose leaves they are, if there is one, and the training inputs with the labels they were
    fitted to."""

    rules: RuleSet
    tree: Tree | None
    rows: Sequence[Observation]


class Symbolic(Method):
    """A method that answers by knowledge alone."""

    settings: SymbolicSettings
    trains = False
    asks_student = False

    def __init__(self, settings: SymbolicSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self.needs = "rationales" if settings.labels == "teacher" else "answers"

    @property
    def verify(self) -> bool:
        """A wrong label of the teacher is a label of the teacher."""
        return False

    def training_examples(self, material: Material) -> list[TrainingExample]:
        return []

    def distil(
        self,
        table: Sequence[Observation],
        questions: Mapping[str, str],
        material: Material,
        proposed: RuleSet | None = None,
    ) -> Distilled:
        """Fit the training inputs of a table of answers. `proposed` are rules the teacher wrote, where it was asked.

        Raises:
            PrerequisiteError: what learns is not installed. DataError: there are not two labels, or no feature.
        """
        train = in_split(table, "train")
        if self.settings.labels == "teacher":
            taught = taught_answers(material.examples, material.rationales)
            train = [replace(one, label=taught.get(one.example_id)) for one in train]
        return self.fit(train, names_of(table), questions, material.seed, proposed)

    @abstractmethod
    def fit(
        self,
        rows: Sequence[Observation],
        features: Sequence[str],
        questions: Mapping[str, str],
        seed: int,
        proposed: RuleSet | None,
    ) -> Distilled:
        """Fit labelled inputs."""

    @abstractmethod
    def check(self) -> None:
        """Raises PrerequisiteError where a package is missing that fitting needs."""
