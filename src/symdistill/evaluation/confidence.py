"""How sure a student was of a reply, read from its first tokens: the scores a gate can decide by.

All scores look at the first `GATE_TOKENS` steps, the ones a gate sees before it decides; a reply that ends sooner is
judged by the steps it has, its end token included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice

from symdistill.evaluation.voting import majority
from symdistill.records import GATE_TOKENS, AnswerType

# Probabilities come from 32-bit sums and may pass 1 by a little.
_ROUNDING = 1e-3

MAX_ENTROPY = math.log(3)
"""The largest value of `entropy_of`, in nats: three equal shares."""


def margin_of(top_two: Sequence[tuple[float, float]], first: int = GATE_TOKENS) -> float:
    """The mean of 100·|p1 - p2| over the first steps, 0 to 100 (NesyCD, arXiv 2409.13203): the gate's score.

    `top_two` holds the two largest probabilities of each step, as in `Completion.top_two`.

    Raises:
        ValueError: there is no step, or a pair is no pair of probabilities.
    """
    margins = [100 * abs(p1 - p2) for p1, p2 in _pairs(top_two, first)]
    return min(100.0, sum(margins) / len(margins))


def entropy_of(top_two: Sequence[tuple[float, float]], first: int = GATE_TOKENS) -> float:
    """The mean entropy of {p1, p2, the rest} over the first steps, in nats, 0 to `MAX_ENTROPY`.

    Three shares are all that is kept of a step; splitting up the rest would only add to the entropy, so this is a lower
    bound of the entropy over the whole vocabulary.

    Raises:
        ValueError: as for `margin_of`.
    """
    steps = [-sum(p * math.log(p) for p in (p1, p2, 1.0 - p1 - p2) if p > 0) for p1, p2 in _pairs(top_two, first)]
    return min(MAX_ENTROPY, max(0.0, sum(steps) / len(steps)))


def probability_of(token_logprobs: Sequence[float], first: int = GATE_TOKENS) -> float:
    """The probability of the first tokens together, as the geometric mean a token, 0 to 1.

    Without the mean a reply that ends sooner would look surer for being short. Logarithms are natural.

    Raises:
        ValueError: there is no token, or a value is no log-probability.
    """
    values = list(islice(token_logprobs, first))
    if not values:
        raise ValueError("a reply without tokens has no probability")
    # `not <=` also catches NaN.
    if not all(v <= _ROUNDING for v in values):
        raise ValueError(f"log-probabilities are at most 0, not {max(values, key=lambda v: (math.isnan(v), v))}")
    return min(1.0, math.exp(sum(values) / len(values)))


def agreement_of(
    answers: Sequence[str | None], answer_type: AnswerType = "text", choices: Mapping[str, str] | None = None
) -> float:
    """The share of all sampled replies that give the answer most of them give, 0 to 1; 0 where none has an answer.

    Raises:
        ValueError: there is no reply.
    """
    if not answers:
        raise ValueError("no replies can neither agree nor disagree")
    return majority(answers, answer_type, choices).votes / len(answers)


def _pairs(top_two: Sequence[tuple[float, float]], first: int) -> list[tuple[float, float]]:
    pairs = list(islice(top_two, first))
    if not pairs:
        raise ValueError("a reply without steps has no confidence")
    for p1, p2 in pairs:
        if not (p1 >= 0 and p2 >= 0 and p1 + p2 <= 1 + _ROUNDING):
            raise ValueError(f"{p1} and {p2} are not the two largest probabilities of a step")
    return pairs
