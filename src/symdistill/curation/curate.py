"""Rationales in; those to learn from, and those that were dropped with the reason, out.

What becomes of a rationale depends on the others of its question alone (for open-endedness also on a number of every
question), so `curate_stream` takes one question after the other and holds no more than one; `curate` is the same for
a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from symdistill.curation.difficulty import Difficulty, TaskSummary, question_difficulty, summarise
from symdistill.curation.filters import Verdict, exact_duplicates, fault, near_duplicates
from symdistill.curation.selection import Chooser, Openness, Pool, open_ended_budgets, pool_openness, selector
from symdistill.curation.settings import CurationSettings
from symdistill.records import Dropped, Example, Rationale


@dataclass(frozen=True, slots=True)
class Answered:
    """A question and every rationale about it, in any order.

    `example` is None where the question itself is not at hand; then there is a rationale at least.
    """

    example: Example | None
    rationales: Sequence[Rationale]


@dataclass(frozen=True, slots=True)
class CuratedQuestion:
    """What became of the rationales of one question, each once and by sample index in `kept` or `dropped`."""

    kept: list[Rationale]
    dropped: list[Dropped]
    difficulty: Difficulty


@dataclass(frozen=True, slots=True)
class Curated:
    """What curation decided. Every rationale given is in `kept` or in `dropped`, once.

    Both are ordered by question, then by sample index. `difficulty` has a row for every question.
    """

    kept: list[Rationale]
    dropped: list[Dropped]
    difficulty: list[Difficulty]

    def summary(self) -> list[TaskSummary]:
        """Counts by task: kept, dropped by reason, the spread of the share kept, questions lost."""
        return summarise(self.difficulty, self.kept, self.dropped)


def curate(
    rationales: Iterable[Rationale],
    examples: Sequence[Example],
    settings: CurationSettings,
    *,
    verify: bool,
    seed: int,
) -> Curated:
    """Judge every rationale (reasons and their order: `filters`), then select (`selection`).

    With `verify`, rationales whose answer is wrong are dropped; one of a question without gold answer cannot be judged
    and stays. Without it (SCoTD's few-shot setting) every rationale with a parsable answer stays; unparsable and cut
    ones are dropped all the same, since a student that learned them would learn not to answer or not to stop.
    `settings.verify` is the caller's to resolve. Within a question the order of the input does not matter but among
    equal sample indices: the earlier sample is the one that stays of a pair of duplicates.

    Raises:
        ConfigError, PrerequisiteError: the selection lacks log-probabilities, its model or its package.
    """
    by_id = {example.id: example for example in examples}
    groups: dict[str, list[Rationale]] = {example.id: [] for example in examples}
    for rationale in rationales:
        groups.setdefault(rationale.example_id, []).append(rationale)
    questions = [Answered(by_id.get(name), group) for name, group in groups.items()]
    curated = Curated([], [], [])
    for outcome in curate_stream(questions, settings, verify=verify, seed=seed):
        curated.kept.extend(outcome.kept)
        curated.dropped.extend(outcome.dropped)
        curated.difficulty.append(outcome.difficulty)
    return curated


def curate_stream(
    questions: Iterable[Answered], settings: CurationSettings, *, verify: bool, seed: int
) -> Iterator[CuratedQuestion]:
    """As `curate`, one question after the other: an outcome for each of `questions`, in their order.

    A question must come once, with all its rationales. The selection by open-endedness ranks the questions before it
    curates the first, so `questions` is read twice there and must not be an iterator.

    Raises:
        ValueError: open-endedness with `questions` that can be read only once.
        ConfigError, PrerequisiteError: as `curate`, and only when the question it is about comes.
    """
    choose = selector(settings, seed)
    budgets: Iterable[int] = repeat(settings.budget)
    if settings.select == "open-endedness":
        if iter(questions) is questions:
            raise ValueError("open-endedness reads the questions twice, which an iterator does not allow")
        budgets = open_ended_budgets((openness(q, settings, verify=verify) for q in questions), settings.budget)
    for question, budget in zip(questions, budgets, strict=False):
        yield curate_question(question, settings, choose, budget, verify=verify)


def openness(question: Answered, settings: CurationSettings, *, verify: bool) -> Openness | None:
    """What `open_ended_budgets` wants to know of a question; None where no rationale passes the filters."""
    return pool_openness(_screened(question, settings, verify=verify)[2])


def curate_question(
    question: Answered, settings: CurationSettings, choose: Chooser, budget: int, *, verify: bool
) -> CuratedQuestion:
    """What becomes of the rationales of one question. `choose` is the `selector` of the settings."""
    group, verdicts, pool = _screened(question, settings, verify=verify)
    candidates = [position for position in range(len(group)) if position not in verdicts]
    stays = {candidates[pick] for pick in choose(pool, budget)}
    passed_over = Verdict("not_selected", f"{settings.select}, budget {settings.budget}")
    kept, dropped = [], []
    for position, rationale in enumerate(group):
        if position in stays:
            kept.append(rationale)
        else:
            dropped.append(Dropped(rationale, *verdicts.get(position, passed_over)))
    named = question.example or group[0]
    name = question.example.id if question.example else group[0].example_id
    return CuratedQuestion(kept, dropped, question_difficulty(name, named.task, kept, dropped))


def _screened(
    question: Answered, settings: CurationSettings, *, verify: bool
) -> tuple[list[Rationale], dict[int, Verdict], Pool]:
    """The rationales by sample index, what the filters say of them by position, and what is left to select from."""
    group = sorted(question.rationales, key=lambda r: r.sample_index)
    verdicts = _screen(group, question.example, settings, verify=verify)
    candidates = [rationale for position, rationale in enumerate(group) if position not in verdicts]
    return group, verdicts, Pool(group[0].task if group else "", candidates, group)


def _screen(
    group: Sequence[Rationale], example: Example | None, settings: CurationSettings, *, verify: bool
) -> dict[int, Verdict]:
    """Verdicts by position for the rationales of one question that fail a filter; each sees what the last one left."""
    verdicts: dict[int, Verdict] = {}
    for position, rationale in enumerate(group):
        if verdict := fault(rationale, example, settings, verify=verify):
            verdicts[position] = verdict
    for find in (exact_duplicates, lambda rest: near_duplicates(rest, settings.near_duplicates)):
        left = [position for position in range(len(group)) if position not in verdicts]
        repeats = find([group[position] for position in left])
        verdicts.update({left[position]: verdict for position, verdict in repeats.items()})
    return verdicts
