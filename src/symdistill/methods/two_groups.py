"""What `mt-cot`, `step-by-step` and `cascod` share: a group of rationales, a group of answers, and their weights.

Each group's loss is the token mean over its examples in the step, so the weights mean what they say whatever the
lengths. Examples about one question come in the same step. The answers are the gold ones; a weight of 0 leaves its
group out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from pydantic import PositiveInt

from symdistill.errors import DataError
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.std_cot import first_samples
from symdistill.prompts import student_messages
from symdistill.records import Example, Message, Rationale, TrainingExample

RATIONALE, ANSWER = "rationale", "answer"


class TwoGroupsSettings(MethodSettings):
    """What the methods with two groups of examples share."""

    samples: PositiveInt = 1
    """Rationales of a question at most, the first by sample index."""


class TwoGroups(Method):
    """`group_weights` names both groups. A prefix, where there is one, stands right before the question."""

    settings_type = TwoGroupsSettings
    settings: TwoGroupsSettings
    learns_answers = True
    rationale_prefix: ClassVar[str] = ""
    answer_prefix: ClassVar[str] = ""

    @abstractmethod
    def about(self, example: Example, rationales: Sequence[Rationale]) -> list[TrainingExample]:
        """The examples of both groups about one question, with its kept rationales."""

    def training_examples(self, material: Material) -> list[TrainingExample]:
        """Raises DataError where a group that weighs something has no example."""
        chosen: defaultdict[str, list[Rationale]] = defaultdict(list)
        for rationale in first_samples(material.rationales, self.settings.samples):
            chosen[rationale.example_id].append(rationale)
        wanted = {group for group, weight in self.group_weights.items() if weight}
        about = (example for question in material.examples for example in self.about(question, chosen[question.id]))
        found = [example for example in about if example.group in wanted]
        missing = wanted - {example.group for example in found}
        if ANSWER in missing and all(question.answer is None for question in material.examples):
            raise DataError(
                f"{self.label} learns from answers, and no training question has one.",
                "Map the column in `task.columns`, or leave this method out.",
            )
        if missing:
            raise DataError(
                f"{self.label} has no rationale to learn from: curation kept none with steps before its answer.",
                "See dropped.jsonl in the run directory for the reasons, and `curation` for the settings.",
            )
        return found

    def prompt(self, example: Example) -> tuple[Message, ...]:
        """What stands before an answer: the only prompt at inference."""
        return self.prompt_with(example, "")

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        return self._task(self.answer_prefix, example, knowledge)

    def rationale_prompt(self, example: Example) -> tuple[Message, ...]:
        """What stands before a rationale."""
        return self._task(self.rationale_prefix, example)

    def _task(self, prefix: str, example: Example, knowledge: str = "") -> tuple[Message, ...]:
        return student_messages(example, instruction=self.student_instruction, knowledge=knowledge, task=prefix)
