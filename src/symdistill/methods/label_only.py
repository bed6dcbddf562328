"""`label-only`: the student learns q → a from gold answers and never sees a rationale.

The baseline of every paper here. The answer stands in the cue sentence that all methods end in, so one parser reads
them all and the cost of an answer is that sentence.
"""

from __future__ import annotations

from symdistill.errors import DataError
from symdistill.methods.base import Material, Method
from symdistill.prompts import cue
from symdistill.records import TrainingExample


class LabelOnly(Method):
    """CE(a) on every training question that has an answer."""

    needs = "answers"

    def training_examples(self, material: Material) -> list[TrainingExample]:
        labelled = [e for e in material.examples if e.answer is not None]
        if not labelled:
            raise DataError(
                "label-only needs answers, and no training question has one.",
                "Add an `answer` column (or map it in `task.columns`), or drop label-only.",
            )
        return [TrainingExample(e.id, self.prompt(e), cue(e.answer)) for e in labelled if e.answer is not None]
