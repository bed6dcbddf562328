"""The gated reward of one reply: style is worth something on a right answer, and nothing on a wrong one.

    R = verified·(1 + w_c·critic + w_r·rationale) − w_f·format_error − w_k·kb_contradiction

Every part is between 0 and 1. `verified` is the answer check of `tasks`, `rationale` the share of the reply's equations
that hold (`step_share`; 0 where none can be judged), `format_error` 1 where no answer can be read or the reply was cut.
`critic` and `kb_contradiction` are scorers that are given, or 0.

Why a wrong answer never wins: with verified = 0 nothing is left but what is taken away, so R ≤ 0; with verified = 1,
R ≥ 1 − (w_f + w_k), which is above 0 because settings with w_f + w_k ≥ 1 are refused.

`only: critic` takes the gate away, R = critic: a wrong reply that the critic likes beats a right one. It is the control
of the gate, there to be hacked, and runs only beside the arm that it is the control of (`runs.optimising`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from symdistill.curation.arithmetic_tokens import tokens
from symdistill.curation.pairs import numbers
from symdistill.curation.steps import Equation, check_steps
from symdistill.records import Example, Rationale
from symdistill.settings import Settings

_NEUTRAL = frozenset({"0", "1"})

Scorer = Callable[[Example, Rationale], float]
"""How much a reply to a question has of something, from 0 to 1."""


class RewardSettings(Settings):
    """The weights: w_r, w_c, w_f and w_k. `only` has none: it is the control without a gate."""

    rationale: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Added to a right answer, times the share of the reply's equations that hold."""
    critic: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Added to a right answer, times what the critic says."""
    format_error: float = Field(default=0.2, ge=0, lt=1, allow_inf_nan=False)
    """Taken away where no answer can be read or the reply was cut."""
    kb_contradiction: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)
    """Taken away where the reply contradicts `graph`."""
    only: Literal["critic"] | None = None
    """Dangerous: the critic's word is the whole reward, whether a reply is right or wrong."""

    @model_validator(mode="after")
    def _nothing_beside_the_only_one(self) -> RewardSettings:
        fields = type(self).model_fields
        named = [name for name in fields if name != "only" and getattr(self, name) != fields[name].default]
        if self.only and named:
            raise ValueError(f"`only: {self.only}` is the whole reward, and {named[0]} has no meaning beside it")
        return self

    @model_validator(mode="after")
    def _a_right_answer_stays_ahead(self) -> RewardSettings:
        if self.format_error + self.kb_contradiction >= 1:
            raise ValueError(
                f"format_error and kb_contradiction take away {self.format_error + self.kb_contradiction:g} together, "
                "and a right answer is worth 1: less is needed, or a wrong one could score as high"
            )
        return self

    @property
    def highest(self) -> float:
        """What a faultless reply scores."""
        if self.only:
            return 1.0
        return 1 + (self.critic + self.rationale)  # added as `reward` adds: a threshold of this much can be reached


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known of one reply. Values outside 0 to 1 count as the nearer end."""

    verified: bool
    rationale: float = 0.0
    format_error: float = 0.0
    critic: float = 0.0
    kb_contradiction: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply of the student with its reward. `rationale.correct` is the verdict on its answer; where the reward is not
    `gated`, a wrong reply may be learned too."""

    rationale: Rationale
    parts: Parts
    reward: float
    gated: bool = True


@dataclass(frozen=True, slots=True)
class Scorers:
    """What can judge a reply beside the answer and its steps; None where a run has no such thing."""

    critic: Scorer | None = None
    kb_contradiction: Scorer | None = None
    checkable: Callable[[Rationale], bool] | None = None
    """Whether the graph behind `kb_contradiction` can check anything a reply says."""
    ahead: Callable[[Sequence[tuple[Example, Rationale]]], None] | None = None
    """Told which replies will be judged, so that they can be scored together."""


def reward(parts: Parts, weights: RewardSettings) -> float:
    """R, between −(w_f + w_k) and `weights.highest`; of the control the critic's share."""
    if weights.only:
        return _share(parts.critic)
    style = weights.critic * _share(parts.critic) + weights.rationale * _share(parts.rationale)
    taken = weights.format_error * _share(parts.format_error)
    taken += weights.kb_contradiction * _share(parts.kb_contradiction)
    return (1 + style if parts.verified else 0.0) - taken


def judge(example: Example, rationale: Rationale, weights: RewardSettings, scorers: Scorers = Scorers()) -> Judged:
    """One reply to a question with a gold answer, judged. A scorer without weight is not asked."""
    parts = Parts(
        verified=rationale.correct is True,
        rationale=step_share(example, rationale.text),
        format_error=float(rationale.answer is None or rationale.truncated),
        critic=scorers.critic(example, rationale) if scorers.critic and (weights.critic or weights.only) else 0.0,
        kb_contradiction=scorers.kb_contradiction(example, rationale)
        if scorers.kb_contradiction and weights.kb_contradiction
        else 0.0,
    )
    return Judged(rationale, parts, reward(parts, weights), gated=not weights.only)


def step_share(example: Example, text: str) -> float:
    """The share of a reply's equations that hold (`curation.steps`); 0 where none counts.

    One that holds counts where it computes something from a number of the question, of another choice than the gold
    one, or from the result of an equation that counted before it. "1 = 1" is true and no step, and neither is
    "7 + 8 = 15" where nothing is about these, nor is "4 + 1 = 5" from an answer that is known already. One that does
    not hold always counts.
    """
    choices = {letter: text for letter, text in (example.choices or {}).items() if letter != example.answer}
    known = numbers(" ".join((example.question, *choices.values())))
    right = wrong = 0
    for equation in check_steps(text).equations:
        wrong += not equation.holds
        worked, result = _from_and_to(equation)
        if equation.holds and _computes(worked, result) and numbers(worked) & known:
            right += 1
            known |= numbers(result)
    return right / (right + wrong) if right else 0.0


def _from_and_to(equation: Equation) -> tuple[str, str]:
    """The side that computes, and the other one: in 12 = 3 * 4 the second is it."""
    left, right = equation.sides
    return (right, left) if len(_values(left)) == 1 < len(_values(right)) else (left, right)


def _computes(worked: str, result: str) -> bool:
    """Whether an equation does more than repeat a number: 12 * 1 = 12 does not, nor does 5 + 7 - 7 = 5, where all that
    stands beside the result stands there twice. 0 + 1 = 1 computes."""
    left, right = numbers(worked), numbers(result)
    if left <= _NEUTRAL:
        return left == _NEUTRAL or not right <= left
    said = Counter(_values(worked))
    shown = _values(result)
    if len(shown) == 1 and said[shown[0]]:
        beside = said - Counter(shown)
        if all(count % 2 == 0 for value, count in beside.items() if value not in (0, 1)):
            return False
    return not left - _NEUTRAL <= right


def _values(side: str) -> list[Fraction]:
    return [token.value for token in tokens(side) if token.kind == "number" and token.value is not None]


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
