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

    `within` is what of the gain is no matter of kinds: the precision minus what it would be had as many texts of each
    kind passed, drawn at random (None: as `gain`, or there are not two kinds). A critic may gain much by passing the
    kinds that are good more often, and know nothing of one text from another of its kind.
    """

    threshold: float
    kept: Share
    precision: Share
    recall: Share
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    within: float | None = None
    within_low: float | None = None
    within_high: float | None = None

    @property
    def raises_precision(self) -> bool:
        return self.gain_low is not None and self.gain_low > 0

    @property
    def by_kind_alone(self) -> bool:
        """Whether precision is shown to rise, and not shown to rise within kinds."""
        return self.raises_precision and self.within_low is not None and self.within_low <= 0


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
        plain["chosen"]["by_kind_alone"] = self.chosen.by_kind_alone
        return plain


def critic_figures(
    probabilities: Sequence[float],
    good: Sequence[bool],
    groups: Sequence[str],
    threshold: float,
    *,
    others: Sequence[float] = (),
    kinds: Sequence[str] | None = None,
    seed: int = 0,
) -> CriticFigures:
    """The figures of a critic's probabilities for labelled texts of heads `groups`; `others` are more thresholds, and
    `kinds` the texts' relations.

    Raises:
        ValueError: there is no text, or the sequences differ in length.
    """
    kinds = kinds if kinds is not None else [""] * len(good)
    if not len(probabilities) == len(good) == len(groups) == len(kinds) or not len(good):
        raise ValueError("probabilities, labels and heads of the same texts are wanted, one at least")
    said, right = np.asarray(probabilities, dtype=np.float64), np.asarray(good, dtype=bool)
    heads = Heads(groups, seed)
    bins = reliability(list(said), list(right))
    return CriticFigures(
        n=len(right),
        heads=heads.count,
        before=share_of(right.tolist(), groups),
        chosen=_passed(said, right, threshold, groups, kinds, heads),
        others=tuple(_passed(said, right, other, groups, kinds, heads) for other in others),
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
    kinds: Sequence[str],
    heads: Heads,
) -> Passed:
    passes = said >= threshold
    kept = int(passes.sum())
    gain = low = high = within = within_low = within_high = None
    if kept:
        names = list(dict.fromkeys(kinds))
        of_kind = np.array([[kind == name for kind in kinds] for name in names])
        facts = np.stack([(passes & right) & of_kind, passes & of_kind, right & of_kind, of_kind]).astype(np.float64)
        sums = heads.sums(facts.reshape(-1, len(right)).T)
        gains, insides = _gains(sums.sum(axis=0, keepdims=True), len(names))
        drawn, drawn_insides = _gains((heads.drawn @ sums), len(names))
        gain = float(gains[0])
        if found := heads.interval(drawn):
            low, high = found.low, found.high
        if len(names) > 1:
            within = float(insides[0])
            if found := heads.interval(drawn_insides):
                within_low, within_high = found.low, found.high
    return Passed(
        threshold=threshold,
        kept=share(kept, len(right)),
        precision=_among(right, passes, groups),
        recall=_among(passes, right, groups),
        gain=gain,
        gain_low=low,
        gain_high=high,
        within=within,
        within_low=within_low,
        within_high=within_high,
    )


def _gains(counts: NDArray[np.float64], kinds: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gain of each row of counts in which something passed, and what of it is within kinds.

    A row holds, kind by kind, what is good and passes, what passes, what is good, and all.
    """
    hits, passed, good, all_ = np.moveaxis(counts.reshape(len(counts), 4, kinds), 1, 0)
    some = passed.sum(axis=1) > 0
    hits, passed, good, all_ = hits[some], passed[some], good[some], all_[some]
    share = hits.sum(axis=1) / passed.sum(axis=1)
    by_kind = (passed * good / np.maximum(all_, 1)).sum(axis=1) / passed.sum(axis=1)
    return share - good.sum(axis=1) / all_.sum(axis=1), share - by_kind


def _among(verdicts: NDArray[np.bool_], chosen: NDArray[np.bool_], groups: Sequence[str]) -> Share:
    """The share of true ones among those chosen."""
    return share_of(verdicts[chosen].tolist(), [group for group, yes in zip(groups, chosen, strict=True) if yes])
