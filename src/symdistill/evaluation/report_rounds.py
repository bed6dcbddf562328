"""Rounds of learning from one's own replies, as people read them: in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from symdistill.evaluation.figures import NOTHING, accuracy_interval, clean, count, percent
from symdistill.evaluation.report_data import RoundRow, RoundsSummary
from symdistill.evaluation.statistics import wilson
from symdistill.evaluation.tables import Table

_STOPPED = {
    "hacking": "The rounds were stopped: the mean reward of the last student rose while its audited accuracy fell by "
    "more than chance (McNemar's exact test, one-sided, p < 0.05), which is what learning to please the reward looks "
    "like. That student was put aside.",
    "plateau": "The rounds ended early: two of them running brought no gain in audited accuracy worth the name.",
    "nothing kept": "The rounds ended early: the replies of the last student left nothing to learn.",
    "rounds": "All rounds that were asked for were run.",
}
LEARNED = {"expert-iteration": "replies", "dpo": "pairs", "kto": "verdicts", "grpo": "replies"}
"""What a round of each algorithm learns, in the plural."""

_HOW = {
    "expert-iteration": "Expert iteration: each round learns the right replies of the student before it.",
    "dpo": "DPO: each round goes on from the student before it, its reference, and learns pairs of that one's replies.",
    "kto": "KTO: each round goes on from the student before it, its reference, and learns which of that one's replies "
    "are right.",
    "grpo": "GRPO: each round goes on from the student before it, by the rewards of replies drawn while it learns; "
    "learned are those in a group of different rewards.",
}


def rounds_section(summary: RoundsSummary) -> Mapping[str, Any]:
    """A few sentences, and the table."""
    held = f" β is {summary.beta:g}." if summary.algorithm != "expert-iteration" else ""
    told = f"{_HOW[summary.algorithm]}{held} {outcome(summary)}"
    return {"method": clean(summary.method, 80), "outcome": told, "rows": rounds_table(summary)}


def outcome(summary: RoundsSummary) -> str:
    """Why there were no more rounds, and what came of those there were."""
    kept = (
        f"Student {summary.chosen} is the method's: the best audited."
        if summary.chosen
        else "No round improved on student 0 where it was audited, and student 0 is the method's."
    )
    said = [_STOPPED.get(summary.stopped, clean(summary.stopped, 80)), kept, *_falls(summary), *_graph(summary)]
    if not summary.gated:
        said.insert(0, "This is a control: a critic alone rewarded the replies, right or wrong.")
    return " ".join(said)


def _falls(summary: RoundsSummary) -> Iterator[str]:
    """Rounds that brought more reward and fewer audited answers, and were not stopped for it."""
    for before, row in pairwise(summary.rows):
        stopped = summary.stopped == "hacking" and row is summary.rows[-1]
        if row.reward > before.reward and row.audited < before.audited and not stopped:
            yield (
                f"Student {row.student} had more reward than the one before it and {before.audited - row.audited:,} of "
                f"{row.audit:,} audited answers fewer right, too few to tell from chance or to stop for."
            )


def _graph(summary: RoundsSummary) -> Iterator[str]:
    checked = [row for row in summary.rows if row.checkable is not None]
    if checked:
        replies, said = sum(row.replies for row in checked), sum(row.checkable or 0 for row in checked)
        yield f"The graph could check something in {said:,} of the {replies:,} replies ({share(said, replies)}%)."


def rounds_table(summary: RoundsSummary) -> Table:
    """One line a student; the one that was chosen has a star."""
    learned_from = ["threshold", "learned", "yield", "questions", "new"]
    table = [["student", *learned_from, "audited (95%)", "right", "solved", "reward", "different", "replies"]]
    for row in summary.rows:
        learned = [NOTHING] * 5
        if row.judged:
            passed = NOTHING if row.threshold is None else f"{row.threshold:.2f}"
            learned = [passed, count(row.kept), share(row.kept, row.judged), count(row.questions)]
            learned.append(NOTHING if row.threshold is None else share(row.novel, row.kept))
        drawn = [share(row.right, row.replies), share(row.solved, row.asked), f"{row.reward:.2f}".replace("-", "−")]
        drawn += [share(row.unique, row.replies), count(row.replies)]
        star = "*" if row.student == summary.chosen else ""
        table.append([f"{row.student}{star}", *learned, audited(row), *drawn])
    return table


def audited(row: RoundRow) -> str:
    """ "25.0 [9.1, 52.2]", in percent."""
    interval = wilson(row.audited, row.audit)
    return accuracy_interval(row.audited / row.audit, interval.low, interval.high) if row.audit else NOTHING


def share(part: int, whole: int) -> str:
    """A share in percent; a dash of nothing."""
    return percent(part / whole) if whole else NOTHING
