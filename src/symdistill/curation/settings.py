"""The `curation` section."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from symdistill.settings import Settings

Selection = Literal["all", "random", "diversity", "likelihood", "open-endedness"]


class CurationSettings(Settings):
    """Which of the teacher's replies the student is to learn."""

    verify: bool | None = None
    """Drop replies whose answer is wrong. None: the method's own choice, which is to drop them, but for SCoTD's
    few-shot setting and for labels that are the teacher's."""
    rationale_from: Literal["reply", "reasoning", "both"] = "reply"
    """Which part of a reasoning model's reply is learned; the answer is always read from the reply."""
    check_steps: Literal["off", "drop"] = "off"
    """`drop`: leave out replies with an equation that does not hold (curation/steps.py), whatever their answer."""
    near_duplicates: float = Field(default=0.9, gt=0, le=1)
    """Replies to one question whose word 3-gram Jaccard similarity reaches this are one; 1 switches it off."""
    select: Selection = "all"
    """SCoTD's choice of samples at `budget` rationales a question; `all` keeps every one."""
    budget: PositiveInt = 5
    """Rationales kept of a question (on average, for open-endedness); without effect on `select: all`."""
    seed: int | None = None
    """Of what `select` draws at random; None: the run's seed."""
    embedding_model: Path | None = None
    """A sentence-transformers directory for `select: diversity`; None: TF-IDF of the words, nothing to download."""
    min_words: int = Field(default=1, ge=0)
    """Words a rationale has at least; what has fewer is dropped."""
    max_words: PositiveInt | None = None
    """Words a rationale has at most; what has more is dropped."""

    @field_validator("check_steps", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false."""
        return "off" if value is False else value

    @model_validator(mode="after")
    def _words_leave_room(self) -> CurationSettings:
        if self.max_words is not None and self.max_words < self.min_words:
            raise ValueError(f"max_words ({self.max_words}) is below min_words ({self.min_words})")
        return self
