"""Intervals and tests for shares of right answers, and for two methods asked the same questions.

Everything here is for verdicts (right or wrong), one a question. Shares are between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from symdistill.evaluation.student_t import t_quantile


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """Whether two methods differ on the same questions.

    Only the questions that exactly one of them got right say anything: `only_first` and `only_second` count them.
    `p` is exact (two-sided binomial) and keeps its promise at any n; `p_mid` is the mid-p variant, less cautious.
    """

    only_first: int
    only_second: int
    p: float
    p_mid: float

    @property
    def p_first_ahead(self) -> float:
        """How often chance alone would put the first so far ahead (one-sided, exact); 1 where it is not ahead."""
        return self.p / 2 if self.only_first > self.only_second else 1.0


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Accuracy of the first minus accuracy of the second on the same questions, with its bootstrap interval."""

    difference: float
    low: float
    high: float


def wilson(correct: float, n: float, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of `correct` out of `n`. Nothing observed (n = 0) says nothing: 0 to 1.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927); no continuity
    correction.

    Raises:
        ValueError: `correct` is not between 0 and `n`, or `confidence` not between 0 and 1.
    """
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} right out of {n} questions is impossible")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    margin = z / scale * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    # At the ends the formula gives 0 and 1 up to rounding: say so exactly.
    low = 0.0 if correct == 0 else max(0.0, centre - margin)
    high = 1.0 if correct == n else min(1.0, centre + margin)
    return Interval(low, high)


def wilson_of_groups(verdicts: Sequence[bool], groups: Sequence[str], confidence: float = 0.95) -> Interval:
    """The interval of the share of right ones where verdicts of one group may be alike (outputs about one input).

    Wilson's, of as many verdicts as would say as much if they were independent: n by the design effect, which the
    variance between groups gives, with the t quantile of the groups (Korn and Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24
    (1998), with Wilson's interval for theirs). Where all verdicts are the same, a group counts as one: never a point.
    One verdict a group, or nothing observed: `wilson`.

    Raises:
        ValueError: `groups` does not name one for each verdict, or `confidence` is not between 0 and 1.
    """
    if len(verdicts) != len(groups):
        raise ValueError(f"{len(verdicts)} verdicts and {len(groups)} groups")
    names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    n, found = len(verdicts), len(names)
    if found == n:
        return wilson(sum(verdicts), n, confidence)
    places = [names[name] for name in groups]
    right, sizes = np.bincount(places, weights=np.asarray(verdicts, float)), np.bincount(places)
    share = float(right.sum()) / n
    if share in (0.0, 1.0) or found == 1:
        return wilson(share * found, found, confidence)
    variance = found / (found - 1) * float(((right - share * sizes) ** 2).sum()) / n**2
    narrower = NormalDist().inv_cdf(0.5 + confidence / 2) / t_quantile(confidence, found - 1)
    independent = min(n, share * (1 - share) / variance if variance else n) * narrower**2
    return wilson(share * independent, independent, confidence)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """McNemar's test on paired verdicts: `first[i]` and `second[i]` are about the same question.

    McNemar, Psychometrika 12 (1947), with exact binomial probabilities; mid-p after Fagerland, Lydersen and Laake,
    BMC Medical Research Methodology 13:91 (2013).

    Raises:
        ValueError: the sequences differ in length.
    """
    _same_length(first, second)
    only_first = sum(1 for a, b in zip(first, second, strict=True) if a and not b)
    only_second = sum(1 for a, b in zip(first, second, strict=True) if b and not a)
    disagreements = only_first + only_second
    fewer = min(only_first, only_second)
    # Whole numbers, so that thousands of disagreements neither overflow nor round to zero on the way.
    term = tail = 1
    for k in range(fewer):
        term = term * (disagreements - k) // (k + 1)
        tail += term
    outcomes = 1 << disagreements
    exact = min(1.0, 2 * tail / outcomes)
    mid = min(1.0, (2 * tail - term) / outcomes)
    return McNemar(only_first, only_second, exact, mid)


def paired_difference(
    first: Sequence[bool],
    second: Sequence[bool],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """The difference in accuracy with a percentile interval from resampling questions, both verdicts together.

    A question contributes -1, 0 or 1, so drawing n questions with replacement is one draw from a multinomial
    distribution over these three values: the same bootstrap at a cost that does not grow with n. Where the methods
    never disagree the interval is the point 0: a bootstrap cannot show what did not happen.

    Raises:
        ValueError: the sequences differ in length or are empty.
    """
    _same_length(first, second)
    n = len(first)
    if n == 0:
        raise ValueError("a difference needs at least one question")
    gains = sum(1 for a, b in zip(first, second, strict=True) if a and not b)
    losses = sum(1 for a, b in zip(first, second, strict=True) if b and not a)
    counts = np.array([gains, losses, n - gains - losses], dtype=np.float64)
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    differences = (drawn[:, 0] - drawn[:, 1]) / n
    outside = (1 - confidence) / 2
    low, high = np.quantile(differences, [outside, 1 - outside])
    return PairedDifference((gains - losses) / n, float(low), float(high))


def paired_ratio(
    first: Sequence[bool],
    second: Sequence[bool],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The percentile interval of the first's accuracy over the second's, from resampling questions as above. Draws in
    which the second gets nothing right have no ratio and are left out.

    Raises:
        ValueError: the sequences differ in length, are empty, or the second got nothing right.
    """
    _same_length(first, second)
    if not any(second):
        raise ValueError("a ratio needs a question that the second got right")
    n = len(first)
    both = sum(1 for a, b in zip(first, second, strict=True) if a and b)
    counts = np.array([both, sum(first) - both, sum(second) - both], dtype=np.float64)
    cells = np.append(counts, n - counts.sum()) / n
    drawn = np.random.default_rng(seed).multinomial(n, cells, size=resamples)
    whole = drawn[:, 0] + drawn[:, 2]
    ratios = (drawn[:, 0] + drawn[:, 1])[whole > 0] / whole[whole > 0]
    outside = (1 - confidence) / 2
    low, high = np.quantile(ratios, [outside, 1 - outside])
    return Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """`p_values`, in their order, adjusted so that the chance of any false finding among them stays at the level.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _same_length(first: Sequence[bool], second: Sequence[bool]) -> None:
    if len(first) != len(second):
        raise ValueError(f"paired verdicts must be about the same questions, not {len(first)} and {len(second)}")
