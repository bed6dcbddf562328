"""Did the hard questions survive? What share of each question's samples curation kept.

Verification keeps easy questions: the harder one is, the fewer of the teacher's samples are right, down to none. The
table says for every question what is left of it, the summary how the questions of a task are spread.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from symdistill.curation.filters import REASONS, Reason
from symdistill.records import Dropped, Rationale

BINS: tuple[tuple[str, float], ...] = (
    ("0", 0.0),
    ("(0, .25]", 0.25),
    ("(.25, .5]", 0.5),
    ("(.5, .75]", 0.75),
    ("(.75, 1)", 1.0),
    ("1", 1.0),
)
"""Labels of the histogram and the upper end of each bin."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """One question: `samples` the teacher gave, how many had the right answer (None: no gold), how many were `kept`.

    `share` is kept / samples, None for a question without any reply. A selection or duplicates lower the share of easy
    questions too; `right` / samples does not depend on them. `dropped` counts reasons.
    """

    id: str
    task: str
    samples: int
    right: int | None
    kept: int
    share: float | None
    dropped: Mapping[Reason, int]


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task: questions and rationales, reasons for drops, and the spread of the share kept.

    `histogram` counts questions with at least one reply by share kept (labels as in `BINS`). `lost` names those that
    kept nothing, `unanswered` those without any reply. `unjudged` rationales had no gold answer to be judged against.
    """

    task: str
    questions: int
    rationales: int
    kept: int
    unjudged: int
    dropped: Mapping[Reason, int]
    histogram: Mapping[str, int]
    lost: tuple[str, ...]
    unanswered: tuple[str, ...]


def question_difficulty(name: str, task: str, kept: Sequence[Rationale], dropped: Sequence[Dropped]) -> Difficulty:
    """The row of one question; both sequences are empty for one without any reply."""
    judged = [r.correct for r in kept if r.correct is not None]
    judged += [d.rationale.correct for d in dropped if d.rationale.correct is not None]
    reasons = Counter(drop.reason for drop in dropped)
    samples = len(kept) + len(dropped)
    return Difficulty(
        id=name,
        task=task,
        samples=samples,
        right=sum(judged) if judged else None,
        kept=len(kept),
        share=len(kept) / samples if samples else None,
        dropped={reason: reasons[reason] for reason in REASONS if reasons[reason]} if reasons else {},
    )


def summarise(
    difficulty: Sequence[Difficulty], kept: Iterable[Rationale], dropped: Iterable[Dropped]
) -> list[TaskSummary]:
    """One summary a task, in the order the tasks appear."""
    unjudged: Counter[str] = Counter()
    for rationale in [*kept, *(drop.rationale for drop in dropped)]:
        unjudged[rationale.task] += rationale.correct is None
    by_task: defaultdict[str, list[Difficulty]] = defaultdict(list)
    for row in difficulty:
        by_task[row.task].append(row)
    summaries = []
    for task, rows in by_task.items():
        reasons: Counter[Reason] = Counter()
        for row in rows:
            reasons.update(row.dropped)
        spread = Counter(share_bin(row.share) for row in rows if row.share is not None)
        summaries.append(
            TaskSummary(
                task=task,
                questions=len(rows),
                rationales=sum(row.samples for row in rows),
                kept=sum(row.kept for row in rows),
                unjudged=unjudged[task],
                dropped={reason: reasons[reason] for reason in REASONS if reasons[reason]},
                histogram={label: spread[label] for label, _ in BINS},
                lost=tuple(row.id for row in rows if row.samples and not row.kept),
                unanswered=tuple(row.id for row in rows if not row.samples),
            )
        )
    return summaries


def share_bin(share: float) -> str:
    """The label of the histogram's bin a share between 0 and 1 falls into."""
    if share >= 1:
        return BINS[-1][0]
    return next(label for label, upper in BINS if share <= upper)
