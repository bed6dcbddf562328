"""How far people, or one model asked twice, agree on labels beyond what chance would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two labels each of `n` items: the share `observed` alike, `expected` by chance, `kappa` and its 95% interval.

    `kappa` is None where chance alone would make all labels alike: then agreement says nothing.
    """

    n: int
    observed: float
    expected: float
    kappa: float | None
    low: float | None
    high: float | None


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], *, seed: int = 0) -> Agreement:
    """Cohen's kappa of two raters: (observed - expected) / (1 - expected).

    Cohen, Educational and Psychological Measurement 20 (1960). The interval comes from resampling items 1,000 times.

    Raises:
        ValueError: no item, or unequal lengths.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"two labels for each item are wanted, not {len(first)} and {len(second)}")
    labels = {label: number for number, label in enumerate(dict.fromkeys([*first, *second]))}
    one = np.array([labels[label] for label in first])
    other = np.array([labels[label] for label in second])
    observed, expected = _shares(one, other, len(labels))
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        at = rng.integers(0, len(one), len(one))
        value = _kappa(*_shares(one[at], other[at], len(labels)))
        drawn += [value] if value is not None else []
    kappa = _kappa(observed, expected)
    if kappa is None or not drawn:
        return Agreement(len(one), observed, expected, kappa, None, None)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Agreement(len(one), observed, expected, kappa, float(low), float(high))


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float | None:
    """Krippendorff's alpha for nominal labels: `ratings[i]` holds the labels of item i, None where a rater gave none.

    Raters may be any number and may leave items out; an item with fewer than two labels says nothing. None where no
    item says anything, or all labels are one. Krippendorff, Content Analysis (2004), chapter 11.
    """
    weights: Counter[Hashable] = Counter()
    disagreement = 0.0
    for item in ratings:
        given = Counter(label for label in item if label is not None)
        size = given.total()
        if size > 1:
            weights += given
            disagreement += sum(count * (size - count) for count in given.values()) / (size - 1)
    total = weights.total()
    chance = sum(count * (total - count) for count in weights.values())
    return None if not chance else 1 - (total - 1) * disagreement / chance


def _shares(one: NDArray[np.int64], other: NDArray[np.int64], labels: int) -> tuple[float, float]:
    """The share of equal labels, and the share to expect from how often each rater gives each label."""
    rates = [np.bincount(side, minlength=labels) / len(side) for side in (one, other)]
    return float(np.mean(one == other)), float(rates[0] @ rates[1])


def _kappa(observed: float, expected: float) -> float | None:
    return None if expected > 1 - 1e-12 else (observed - expected) / (1 - expected)
