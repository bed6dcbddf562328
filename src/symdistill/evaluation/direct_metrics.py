"""What students that complete triples are worth: the share of their tails that is accepted, how near they come to
reference triples, and how far what they write is skewed beside what they learned from.

All students answer the same heads and relations, none of which they learned about. Intervals are of 95% and from
drawing heads anew with all that is about them, since rows of one head are alike (`evaluation.heads`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from symdistill.curation.rouge import rouge_l
from symdistill.evaluation.graph_metrics import FEWEST_HEADS, distinct_n
from symdistill.evaluation.heads import Heads, share_of
from symdistill.evaluation.statistics import holm
from symdistill.knowledge.triples.normalise import normal

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` rows of `heads` heads, with its interval; None where there are too few heads for one."""

    value: float
    low: float | None
    high: float | None
    n: int
    heads: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of `first` minus that of `second` in one measure, over the same rows. `p` is two-sided, by Student's t
    over heads, `adjusted` the same by Holm for all differences that are told together; None of too few heads."""

    measure: str
    first: str
    second: str
    mean: Mean
    p: float | None = None
    adjusted: float | None = None

    @property
    def shown(self) -> bool:
        """Whether it is more than chance, told with all the others."""
        return self.adjusted is not None and self.adjusted < _LEVEL


@dataclass(frozen=True, slots=True)
class Completed:
    """One tail that a student wrote. `accepted` holds by name who judged it, and how."""

    head: str
    relation: str
    tail: str
    accepted: Mapping[str, bool]
    references: Sequence[str] = ()

    @property
    def rouge_l(self) -> float:
        """The best agreement with a reference."""
        return max((rouge_l(self.tail, reference) for reference in self.references), default=0.0)

    @property
    def exact(self) -> bool:
        """Whether it says what a reference says, word for word."""
        return normal(self.tail) in {normal(reference) for reference in self.references}


def mean_of(values: Sequence[float], heads: Sequence[str], seed: int = 0) -> Mean | None:
    """The mean of values with an interval from drawing their heads anew; None of nothing."""
    if not len(values):
        return None
    about, rows = Heads(heads, seed), np.asarray(values, dtype=np.float64)
    found = about.interval((about.drawn @ about.sums(rows)) / (about.drawn @ about.sums(np.ones_like(rows))))
    low, high = (found.low, found.high) if found else (None, None)
    return Mean(float(rows.mean()), low, high, len(rows), about.count)


def share_mean(verdicts: Sequence[bool], heads: Sequence[str]) -> Mean | None:
    """A share with an interval that takes verdicts about one head as alike, and is no point where all are the same;
    None of nothing, and no interval of fewer heads than `FEWEST_HEADS`."""
    if not len(verdicts):
        return None
    found, count = share_of(verdicts, heads), len(set(heads))
    low, high = (None, None) if count < FEWEST_HEADS else (found.low, found.high)
    return Mean(found.value, low, high, found.n, count)


def differences(
    measure: str,
    values: Mapping[str, Sequence[float]],
    heads: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    seed: int = 0,
) -> list[Difference]:
    """Of each two students named in `pairs` the difference in one measure, on the same rows; not yet adjusted."""
    found = []
    for first, second in pairs:
        if first in values and second in values:
            gaps = np.asarray(values[first], dtype=float) - np.asarray(values[second], dtype=float)
            mean = mean_of(gaps.tolist(), heads, seed)
            if mean is not None:
                found.append(Difference(measure, first, second, mean, Heads(heads, seed).p(gaps)))
    return found


def together(found: Sequence[Difference]) -> list[Difference]:
    """Differences that are told together, each with its p adjusted for all of them."""
    adjusted = iter(holm([one.p for one in found if one.p is not None]))
    return [one if one.p is None else replace(one, adjusted=next(adjusted)) for one in found]


def shares_by(names: Sequence[str]) -> dict[str, float]:
    """The share of each name, most frequent first."""
    counts = Counter(names)
    return {name: count / len(names) for name, count in counts.most_common()}


def distance(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """How far two distributions are apart: the share that would have to move from one name to another (total
    variation), from 0 to 1."""
    return sum(abs(first.get(name, 0.0) - second.get(name, 0.0)) for name in first.keys() | second.keys()) / 2


def variety(tails: Sequence[str]) -> dict[str, float]:
    """How varied tails are: the share of different ones, distinct-1 and -2, and the share of the commonest."""
    same = Counter(normal(tail) for tail in tails)
    if not tails:
        return {"different": 0.0, "distinct_1": 0.0, "distinct_2": 0.0, "commonest": 0.0}
    return {
        "different": len(same) / len(tails),
        "distinct_1": distinct_n(tails, 1),
        "distinct_2": distinct_n(tails, 2),
        "commonest": same.most_common(1)[0][1] / len(tails),
    }
