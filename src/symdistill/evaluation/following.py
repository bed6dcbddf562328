"""Whether a student that learned from knowledge follows it, where that can be told from knowing the task.

Whoever gets most of the inputs right agrees with any good knowledge base, one trained on gold labels too. Only where
the knowledge is wrong does following it differ from being right; so a student of the knowledge is compared with one
that learned from something else on these inputs, input by input.

To say there what the knowledge says is to be wrong, which a weak student is anyway. So what a student says there counts
beyond what it says where the knowledge is right: of inputs with the same gold answer, how often it says that very
wrong label. With two labels this is its error rate on that class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from symdistill.evaluation.interpretability import Share, share_json
from symdistill.evaluation.statistics import holm
from symdistill.knowledge.rules.decisions import Decision

_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Following:
    """How often `student`, which learned from the knowledge, and `against`, which did not, say what it says, on the
    inputs where it differs from the gold answer.

    `own_usual` and `other_usual` are how often they say the same labels in place of the same gold ones where the
    knowledge is right, between 0 and 1. `difference` is what the student says beyond its usual minus what the other
    says beyond its own, with a 95% interval from drawing inputs anew; `p` is how often it is as large where the two
    change places at random on each input, and `adjusted` the same by Holm for all comparisons of one knowledge base.
    None where the knowledge is right about every input, or about none with the same gold answer.
    """

    student: str
    against: str
    own: Share
    other: Share
    own_usual: float | None = None
    other_usual: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "own": share_json(self.own), "other": share_json(self.other)}


def followings(
    decisions: Sequence[Decision],
    gold: Mapping[str, str],
    answers: Mapping[str, Mapping[str, str]],
    students: Sequence[str],
    others: Sequence[str],
    *,
    seed: int = 0,
) -> list[Following]:
    """Each of `students` beside each of `others`; `answers` are theirs, by name and input. An input that one of the two
    was not asked about is left out; a reply without an answer ("") says something else than the knowledge."""
    decided = {d.example_id: d.label for d in decisions if d.label and d.example_id in gold}
    raw = [_one(decided, gold, answers, student, other, seed) for student in students for other in others]
    told = [one.p for one in raw if one.p is not None]
    adjusted = iter(holm(told))
    return [one if one.p is None else replace(one, adjusted=next(adjusted)) for one in raw]


def _one(
    decided: Mapping[str, str],
    gold: Mapping[str, str],
    answers: Mapping[str, Mapping[str, str]],
    student: str,
    other: str,
    seed: int,
) -> Following:
    own, beside = answers[student], answers[other]
    usual: dict[str, list[str]] = {}
    for name, label in decided.items():
        if label == gold[name] and name in own and name in beside:
            usual.setdefault(label, []).append(name)
    wrong = [n for n, label in decided.items() if label != gold[n] and n in own and n in beside and gold[n] in usual]
    shares = [Share(sum(who[name] == decided[name] for name in wrong), len(wrong)) for who in (own, beside)]
    found = Following(student, other, shares[0], shares[1])
    if not wrong:
        return found
    said = Counter((gold[name], decided[name]) for name in wrong)
    groups = [np.array([((own[n] == decided[n]) - (beside[n] == decided[n])) / len(wrong) for n in wrong])]
    groups += [
        np.array([_usual(own[name], said, label) - _usual(beside[name], said, label) for name in names])
        * (-1 / len(wrong) / len(names))
        for label, names in usual.items()
    ]
    difference = float(sum(group.sum() for group in groups))
    low, high = _interval(groups, seed)
    own_usual, other_usual = (
        sum(_usual(who[n], said, label) / len(names) for label, names in usual.items() for n in names) / len(wrong)
        for who in (own, beside)
    )
    return replace(
        found,
        own_usual=own_usual,
        other_usual=other_usual,
        difference=difference,
        low=low,
        high=high,
        p=_by_chance(np.concatenate(groups), difference, seed),
    )


def _usual(answer: str, said: Mapping[tuple[str, str], int], label: str) -> int:
    """On how many inputs with the gold answer `label` the knowledge wrongly says what is answered here."""
    return said.get((label, answer), 0)


def _interval(groups: Sequence[np.ndarray[Any, np.dtype[np.float64]]], seed: int) -> tuple[float, float]:
    """The 95% percentile interval of the sum of all values, each group drawn anew by itself."""
    chance = np.random.default_rng(seed)
    sums = np.zeros(_DRAWS)
    for group in groups:
        values, counts = np.unique(group, return_counts=True)
        sums += chance.multinomial(len(group), counts / len(group), size=_DRAWS) @ values
    low, high = np.quantile(sums, [0.025, 0.975])
    return float(low), float(high)


def _by_chance(values: np.ndarray[Any, np.dtype[np.float64]], found: float, seed: int) -> float:
    """How often the sum is as far from 0 as `found` where each value has its sign by chance (Fisher's randomisation
    test of pairs; where the students never err elsewhere, McNemar's). It errs on the side of caution where the two
    differ in how good they are."""
    chance = np.random.default_rng(seed)
    sizes, counts = np.unique(np.abs(values[values != 0]).round(12), return_counts=True)
    sums = np.zeros(_DRAWS)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2 * chance.binomial(count, 0.5, size=_DRAWS) - count)
    return float((1 + np.count_nonzero(np.abs(sums) >= abs(found) - 1e-9)) / (_DRAWS + 1))
