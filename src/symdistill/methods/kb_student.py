"""`kb-student`: the student learns what a tree or rules say about the training questions.

The survey's question (arXiv 2408.10210): is a student that learns from distilled knowledge as good as one that learns
from the data? `learn: explanations` is q → the questions that led to the decision, each with its answer, and the
decision; `learn: labels` is q → the decision. Either way it reads the question alone when it is asked, so that it has
to find the answers to the questions itself; the prompt is that of `label-only` and `std-cot`.

`flip` is for the edit response: the rule that decides the `flip`-th most training inputs says another label before the
student learns. Beside the same method without `flip` the report shows whether the student's answers follow the edit,
and whether they stay elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator

from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.rules import RulesMethod, RulesSettings
from symdistill.methods.symbolic import Symbolic
from symdistill.methods.tree import TreeMethod, TreeSettings
from symdistill.prompts import cue
from symdistill.records import TrainingExample

_A_SOURCE = "`tree`, `rules` or a group of keys with `name`"


class KbStudentSettings(MethodSettings):
    """What is learned from."""

    source: Annotated[TreeSettings | RulesSettings, Field(discriminator="name", description=_A_SOURCE)] = TreeSettings()
    """`tree` or `rules`, or the entry of such a method with its keys."""
    learn: Literal["explanations", "labels"] = "explanations"
    """`explanations`: the questions that led to a decision, with their answers, before it; `labels`: the decision
    alone."""
    flip: PositiveInt | None = None
    """With N the rule that decides the N-th most training inputs says another label before the student learns; the
    report then shows whether the student follows."""

    @field_validator("source", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """`source: rules` means `source: {name: rules}`."""
        if isinstance(value, str):
            return {"name": value}
        return {"name": "tree", **value} if isinstance(value, Mapping) else value


class KbStudent(Method):
    """CE on what the knowledge says about a question."""

    settings_type = KbStudentSettings
    settings: KbStudentSettings

    def __init__(self, settings: KbStudentSettings, *, student_instruction: str = "") -> None:
        super().__init__(settings, student_instruction=student_instruction)
        self.needs = self.source.needs

    @property
    def source(self) -> Symbolic:
        """Whose decisions are learned."""
        settings = self.settings.source
        return TreeMethod(settings) if isinstance(settings, TreeSettings) else RulesMethod(settings)

    @property
    def verify(self) -> bool:
        return False

    def training_examples(self, material: Material) -> list[TrainingExample]:
        found = []
        for example in material.examples:
            lesson = material.lessons.get(example.id)
            if lesson is not None:
                why = lesson.reasons if self.settings.learn == "explanations" else ""
                found.append(TrainingExample(example.id, self.prompt(example), f"{why} {cue(lesson.label)}".lstrip()))
        return found
