"""Whether a student that learned from knowledge follows it, where that can be told from knowing the task.

Whoever gets most of the inputs right agrees with any good knowledge base, one trained on gold labels too. Only where
the knowledge is wrong does following it differ from being right; so a student of the knowledge is compared with one
that learned from something else on these inputs alone, input by input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from symdistill.evaluation.interpretability import Share, share_json
from symdistill.evaluation.statistics import holm, mcnemar, paired_difference
from symdistill.knowledge.rules.decisions import Decision


@dataclass(frozen=True, slots=True)
class Following:
    """How often `student`, which learned from the knowledge, and `against`, which did not, say what it says, on the
    inputs where it differs from the gold answer.

    `difference` is the first share minus the second with its 95% interval, `p` McNemar's exact one and `adjusted` the
    same by Holm for all comparisons of one knowledge base; None where it is right about every input.
    """

    student: str
    against: str
    own: Share
    other: Share
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
    decided = {d.example_id: d.label for d in decisions if d.label and d.label != gold.get(d.example_id, d.label)}
    raw = [_one(decided, answers, student, other, seed) for student in students for other in others]
    told = [one.p for one in raw if one.p is not None]
    adjusted = iter(holm(told))
    return [one if one.p is None else replace(one, adjusted=next(adjusted)) for one in raw]


def _one(
    decided: Mapping[str, str], answers: Mapping[str, Mapping[str, str]], student: str, other: str, seed: int
) -> Following:
    rows = [name for name in decided if name in answers[student] and name in answers[other]]
    own, beside = ([answers[who][name] == decided[name] for name in rows] for who in (student, other))
    shares = Share(sum(own), len(rows)), Share(sum(beside), len(rows))
    if not rows:
        return Following(student, other, *shares)
    gap = paired_difference(own, beside, seed=seed)
    return Following(student, other, *shares, gap.difference, gap.low, gap.high, mcnemar(own, beside).p)
