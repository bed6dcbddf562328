"""Intervals of figures whose rows are about heads: rows of one head are alike, so heads are drawn anew, not rows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from symdistill.evaluation.graph_metrics import FEWEST_HEADS, Share
from symdistill.evaluation.statistics import Interval, wilson_of_groups
from symdistill.evaluation.student_t import t_quantile, t_tails

_RESAMPLES = 4_000
_OUTSIDE = 0.05


class Heads:
    """The heads of some rows: `places` numbers them by row ([rows]), `drawn` says how often each stands in each
    resample ([resamples, heads])."""

    def __init__(self, heads: Sequence[str], seed: int = 0) -> None:
        names = {head: number for number, head in enumerate(dict.fromkeys(heads))}
        self.count = len(names)
        self.places: NDArray[np.int64] = np.array([names[head] for head in heads], dtype=np.int64)
        even = np.full(self.count, 1 / self.count)
        draws = np.random.default_rng(seed).multinomial(self.count, even, size=_RESAMPLES)
        self.drawn: NDArray[np.int32] = draws.astype(np.int32)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of values of each head: [heads] for [rows], [heads, columns] for [rows, columns]."""
        found = np.zeros((self.count, *values.shape[1:]))
        np.add.at(found, self.places, values)
        return found

    def interval(self, resampled: NDArray[np.float64]) -> Interval | None:
        """The 95% interval of a figure, from what it is in each resample; None of fewer heads than `FEWEST_HEADS`.

        Percentiles, set apart further the fewer heads there are, so that they are as wide as Student's t would have
        them (the expanded percentile interval: Hesterberg, "What Teachers Should Know About the Bootstrap", The
        American Statistician 69 (2015)). Drawing few heads anew says next to nothing about those that are not among
        them, and of a single one it says that nothing varies.
        """
        if self.count < FEWEST_HEADS:
            return None
        reach = t_quantile(1 - _OUTSIDE, self.count - 1) * float(np.sqrt(self.count / (self.count - 1)))
        tail = NormalDist().cdf(-reach)
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return Interval(float(low), float(high))

    def p(self, values: NDArray[np.float64]) -> float | None:
        """The two-sided p of the mean of values ([rows]) being 0, by Student's t over heads; None of too few heads.

        Where every head says the same there is no variance to go by, and p is that of the signs: 2 / 2^heads.
        """
        if self.count < FEWEST_HEADS:
            return None
        mean = float(values.mean())
        apart = self.sums(values - mean)
        spread = float(np.sqrt(self.count / (self.count - 1) * np.sum(apart**2))) / len(values)
        if spread < 1e-12:
            return 1.0 if abs(mean) < 1e-12 else 2.0 ** (1 - self.count)
        return t_tails(mean / spread, self.count - 1)


def share_of(verdicts: Sequence[bool], heads: Sequence[str]) -> Share:
    """A share with an interval that takes verdicts about one head as alike."""
    interval = wilson_of_groups(verdicts, heads)
    return Share(sum(verdicts), len(verdicts), interval.low, interval.high)
