"""`label-only`: the student learns q → a and never sees a rationale.

The baseline of every paper here. The answer stands in the cue sentence that all methods end in, so one parser reads
them all and the cost of an answer is that sentence. `labels: teacher` learns the answers the teacher gave, right or
wrong (its commonest where it was asked several times), and no gold answer: what is kept of the teacher without its
reasons.
"""

from __future__ import annotations

from typing import Literal

from symdistill.errors import DataError
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.taught import taught_answers
from symdistill.prompts import cue
from symdistill.records import TrainingExample


class LabelOnlySettings(MethodSettings):
    """Whose answers are learned."""

    labels: Literal["gold", "teacher"] = "gold"
    """Whose answers are learned; the teacher's are learned right or wrong."""


class LabelOnly(Method):
    """CE(a) on every training question that has an answer."""

    settings_type = LabelOnlySettings
    settings: LabelOnlySettings

    def __init__(self, settings: LabelOnlySettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self.needs = "rationales" if settings.labels == "teacher" else "answers"

    @property
    def verify(self) -> bool:
        """A wrong answer of the teacher is an answer of the teacher."""
        return self.settings.labels == "gold"

    def training_examples(self, material: Material) -> list[TrainingExample]:
        if self.settings.labels == "teacher":
            taught = taught_answers(material.examples, material.rationales)
            return [
                TrainingExample(e.id, self.prompt(e), cue(taught[e.id])) for e in material.examples if e.id in taught
            ]
        labelled = [e for e in material.examples if e.answer is not None]
        if not labelled:
            raise DataError(
                "label-only needs answers, and no training question has one.",
                "Add an `answer` column (or map it in `task.columns`), or drop label-only.",
            )
        return [TrainingExample(e.id, self.prompt(e), cue(e.answer)) for e in labelled if e.answer is not None]
