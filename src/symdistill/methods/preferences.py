"""What is preferred among a student's own judged replies: pairs for DPO, verdicts for KTO.

    DPO   (Rafailov et al. 2023, arXiv 2305.18290)   of one question a right, whole reply over one with a lower reward
    KTO   (Ethayarajh et al. 2024, arXiv 2402.01306) a right, whole reply is desirable, a wrong one is not

What is preferred is always right: a wrong reply is never chosen or called desirable, whatever its style, and no verdict
calls a right one undesirable (a pair may reject it for a better one). The control of the reward, `only: critic`, is the
exception: its pairs go by the critic alone, and KTO, whose verdicts are right and wrong, is refused for it. A reply
that was cut is never preferred: it would teach an end where none is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from symdistill.curation.words import squeezed
from symdistill.methods.reward import Judged


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replies to one question; `chosen` is right, whole, and has the higher reward."""

    chosen: Judged
    rejected: Judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reply, and whether it is one to give."""

    judged: Judged
    desirable: bool


def pairs(judged: Sequence[Judged], threshold: float, per_question: int) -> list[Pair]:
    """Of each question the best reply over the worst, then the second best over the second worst, and so on.

    The chosen one is right, whole, and has R ≥ `threshold`; a pair of equal rewards is left out, and no text stands
    twice on one side. `per_question` pairs of a question at most, in the order of the questions in `judged`.
    """
    found = []
    for replies in _by_question(judged):
        best = sorted(replies, key=lambda one: -one.reward)
        chosen = [one for one in best if preferable(one, threshold)]
        rejected = sorted(replies, key=lambda one: one.reward)
        ahead = (Pair(one, other) for one, other in zip(chosen, rejected, strict=False))
        found += [pair for pair in ahead if pair.chosen.reward > pair.rejected.reward][:per_question]
    return found


def verdicts(judged: Sequence[Judged], threshold: float, per_question: int) -> list[Verdict]:
    """Of each question `per_question` desirable replies at most, the best rewarded ones that are right, whole, and have
    R ≥ `threshold`, and as many undesirable ones, the worst rewarded wrong ones. No text stands twice."""
    found = []
    for replies in _by_question(judged):
        good = sorted((one for one in replies if preferable(one, threshold)), key=lambda one: -one.reward)
        bad = sorted((one for one in replies if not one.parts.verified), key=lambda one: one.reward)
        found += [Verdict(one, True) for one in good[:per_question]]
        found += [Verdict(one, False) for one in bad[:per_question]]
    return found


def preferable(one: Judged, threshold: float) -> bool:
    """Whether a student may learn to give this reply."""
    return (one.parts.verified or not one.gated) and not one.rationale.truncated and one.reward >= threshold


def _by_question(judged: Sequence[Judged]) -> Iterable[list[Judged]]:
    """The replies of each question, one of each text: the first that is whole, where one is."""
    place = {question: at for at, question in enumerate(dict.fromkeys(j.rationale.example_id for j in judged))}
    said = [(place[j.rationale.example_id], j.rationale.truncated, j.rationale.sample_index, j) for j in judged]
    for _, replies in groupby(sorted(said, key=lambda entry: entry[:3]), key=lambda entry: entry[0]):
        first: dict[str, Judged] = {}
        for *_, one in replies:
            first.setdefault(squeezed(one.rationale.text), one)
        yield list(first.values())
