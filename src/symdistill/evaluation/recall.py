"""How much of what a rationale finds its question finds, too: recall@k before and after reranking.

What is to be found are the k best passages of BM25 for a question's rationale; found are those of them among the k best
for the question alone. A question with several rationales counts once, with their mean. Intervals are percentiles of
means over resampled questions, for the difference over the same questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import DataError

SHARES = (1.6, 0.8, 0.4, 0.2, 0.1, 0.05, 0.0)
"""How much BM25 may count beside a learned similarity between -1 and 1: from almost all down to nothing."""

_RESAMPLES = 10_000
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class RankedCase:
    """One question: passages by number, best first. `wanted` are those of each of its rationales, `before` those of
    BM25(q), `after` the reranked ones (None: nothing was reranked), `candidates` all that the reranker could choose."""

    example_id: str
    wanted: Sequence[Sequence[int]]
    before: Sequence[int]
    after: Sequence[int] | None
    candidates: Sequence[int]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RecallRow:
    """Recall@`k` on `n` questions. `reachable` is what a perfect reranker of the candidates would reach."""

    k: int
    n: int
    before: Mean
    reachable: float
    after: Mean | None = None
    gain: Mean | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> RecallRow:
        """The row `to_dict` wrote. Raises DataError where it is no such row; `where` names the place."""
        try:
            later = {name: Mean(**values[name]) if values[name] else None for name in ("after", "gain")}
            return cls(values["k"], values["n"], Mean(**values["before"]), values["reachable"], **later)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where} holds no recall ({error!r}).", "Delete it and evaluate the run again.") from error


@dataclass(frozen=True, slots=True)
class MixCase:
    """One question: passages its rationales want, and all candidates with a learned similarity and BM25's share."""

    wanted: Sequence[Sequence[int]]
    candidates: Sequence[int]
    similarities: Sequence[float]
    shares: Sequence[float]


def best_share(cases: Sequence[MixCase], k: int) -> float | None:
    """How much BM25 should count beside the similarities for the best recall@`k`; None: it should decide alone.

    It decides alone unless another mix gains more than the standard error of its gain. Of equal ones that with more of
    BM25 is taken.
    """
    found = [case for case in cases if any(case.wanted)]
    alone = np.array([_mixed(case, None, k) for case in found])
    best, most = None, 0.0
    for share in SHARES if len(found) > 1 else ():
        gains = np.array([_mixed(case, share, k) for case in found]) - alone
        error = float(gains.std(ddof=1)) / len(gains) ** 0.5
        if gains.mean() > max(most, error):
            best, most = share, float(gains.mean())
    return best


def recall_rows(
    cases: Sequence[RankedCase], depths: Sequence[int], *, confidence: float = 0.95, seed: int = 0
) -> list[RecallRow]:
    """A row for each of `depths`; none where no rationale finds anything."""
    found = [case for case in cases if any(case.wanted)]
    if not found:
        return []
    rows = []
    for k in sorted(set(depths)):
        before = np.array([_recall(case.wanted, case.before[:k], k) for case in found])
        reachable = np.array([_recall(case.wanted, case.candidates, k) for case in found])
        after = gain = None
        if all(case.after is not None for case in found):
            reranked = np.array([_recall(case.wanted, (case.after or ())[:k], k) for case in found])
            after, gain = (_mean(values, confidence, seed) for values in (reranked, reranked - before))
        rows.append(RecallRow(k, len(found), _mean(before, confidence, seed), float(reachable.mean()), after, gain))
    return rows


def _mixed(case: MixCase, share: float | None, k: int) -> float:
    """The recall of the order in which BM25 counts `share`."""
    known = np.asarray(case.shares)
    scores = known if share is None else np.asarray(case.similarities) + share * known
    return _recall(case.wanted, [case.candidates[at] for at in np.argsort(-scores, kind="stable")[:k]], k)


def _recall(wanted: Sequence[Sequence[int]], found: Sequence[int], k: int) -> float:
    """The share of each rationale's k best that was found, in the mean over its rationales."""
    there = set(found)
    shares = [len(there.intersection(best[:k])) / len(best[:k]) for best in wanted if best]
    return sum(shares) / len(shares)


def _mean(values: NDArray[np.float64], confidence: float, seed: int) -> Mean:
    generator = np.random.default_rng(seed)
    size = len(values)
    blocks = [
        values[generator.integers(0, size, (count, size))].mean(axis=1)
        for count in _parts(_RESAMPLES, max(1, _BLOCK // size))
    ]
    outside = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(blocks), [outside, 1 - outside])
    return Mean(float(values.mean()), float(low), float(high))


def _parts(total: int, size: int) -> list[int]:
    """`total` in parts of `size` at most."""
    whole, rest = divmod(total, size)
    return [size] * whole + ([rest] if rest else [])
