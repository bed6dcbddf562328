"""What a critic is worth, on labels that it has never seen: how much better what it passes is, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symdistill.evaluation.graph_metrics import Share, share
from symdistill.evaluation.heads import Heads, share_of
from symdistill.evaluation.reliability import (
    Bin,
    auroc,
    brier,
    calibration_error,
    error_by_chance,
    reliability,
)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a threshold does: of all texts `kept` pass; `precision` of those are good, which are `recall` of all good.
    The intervals of these two take texts about one head as alike.

    `gain` is that precision minus the share of good ones before (None: nothing passed), with its 95% interval (None:
    nothing passed, or there are fewer than `FEWEST_HEADS`): heads are drawn anew with all their texts, since texts
    about one head are alike. `raises_precision` says that there is an interval and that it lies above 0.
    """

    threshold: float
    kept: Share
    precision: Share
    recall: Share
    gain: float | None
    gain_low: float | None
    gain_high: float | None

    @property
    def raises_precision(self) -> bool:
        return self.gain_low is not None and self.gain_low > 0


@dataclass(frozen=True, slots=True)
class CriticFigures:
    """A critic on held-out labels. `before` is the share of good ones among all: what there is without a critic.

    `ece` is to be read beside `ece_by_chance`, which a critic with exactly right probabilities would have.
    """

    n: int
    heads: int
    before: Share
    chosen: Passed
    others: tuple[Passed, ...]
    auroc: float | None
    brier: float
    ece: float
    ece_by_chance: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a JSON file."""
        plain: dict[str, Any] = asdict(self)
        plain["chosen"]["raises_precision"] = self.chosen.raises_precision
        return plain


def critic_figures(
    probabilities: Sequence[float],
    good: Sequence[bool],
    groups: Sequence[str],
    threshold: float,
    *,
    others: Sequence[float] = (),
    seed: int = 0,
) -> CriticFigures:
    """The figures of a critic's probabilities for labelled texts of heads `groups`; `others` are more thresholds.

    Raises:
        ValueError: there is no text, or the sequences differ in length.
    """
    if not len(probabilities) == len(good) == len(groups) or not len(good):
        raise ValueError("probabilities, labels and heads of the same texts are wanted, one at least")
    said, right = np.asarray(probabilities, dtype=np.float64), np.asarray(good, dtype=bool)
    heads = Heads(groups, seed)
    bins = reliability(list(said), list(right))
    return CriticFigures(
        n=len(right),
        heads=heads.count,
        before=share_of(right.tolist(), groups),
        chosen=_passed(said, right, threshold, groups, heads),
        others=tuple(_passed(said, right, other, groups, heads) for other in others),
        auroc=auroc(list(said), list(right)),
        brier=brier(list(said), list(right)),
        ece=calibration_error(bins),
        ece_by_chance=error_by_chance(list(said), seed),
        bins=bins,
    )


def _passed(
    said: NDArray[np.float64],
    right: NDArray[np.bool_],
    threshold: float,
    groups: Sequence[str],
    heads: Heads,
) -> Passed:
    passes = said >= threshold
    kept, hits = int(passes.sum()), int((passes & right).sum())
    gain = low = high = None
    if kept:
        gain = hits / kept - float(right.mean())
        facts = np.column_stack([passes & right, passes, right, np.ones_like(right)]).astype(np.float64)
        counted = heads.drawn @ heads.sums(facts)
        counted = counted[counted[:, 1] > 0]
        if found := heads.interval(counted[:, 0] / counted[:, 1] - counted[:, 2] / counted[:, 3]):
            low, high = found.low, found.high
    return Passed(
        threshold=threshold,
        kept=share(kept, len(right)),
        precision=_among(right, passes, groups),
        recall=_among(passes, right, groups),
        gain=gain,
        gain_low=low,
        gain_high=high,
    )


def _among(verdicts: NDArray[np.bool_], chosen: NDArray[np.bool_], groups: Sequence[str]) -> Share:
    """The share of true ones among those chosen."""
    return share_of(verdicts[chosen].tolist(), [group for group, yes in zip(groups, chosen, strict=True) if yes])
