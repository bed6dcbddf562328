"""Accuracies over several seeds, with two sources of chance: which questions were asked, and how training fell out.

A method that was trained with S seeds answered the same n questions S times. Both the questions and the seeds are
samples: another n questions, or other seeds, would have given other figures. The variance of the mean is taken as

    U + W,    U = variance over questions of the share of seeds that were right / n
              W = variance over seeds of the accuracy / S

The luck of single answers is in both terms, so the sum errs on the side of caution. U is known well, W from S values
only: quantiles are those of Student's t with the degrees of freedom that Satterthwaite's rule gives the sum when U
counts as known. One seed alone says nothing about W. Where other methods of the same table have several, their seeds
tell how much one changes (`luck_of`); where none has, the figures are about the questions only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from symdistill.evaluation.student_t import t_quantile, t_tails

Verdicts = npt.NDArray[np.bool_]
"""Right or wrong, `[seeds, questions]`."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """An accuracy over `seeds` seeds and `n` questions with its interval; `spread` is the standard deviation of the
    seeds' accuracies, None for a single one."""

    accuracy: float
    low: float
    high: float
    n: int
    seeds: int
    spread: float | None


@dataclass(frozen=True, slots=True)
class SeedDifference:
    """The first's accuracy minus the second's, both means over their seeds, with its interval and two-sided p."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Luck:
    """How much one seed changes an accuracy, as several methods show it together: the variance, and its degrees of
    freedom."""

    variance: float
    degrees: int


def luck_of(others: Sequence[Sequence[Verdicts]]) -> Luck | None:
    """The variance over seeds that these methods have in common, each counted by its seeds less one, as in an analysis
    of variance; None where none of them has two seeds.

    Each of `others` is what the students of one method answered, once for every way they were asked: trained once, they
    show once what a seed changes, by the mean over the ways.
    """
    several = [found for asked in others if (found := [verdicts for verdicts in asked if len(verdicts) > 1])]
    freedom = [max(len(verdicts) for verdicts in found) - 1 for found in several]
    if not freedom:
        return None
    variances = [sum(_seed_variance(v) * len(v) for v in found) / len(found) for found in several]
    total = sum(variance * count for variance, count in zip(variances, freedom, strict=True))
    return Luck(total / sum(freedom), sum(freedom))


def pooled(verdicts: Verdicts, confidence: float = 0.95, luck: Luck | None = None) -> Pooled:
    """The accuracy of one method: Wilson's interval for as many independent questions as would vary as much.

    With one seed, or with seeds that agree on every question, it is Wilson's interval of n questions; with one seed and
    the `luck` of others, as much wider as another seed may be different.

    Raises:
        ValueError: there is no verdict, or `confidence` is not between 0 and 1.
    """
    seeds, n = _shape(verdicts)
    shares = verdicts.mean(axis=0)
    accuracy = float(shares.mean())
    asked = float(((shares - accuracy) ** 2).mean()) / n
    own = _seed_variance(verdicts)
    trained, degrees, known = own, seeds - 1, accuracy * (1 - accuracy)
    if luck and seeds == 1:
        share = (accuracy * n + 1) / (n + 2)  # all right or all wrong, another seed may still be different
        trained, degrees, known = luck.variance, luck.degrees, share * (1 - share)
        asked = known / n
    size = n if asked + trained == 0 else known / (asked + trained)
    size = min(size, seeds * n)  # more than all answers independent is no evidence
    low, high = _wilson(accuracy, size, _quantile(confidence, asked, [(trained, degrees)]))
    return Pooled(accuracy, low, high, n, seeds, math.sqrt(own * seeds) if seeds > 1 else None)


def seed_difference(
    first: Verdicts,
    second: Verdicts,
    confidence: float = 0.95,
    lucks: tuple[Luck | None, Luck | None] = (None, None),
) -> SeedDifference:
    """Two methods on the same questions, each with its own seeds.

    `lucks` is of a method with one seed what others show about seeds; None where it has several, or none matters. With
    one of them, the variance of one seed counts as the same for both methods.

    The interval is the difference plus and minus t times the standard error. Its question part counts two more
    questions, of which the methods share the wins: so it neither has width 0 nor passes 1 where they (dis)agree on
    everything (Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics
    in Medicine 24, 2005).

    p is the larger of two: the exact sign-flip test over questions with the seeds averaged, which for one seed is
    McNemar's exact test; and, where there are several seeds, the t test with the variance of the seeds in it. The
    first keeps its promise at any n, the second does not take the luck of a seed for the merit of a method.

    Raises:
        ValueError: the methods were not asked the same number of questions, or none.
    """
    (seeds, n), (other_seeds, other_n) = _shape(first), _shape(second)
    if n != other_n:
        raise ValueError(f"paired verdicts must be about the same questions, not {n} and {other_n}")
    gaps = first.mean(axis=0) - second.mean(axis=0)
    difference = float(gaps.mean())
    borrowed = next((luck for luck in lucks if luck), None)
    if borrowed:
        counted = [len(v) for v, luck in zip((first, second), lucks, strict=True) if luck or len(v) > 1]
        trained = [(borrowed.variance * sum(1 / count for count in counted), borrowed.degrees)]
    else:
        trained = [(_seed_variance(first), seeds - 1), (_seed_variance(second), other_seeds - 1)]
    centre = float(gaps.sum()) / (n + 2)
    asked = (float((gaps**2).sum() + 1) / (n + 2) - centre**2) / (n + 2)
    margin = _quantile(confidence, asked, trained) * math.sqrt(asked + sum(v for v, _ in trained))
    p = sign_flip(first, second)
    if borrowed or seeds > 1 or other_seeds > 1:
        p = max(p, _t_test(difference, float(gaps.var()) / n, trained))
    return SeedDifference(difference, max(-1.0, centre - margin), min(1.0, centre + margin), p)


def sign_flip(first: Verdicts, second: Verdicts) -> float:
    """How often differences at least this large would come up if on every question either method were as likely to be
    the better one: exact, two-sided, over all ways to flip the signs of the questions' differences.

    Seeds are averaged: a question counts by the share of seeds that were right. With one seed each this is McNemar's
    exact test.
    """
    units = math.lcm(len(first), len(second))
    gaps = first.sum(axis=0) * (units // len(first)) - second.sum(axis=0) * (units // len(second))
    sizes = Counter(int(size) for size in np.abs(gaps) if size)
    if not sizes:
        return 1.0
    step = math.gcd(*sizes)
    chances = np.ones(1)  # of the number of steps taken upwards
    for size, count in sizes.items():
        stride = size // step
        spaced = np.zeros(stride * count + 1)
        spaced[::stride] = _coin_tosses(count)
        chances = np.convolve(chances, spaced)
    total = sum(size // step * count for size, count in sizes.items())
    upwards = (total + int(gaps.sum()) // step) // 2
    fewer = min(upwards, total - upwards)
    return min(1.0, 2 * float(chances[: fewer + 1].sum()))


def _coin_tosses(count: int) -> npt.NDArray[np.float64]:
    """The probabilities of 0 to `count` heads."""
    return np.exp(
        [
            math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) - count * math.log(2)
            for k in range(count + 1)
        ]
    )


def _shape(verdicts: Verdicts) -> tuple[int, int]:
    if verdicts.ndim != 2 or 0 in verdicts.shape:
        raise ValueError("an accuracy needs at least one seed and one question")
    return verdicts.shape[0], verdicts.shape[1]


def _seed_variance(verdicts: Verdicts) -> float:
    """W: the variance of the mean over seeds; nothing is known of it from one."""
    seeds, n = verdicts.shape
    return float(verdicts.sum(axis=1).var(ddof=1)) / n**2 / seeds if seeds > 1 else 0.0


def _degrees(asked: float, trained: Sequence[tuple[float, int]]) -> float:
    """Satterthwaite's degrees of freedom of the sum of variances, each with its own; `asked` counts as known."""
    doubt = sum(variance**2 / degrees for variance, degrees in trained if variance)
    return (asked + sum(variance for variance, _ in trained)) ** 2 / doubt if doubt else math.inf


def _quantile(confidence: float, asked: float, trained: Sequence[tuple[float, int]]) -> float:
    degrees = _degrees(asked, trained)
    return t_quantile(confidence, degrees) if degrees < math.inf else NormalDist().inv_cdf(0.5 + confidence / 2)


def _t_test(difference: float, asked: float, trained: Sequence[tuple[float, int]]) -> float:
    variance = asked + sum(v for v, _ in trained)
    if variance == 0:
        return 0.0 if difference else 1.0
    return t_tails(difference / math.sqrt(variance), min(_degrees(asked, trained), 1e9))


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval for n questions that need not be a whole number, at the quantile `z`."""
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    margin = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if share == 0 else max(0.0, centre - margin)
    return low, 1.0 if share == 1 else min(1.0, centre + margin)
