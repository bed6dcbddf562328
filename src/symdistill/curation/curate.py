"""A list of rationales in; those to learn from, and those that were dropped with the reason, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symdistill.curation.difficulty import Difficulty, TaskSummary, difficulty_table, summarise
from symdistill.curation.filters import Verdict, exact_duplicates, fault, near_duplicates
from symdistill.curation.selection import Pool, select
from symdistill.curation.settings import CurationSettings
from symdistill.records import Dropped, Example, Rationale


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

    screened = []
    for name, group in groups.items():
        if group:
            group.sort(key=lambda r: r.sample_index)
            screened.append((group, _screen(group, by_id.get(name), settings, verify=verify)))
    pools = [
        Pool(group[0].task, [r for position, r in enumerate(group) if position not in verdicts], group)
        for group, verdicts in screened
    ]
    chosen = select(pools, settings, seed)

    kept: list[Rationale] = []
    dropped: list[Dropped] = []
    passed_over = Verdict("not_selected", f"{settings.select}, budget {settings.budget}")
    for (group, verdicts), picks in zip(screened, chosen, strict=True):
        candidates = [position for position in range(len(group)) if position not in verdicts]
        stays = {candidates[pick] for pick in picks}
        for position, rationale in enumerate(group):
            if position in stays:
                kept.append(rationale)
            else:
                dropped.append(Dropped(rationale, *verdicts.get(position, passed_over)))
    return Curated(kept, dropped, difficulty_table(examples, kept, dropped))


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
