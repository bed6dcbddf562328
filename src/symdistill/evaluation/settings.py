"""The `evaluation` section."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveInt

from symdistill.settings import Settings


class EvaluationSettings(Settings):
    """How answers are drawn on the held-out questions. Nothing is tuned on them.

    Greedy decoding always; with `self_consistency` N above 1 also the majority vote of N samples.
    """

    greedy: bool = True
    self_consistency: PositiveInt | None = None
    temperature: NonNegativeFloat = 0.7
    max_new_tokens: PositiveInt = 256
    confidence: float = Field(default=0.95, gt=0, lt=1)
    limit: PositiveInt | None = None
    teacher: bool = False
    """Also ask the teacher, once and greedily: the line to reach, and its chain beside the student's in the report."""
