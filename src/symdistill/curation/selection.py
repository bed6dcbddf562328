"""Which samples of a question to keep at an equal budget: the selections of SCoTD (Li et al. 2023, section 4).

Each starts from the rationales that passed every other filter. A question with no more of them than its budget keeps
them all, and what it leaves unused goes to no other question.

- `random`: a seeded draw.
- `diversity`: embeddings, hierarchical clustering to `budget` clusters, one rationale from each. The paper embeds
  with a sentence transformer and publishes neither linkage nor which member is taken; here the default embedding is
  TF-IDF of words (`curation.embedding_model` for the paper's), the linkage Ward's, the member the one nearest to its
  cluster's mean, so the seed has no part in it.
- `likelihood`: the highest mean log-probability of the teacher's tokens (natural logarithm, over the whole reply,
  reasoning block included); of equals the earlier sample.
- `open-endedness`: questions of one task are ranked by the unique word bigrams of *all* their samples, cut into
  quintiles, and keep 1, 3, 5, 7, 9 rationales (a seeded draw) at the paper's budget of 5. Another budget b scales these
  to 0.2b … 1.8b, rounded symmetrically around b and never below 1. Quintiles are cut symmetrically too, so the mean
  stays b whatever the number of questions.

Draws rank samples by a hash of the seed and the sample, so a draw at a smaller budget is part of the one at a larger,
and a question's draw depends on no other question.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from symdistill.content import canonical_json
from symdistill.curation.settings import CurationSettings
from symdistill.curation.words import words
from symdistill.errors import ConfigError
from symdistill.records import Rationale

QUINTILE_SHARES = (0.2, 0.6, 1.0, 1.4, 1.8)
"""1, 3, 5, 7, 9 as parts of a budget of 5."""
SEEDED = ("random", "open-endedness")
"""Selections that another seed draws differently."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One question's rationales: `candidates` may be kept, `samples` are all the teacher gave."""

    task: str
    candidates: Sequence[Rationale]
    samples: Sequence[Rationale]


Chooser = Callable[[Pool, int], list[int]]
"""Gives the positions of a pool's candidates to keep, ascending, for a budget."""


class Openness(NamedTuple):
    """How open-ended a question of a task is: the unique word bigrams of all its samples."""

    task: str
    bigrams: int


def selector(settings: CurationSettings, seed: int) -> Chooser:
    """The selection of the settings; it raises ConfigError for `likelihood` without log-probabilities.

    Raises:
        ConfigError: an embedding model that cannot be loaded.
        PrerequisiteError: an embedding model without its package.
    """
    pick = _picker(settings, seed)

    def positions(pool: Pool, budget: int) -> list[int]:
        if settings.select == "likelihood":
            _require_logprobs(pool)
        if settings.select == "all" or budget >= len(pool.candidates):
            return list(range(len(pool.candidates)))
        return sorted(pick(pool.candidates, budget))

    return positions


def _picker(settings: CurationSettings, seed: int) -> Callable[[Sequence[Rationale], int], list[int]]:
    if settings.select == "likelihood":
        return _most_likely
    if settings.select == "diversity":
        from symdistill.curation.diversity import most_diverse  # numpy, which nothing else here needs

        return most_diverse(settings.embedding_model)
    return lambda candidates, budget: _draw(candidates, budget, seed)


def _draw(candidates: Sequence[Rationale], budget: int, seed: int) -> list[int]:
    def rank(position: int) -> tuple[str, int]:
        r = candidates[position]
        identity = canonical_json([seed, r.example_id, r.sample_index, r.key or r.text])
        return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest(), position

    return sorted(range(len(candidates)), key=rank)[:budget]


def _most_likely(candidates: Sequence[Rationale], budget: int) -> list[int]:
    likelihood = [_mean_logprob(r) for r in candidates]
    return sorted(range(len(candidates)), key=lambda position: (-likelihood[position], position))[:budget]


def _mean_logprob(rationale: Rationale) -> float:
    logprobs = rationale.token_logprobs or ()
    mean = sum(logprobs) / max(len(logprobs), 1)
    return mean if not math.isnan(mean) else -math.inf


def _require_logprobs(pool: Pool) -> None:
    """Raise even where every question has few enough rationales to keep them all: the setting would do nothing."""
    for rationale in pool.candidates:
        if not rationale.token_logprobs:
            raise ConfigError(
                "curation.select: likelihood needs token log-probabilities, and the teacher's reply "
                f"{rationale.sample_index} to {rationale.example_id!r} has none.",
                "Set `teacher.logprobs: true` and sample again, or choose another `curation.select`.",
            )


def pool_openness(pool: Pool) -> Openness | None:
    """How open-ended the question of a pool is; None where there is nothing to select from."""
    if not pool.candidates:
        return None
    return Openness(pool.task, len({bigram for r in pool.samples for bigram in pairwise(words(r.text))}))


def open_ended_budgets(questions: Iterable[Openness | None], budget: int) -> list[int]:
    """How many rationales each question may keep; 0 for one that has none."""
    per_quintile = quintile_budgets(budget)
    by_task: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    budgets = []
    for position, openness in enumerate(questions):
        budgets.append(0)
        if openness is not None:
            by_task[openness.task].append((openness.bigrams, position))
    for ranked in by_task.values():
        for rank, (_, position) in enumerate(sorted(ranked)):
            budgets[position] = per_quintile[(2 * rank + 1) * 5 // (2 * len(ranked))]
    return budgets


def quintile_budgets(budget: int) -> tuple[int, int, int, int, int]:
    """Rationales kept of a question, by quintile of open-endedness, the least open first; their mean is `budget`."""
    low, lower = (max(1, round(budget * share)) for share in QUINTILE_SHARES[:2])
    return low, lower, budget, 2 * budget - lower, 2 * budget - low
