"""What a student keeps of its teacher: the share of the teacher's accuracy, beside the share of its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symdistill.evaluation.figures import NOTHING, accuracy_interval, percent, scaled
from symdistill.evaluation.metrics import TEACHER, MetricRow, decoding_name
from symdistill.evaluation.scoring import Scored
from symdistill.evaluation.statistics import paired_ratio
from symdistill.evaluation.tables import Table


def with_teacher_share(scored: Sequence[Scored], *, confidence: float = 0.95, seed: int = 0) -> list[Scored]:
    """The same results; where the teacher answered the questions too, each row about all questions says what share of
    the teacher's accuracy it is. Questions that only one of the two was judged on are left out."""
    teacher = next((one for one in scored if one.row.method == TEACHER), None)
    if teacher is None:
        return list(scored)
    right = {prediction.example_id: prediction.correct for prediction in teacher.predictions}
    found = []
    for one in scored:
        pairs = [(p.correct, right[p.example_id]) for p in one.predictions if p.example_id in right]
        if one is teacher or not any(by_teacher for _, by_teacher in pairs):
            found.append(one)
            continue
        own, other = [mine for mine, _ in pairs], [by_teacher for _, by_teacher in pairs]
        interval = paired_ratio(own, other, confidence=confidence, seed=seed)
        row = replace(
            one.row,
            teacher_share=sum(own) / sum(other),
            teacher_share_low=interval.low,
            teacher_share_high=interval.high,
        )
        found.append(replace(one, row=row))
    return found


def retained_table(rows: Sequence[MetricRow]) -> Table:
    """One line a method: accuracy, the share of the teacher's, and the two sizes; empty where no teacher answered."""
    teacher = next((row for row in rows if row.method == TEACHER), None)
    if teacher is None or not any(row.teacher_share is not None for row in rows):
        return []
    level = f"{100 * teacher.confidence:g}%"
    table = [["method", "decoding", "accuracy", f"of the teacher's, % ({level})", "weights", "of the teacher's, %"]]
    for row in rows:
        kept = NOTHING
        if row.teacher_share is not None:
            kept = accuracy_interval(row.teacher_share, row.teacher_share_low or 0.0, row.teacher_share_high or 0.0)
        size = NOTHING
        if row.parameters and teacher.parameters and row is not teacher:
            size = percent(row.parameters / teacher.parameters)
        table.append([row.method, decoding_name(row), percent(row.accuracy), kept, scaled(row.parameters), size])
    return table
