"""`few-shot`: the untrained student with worked examples in its prompt (q + e → r, a)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pydantic import PositiveInt

from symdistill.curation.completion import final_completion
from symdistill.errors import ConfigError
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.prompts import Demonstration, demonstrations_for, question_text, teacher_messages
from symdistill.records import Example, Message, TrainingExample


class FewShotSettings(MethodSettings):
    """What the prompt shows."""

    shots: PositiveInt = 3
    """Examples in a prompt: the teacher's demonstrations where there are any, else kept rationales."""


class FewShot(Method):
    """The examples of a task are the same for all its questions: hand-written demonstrations, or a seeded draw of
    `shots` training questions with a kept rationale. Test questions are never drawn from."""

    settings_type = FewShotSettings
    settings: FewShotSettings
    trains = False

    def __init__(self, settings: FewShotSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self._shown: Sequence[Demonstration] = ()

    def training_examples(self, material: Material) -> list[TrainingExample]:
        return []

    def prepare(self, material: Material) -> None:
        self._shown = material.demonstrations or self._draw(material)
        if not self._shown:
            raise ConfigError(
                "few-shot has no examples to show: no demonstrations and no kept rationale.",
                "Name a file in `teacher.demonstrations`, or sample a teacher.",
            )

    def _draw(self, material: Material) -> list[Demonstration]:
        by_id = {e.id: e for e in material.examples}
        first = {r.example_id: r for r in reversed(material.rationales)}
        drawn: list[Demonstration] = []
        for task in sorted({r.task for r in first.values()}):
            pool = sorted(r.example_id for r in first.values() if r.task == task)
            for chosen in random.Random(f"{material.seed}:{task}").sample(pool, min(self.settings.shots, len(pool))):
                shown = question_text(by_id[chosen])
                drawn.append(Demonstration(shown, final_completion(first[chosen]), task))
        return drawn

    def prompt(self, example: Example) -> tuple[Message, ...]:
        return self.prompt_with(example, "")

    def prompt_with(self, example: Example, knowledge: str) -> tuple[Message, ...]:
        shown = demonstrations_for(example, self._shown)[: self.settings.shots]
        return teacher_messages(example, demonstrations=shown, knowledge=knowledge)
