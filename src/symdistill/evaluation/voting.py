"""Self-consistency: the answer most samples give (Wang et al. 2022, arXiv 2203.11171, unweighted majority)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symdistill.records import AnswerType
from symdistill.tasks.answers import canonical_answer


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer that won, as the first sample that gave it wrote it, and how many of the `cast` votes were for it.

    `answer` is None where no sample had an answer.
    """

    answer: str | None
    votes: int
    cast: int


def majority(
    answers: Sequence[str | None],
    answer_type: AnswerType = "text",
    choices: Mapping[str, str] | None = None,
    log_probabilities: Sequence[float | None] | None = None,
) -> Vote:
    """The majority of parsed answers; None never votes, and equal answers written differently vote together.

    `log_probabilities` holds, for each sample, the sum of its tokens' log-probabilities (nats). A tie goes to the
    answer whose samples have the higher total probability (the sum of their exponentials), if that is known for every
    sample of the tied answers; what is then still tied goes to the answer seen first.

    Raises:
        ValueError: there are log-probabilities, but not one for each answer.
    """
    if log_probabilities is not None and len(log_probabilities) != len(answers):
        raise ValueError(f"{len(answers)} answers with {len(log_probabilities)} log-probabilities")
    ballots: dict[str, list[int]] = {}
    for index, answer in enumerate(answers):
        if answer is not None:
            ballots.setdefault(canonical_answer(answer, answer_type, choices), []).append(index)
    if not ballots:
        return Vote(None, 0, 0)
    most = max(map(len, ballots.values()))
    tied = {answer: samples for answer, samples in ballots.items() if len(samples) == most}
    cast = sum(map(len, ballots.values()))
    if len(tied) > 1 and log_probabilities is not None:
        totals = {answer: _log_total([log_probabilities[i] for i in samples]) for answer, samples in tied.items()}
        known = {answer: total for answer, total in totals.items() if total is not None}
        if len(known) == len(tied):
            # max() keeps the first of equals, and the dictionary is in the order first seen.
            winner = max(known, key=known.__getitem__)
            return Vote(answers[tied[winner][0]], most, cast)
    return Vote(answers[next(iter(tied.values()))[0]], most, cast)


def _log_total(values: Sequence[float | None]) -> float | None:
    """log of the sum of exponentials: long replies have probabilities that are zero as floats. None: one is unknown."""
    known = [v for v in values if v is not None and not math.isnan(v)]
    if len(known) < len(values):
        return None
    largest = max(known)
    if math.isinf(largest):
        return largest
    return largest + math.log(sum(math.exp(v - largest) for v in known))
