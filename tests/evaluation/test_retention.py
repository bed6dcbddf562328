"""What is kept of the teacher's accuracy, beside the sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.retention import retained_table, with_teacher_share
from symdistill.evaluation.scoring import Scored, score
from symdistill.evaluation.statistics import paired_ratio
from symdistill.records import Completion, Example

QUESTIONS = [Example(id=f"q{n}", task="t", question="?", answer="yes", answer_type="label") for n in range(40)]


def scored(method: str, right: int, parameters: float | None = None) -> Scored:
    replies = [[Completion("", f"The answer is {'yes' if n < right else 'no'}.")] for n in range(40)]
    return score(QUESTIONS, replies, method, parameters=parameters)


def test_the_share_of_the_teacher_s_accuracy_stands_in_each_row() -> None:
    teacher, student = with_teacher_share([scored("teacher", 32, 1.5e9), scored("std-cot", 24, 1.35e8)])
    assert teacher.row.teacher_share is None
    assert student.row.teacher_share == pytest.approx(0.75)
    assert student.row.teacher_share_low is not None
    assert student.row.teacher_share_high is not None
    assert student.row.teacher_share_low < 0.75 < student.row.teacher_share_high < 1
    table = retained_table([teacher.row, student.row])
    assert table[1] == ["teacher", "greedy", "80.0", "–", "1.5 G", "–"]
    assert table[2][:2] == ["std-cot", "greedy"]
    assert table[2][3].startswith("75.0 [")
    assert table[2][4:] == ["135 M", "9.0"]


def test_without_a_teacher_or_a_right_answer_of_it_nothing_is_said() -> None:
    alone = with_teacher_share([scored("std-cot", 24)])
    assert alone[0].row.teacher_share is None
    assert retained_table([alone[0].row]) == []
    none = with_teacher_share([scored("teacher", 0), scored("std-cot", 24)])
    assert retained_table([one.row for one in none]) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_interval_of_a_ratio_holds_the_ratio(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    if not any(second):
        with pytest.raises(ValueError, match="ratio"):
            paired_ratio(first, second)
        return
    interval = paired_ratio(first, second, resamples=400)
    assert 0 <= interval.low <= interval.high
    if first == second:
        assert (interval.low, interval.high) == (1, 1)


def test_the_interval_of_a_ratio_by_hand() -> None:
    """Of 1,000 questions with both shares far from 0 the ratio is nearly normal (delta method)."""
    first, second = [n < 600 for n in range(1000)], [n % 4 != 0 for n in range(1000)]
    both = sum(a and b for a, b in zip(first, second, strict=True)) / 1000
    variance = (0.6 * 0.4 / 0.36 + 0.75 * 0.25 / 0.75**2 - 2 * (both - 0.45) / 0.45) / 1000
    half = 1.96 * 0.8 * variance**0.5
    interval = paired_ratio(first, second)
    assert interval.low == pytest.approx(0.8 - half, abs=0.01)
    assert interval.high == pytest.approx(0.8 + half, abs=0.01)
