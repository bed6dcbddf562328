"""`zero-shot`: the untrained student, asked to reason step by step. The floor every other method is read against."""

from __future__ import annotations

from symdistill.methods.base import Material, Method
from symdistill.prompts import teacher_messages
from symdistill.records import Example, Message, TrainingExample


class ZeroShot(Method):
    """q → r, a with the wording the teacher gets: an untrained model has to be told about the closing cue."""

    trains = False
    needs = "nothing"

    def training_examples(self, material: Material) -> list[TrainingExample]:
        return []

    def prompt(self, example: Example) -> tuple[Message, ...]:
        return teacher_messages(example)

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        return teacher_messages(example, knowledge=knowledge)
