"""What models are asked, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill import prompts
from symdistill.errors import DataError
from symdistill.records import Example, Message

CANDLE = Example("c1", "Where does a candle help?", "B", "choice", {"A": "at noon", "B": "in the dark"}, task="csqa")


def test_the_teacher_is_told_to_reason_and_to_end_in_the_cue() -> None:
    turns = prompts.teacher_messages(CANDLE)
    assert [t.role for t in turns] == ["system", "user"]
    assert "step by step" in turns[0].content
    assert "Therefore, the answer is X." in turns[0].content
    assert turns[1].content == "Where does a candle help?\n(A) at noon\n(B) in the dark"


def test_the_gold_answer_is_shown_only_when_asked_for() -> None:
    assert "correct answer" not in prompts.teacher_messages(CANDLE)[-1].content
    shown = prompts.teacher_messages(CANDLE, show_answer=True)[-1].content
    assert "The correct answer is B." in shown
    assert shown.endswith('"Therefore, the answer is B."')


def test_demonstrations_are_turns_of_their_task(tmp_path: Path) -> None:
    file = tmp_path / "shown.jsonl"
    file.write_text(
        '{"question": "q1", "rationale": "r1.", "answer": "A", "task": "csqa"}\n\n'
        '{"question": "q2", "rationale": "r2.", "answer": 7, "task": "sums"}\r\n'
        '{"question": "q3", "rationale": "r3.", "answer": 0}\n',
        encoding="utf-8-sig",
    )
    shown = prompts.read_demonstrations(file)
    turns = prompts.teacher_messages(CANDLE, instruction="", demonstrations=shown)
    assert turns[:-1] == (
        Message("user", "q1"),
        Message("assistant", "r1. Therefore, the answer is A."),
        Message("user", "q3"),
        Message("assistant", "r3. Therefore, the answer is 0."),
    )


def test_a_brace_in_an_answer_is_text() -> None:
    odd = Example("x", "q", "{answer}{0}")
    assert "{answer}{0}" in prompts.teacher_messages(odd, show_answer=True)[-1].content


@pytest.mark.parametrize(
    "text, says",
    [
        ('{"question": "q"}', "line 1: a demonstration without `rationale` and `answer`"),
        ('{"question": "q", "answer": "2"}', r"line 1: a demonstration without `rationale`\. A row looks like"),
        ('{"question": "q", "rationale": " ", "answer": "2"}', "without `rationale`"),
        ("nonsense", r"line 1: not valid JSON \(Expecting value"),
        ("[1]", "line 1"),
        ("", "no demonstrations"),
    ],
)
def test_a_faulty_demonstration_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "shown.jsonl"
    file.write_text(text)
    with pytest.raises(DataError, match=says):
        prompts.read_demonstrations(file)


def test_a_missing_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"teacher\.demonstrations"):
        prompts.read_demonstrations(tmp_path / "none.jsonl")


def test_the_student_reads_the_question_alone() -> None:
    assert prompts.student_messages(Example("x", " 2+3? ")) == (Message("user", "2+3?"),)
    with_task = Example("x", "2+3?", instruction="Add.")
    assert prompts.student_messages(with_task, instruction="Answer.") == (
        Message("system", "Answer."),
        Message("user", "Add.\n2+3?"),
    )
