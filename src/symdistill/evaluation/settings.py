"""The `evaluation` section."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from symdistill.settings import Settings


class EvaluationSettings(Settings):
    """How answers are drawn on the held-out questions. Nothing is tuned on them."""

    greedy: bool = True
    """One greedy reply to each question; `false` leaves it out where there is a vote."""
    self_consistency: PositiveInt | None = None
    """Samples that vote on each answer. None: as many as the method's paper has, which for most is no vote; nor is 1
    one."""
    temperature: NonNegativeFloat = 0.7
    """Of the samples that vote."""
    max_new_tokens: PositiveInt = 256
    """Tokens of a reply at most."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Of all intervals: 0.95 for 95%."""
    limit: PositiveInt | None = None
    """At most so many held-out questions, the first ones."""
    teacher: bool = False
    """Also ask the teacher, once and greedily: the line to reach, and its chain beside the student's in the report."""

    @model_validator(mode="after")
    def _votes_differ(self) -> EvaluationSettings:
        if self.temperature == 0 and (self.self_consistency or 0) > 1:
            raise ValueError("`self_consistency` above 1 at `temperature` 0 would have one reply vote with itself")
        return self
