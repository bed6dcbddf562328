"""The keys of a gate: when a trained student is given knowledge, and how that is found out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from symdistill.settings import Settings

GateMode = Literal["confidence", "always", "never"]
Threshold = Annotated[float, Field(ge=0, le=100)] | Literal["calibrated"]
Rule = Literal["best", "cheapest"]
GATE_TEMPERATURE = 0.6


class GateSettings(Settings):
    """The gate of NesyCD for the student of any method. Its threshold is calibrated on questions
    that are cut from train, and that the student has not learned from, whatever the mode: so students of one method
    with different modes are the same student."""

    mode: GateMode = "confidence"
    """When knowledge stands before a question: where the student is unsure, always, or never."""
    threshold: Threshold = "calibrated"
    """Confidence, 0 to 100, above which the student answers directly."""
    temperature: PositiveFloat = GATE_TEMPERATURE
    """At which the student's confidence is read."""
    rule: Rule = "best"
    """The calibrated threshold: that of the best dev accuracy, or the cheapest that loses less than `within`."""
    within: NonNegativeFloat = 0.01
    """Dev accuracy that the cheapest threshold may lose."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of each task's labelled training questions kept apart to calibrate the gate and measure the items."""
