"""How well a confidence foretells which replies are right.

Everywhere `confidence` holds numbers between 0 and 1 and `right` one verdict for each. Equal confidences are one group:
no figure here depends on the order of the cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from symdistill.evaluation.statistics import wilson

MOST_BINS = 10
CASES_A_BIN = 10
_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Bin:
    """`n` cases of neighbouring confidence, from `least` to `most`: their mean confidence beside the share that was
    right, with its 95% Wilson interval."""

    n: int
    least: float
    most: float
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """Keeping the surest `coverage` of the cases, `risk` of those are wrong."""

    coverage: float
    risk: float


def reliability(confidence: Sequence[float], right: Sequence[bool]) -> tuple[Bin, ...]:
    """Bins of about equal mass, the least sure first (adaptive binning, after Nguyen and O'Connor, EMNLP 2015).

    At most `MOST_BINS`, and so many that each gets about `CASES_A_BIN` cases; equal confidences stay in one bin, so
    there may be fewer.

    Raises:
        ValueError: no case, unequal lengths, or a confidence that is not between 0 and 1.
    """
    scores, verdicts = _sorted(confidence, right)
    found = []
    for start, end in _bin_ends(scores):
        n, hits = end - start, int(verdicts[start:end].sum())
        interval = wilson(hits, n)
        found.append(
            Bin(
                n=n,
                least=float(scores[start]),
                most=float(scores[end - 1]),
                # A mean may leave the range of its values by rounding.
                confidence=float(np.clip(scores[start:end].mean(), scores[start], scores[end - 1])),
                accuracy=hits / n,
                low=interval.low,
                high=interval.high,
            )
        )
    return tuple(found)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error (ECE): the mean gap between confidence and accuracy of a bin, cases alike."""
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / sum(b.n for b in bins)


def error_by_chance(confidence: Sequence[float], seed: int = 0) -> float:
    """The ECE to expect if these confidences were exactly right: with few cases it is far from 0.

    Verdicts are drawn with the confidences as probabilities; the mean over 1,000 draws.

    Raises:
        ValueError: as for `reliability`.
    """
    scores, _ = _sorted(confidence, [False] * len(confidence))
    rng = np.random.default_rng(seed)
    gaps = np.zeros(_DRAWS)
    for start, end in _bin_ends(scores):
        part = scores[start:end]
        hits = np.zeros(_DRAWS)
        for share, times in zip(*np.unique(part, return_counts=True), strict=True):
            hits += rng.binomial(times, share, size=_DRAWS)
        gaps += np.abs(part.sum() - hits)
    return min(1.0, float(gaps.mean()) / len(scores))


def brier(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """The mean squared gap between confidence and verdict (Brier, 1950): 0 is perfect, 1 always wrong and sure of it.

    Raises:
        ValueError: as for `reliability`.
    """
    scores, verdicts = _sorted(confidence, right)
    return float(np.mean((scores - verdicts) ** 2))


def auroc(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """The chance that a right reply has a higher confidence than a wrong one, an equal one counting half; 0.5 is no
    better than a coin. None where all are right or all are wrong.

    Raises:
        ValueError: as for `reliability`.
    """
    scores, verdicts = _sorted(confidence, right)
    (area,) = weighted_auroc(scores, verdicts, np.ones((1, len(scores)), dtype=np.int64))
    return None if np.isnan(area) else float(area)


def weighted_auroc(
    scores: NDArray[np.float64], verdicts: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The AUROC for each row of `weights`, which says how often each case counts. `scores` is in ascending order.

    NaN where a row has no right or no wrong case.
    """
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    right = np.add.reduceat(weights * verdicts, starts, axis=1)
    wrong = np.add.reduceat(weights * (1 - verdicts), starts, axis=1)
    below = wrong.cumsum(axis=1) - wrong
    won = (right * (2 * below + wrong)).sum(axis=1) / 2
    pairs = right.sum(axis=1) * wrong.sum(axis=1)
    areas = np.full(len(weights), np.nan)
    np.divide(won, pairs, out=areas, where=pairs > 0)
    return areas


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> tuple[RiskPoint, ...]:
    """The risk at every coverage a threshold can reach, the surest cases first; the last point covers all.

    El-Yaniv and Wiener, JMLR 11 (2010).

    Raises:
        ValueError: as for `reliability`.
    """
    scores, verdicts = _sorted(confidence, right)
    n = len(scores)
    wrong = np.cumsum(1 - verdicts[::-1])
    ends = np.flatnonzero(np.r_[scores[::-1][1:] != scores[::-1][:-1], True]) + 1
    return tuple(RiskPoint(int(k) / n, int(wrong[k - 1]) / int(k)) for k in ends)


def risk_area(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """The area under the risk–coverage curve (AURC): the mean risk of keeping the surest 1, 2, …, n cases, where equal
    confidences come in random order. Lower is better; a confidence that says nothing gives the share of wrong replies.

    Geifman and El-Yaniv, NeurIPS 2017.

    Raises:
        ValueError: as for `reliability`.
    """
    scores, verdicts = _sorted(confidence, right)
    scores, wrong = scores[::-1], 1.0 - verdicts[::-1]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    sizes = np.diff(np.r_[starts, len(scores)])
    expected = np.repeat(np.add.reduceat(wrong, starts) / sizes, sizes)
    return float(np.mean(expected.cumsum() / np.arange(1, len(scores) + 1)))


def _sorted(confidence: Sequence[float], right: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Confidences in ascending order with their verdicts as 0 and 1."""
    if len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences for {len(right)} verdicts")
    scores = np.asarray(confidence, dtype=np.float64)
    if not len(scores):
        raise ValueError("calibration needs at least one case")
    # Written so that NaN fails it.
    bad = ~((scores >= 0) & (scores <= 1))
    if bad.any():
        raise ValueError(f"a confidence is between 0 and 1, not {scores[bad][0]}")
    verdicts = np.asarray(right, dtype=np.int64)
    # Right before wrong within equal scores, so that sums do not depend on the order the cases came in.
    order = np.lexsort((verdicts, scores))
    return scores[order], verdicts[order]


def _bin_ends(scores: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Where each bin starts, and where the next one does."""
    n = len(scores)
    bins = max(1, min(MOST_BINS, n // CASES_A_BIN))
    ends = [0]
    for end in np.flatnonzero(np.r_[scores[1:] != scores[:-1], True]) + 1:
        # A bin closes with the group of equal scores that fills its share.
        if (end - ends[-1]) * bins >= n:
            ends.append(int(end))
    if ends[-1] < n:
        # The rest is a bin of its own, or too small for one.
        if len(ends) > 1 and 2 * (n - ends[-1]) * bins < n:
            ends.pop()
        ends.append(n)
    return list(pairwise(ends))
