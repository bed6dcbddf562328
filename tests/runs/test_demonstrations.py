"""Demonstrations that give held-out questions away are not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symdistill.errors import DataError
from symdistill.prompts import Demonstration, question_text
from symdistill.records import Example
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.teaching import teacher_requests
from symdistill.runs.workspace import Workspace, not_held_out

CHOICE = Example(
    "h1", "Where would you put a candle?", "B", "choice", {"A": "a shelf", "B": "a cake"}, instruction="Choose one."
)
LONG = Example("h2", "A farmer has 3 fields and ploughs 14 acres of each field every single day for 9 days. How many?")


@pytest.mark.parametrize(
    "question, stays",
    [
        ("Where would you put a candle?", False),
        ("where would you put a candle ?", False),
        (question_text(CHOICE), False),
        ("Where would you put a spoon?", True),
        (
            "Tell me. A farmer has 3 fields and ploughs 14 acres of each field every single day for 9 days. How many?",
            False,
        ),
        ("A farmer has 3 fields and ploughs 15 acres of each field every single day for 9 days. How many?", True),
    ],
)
def test_a_held_out_question_is_known_with_and_without_its_options(question: str, stays: bool) -> None:
    other = Demonstration("How many legs has a spider?", "8.")
    shown = (Demonstration(question, "Thus."), other)
    assert not_held_out(shown, [CHOICE, LONG]) == (shown if stays else (other,))


def test_the_teacher_is_not_shown_what_is_judged(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1), "split": "test" if n > 2 else "train"} for n in range(5)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = [{**row, "rationale": "Add one."} for row in (*rows[3:], {"question": "7 + 1?", "answer": "8"})]
    (tmp_path / "shown.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shown))
    prompts = {}
    for decontaminate in (True, False):
        config = parse_config(
            {
                "task": {"path": str(tmp_path / "q.jsonl"), "decontaminate": decontaminate},
                "teacher": {"model": "openai:x", "demonstrations": str(tmp_path / "shown.jsonl")},
                "method": "std-cot",
            }
        )
        work = Workspace(config, RunDirectory(tmp_path / "run"))
        prompts[decontaminate] = {m.content for r in teacher_requests(work, "openai:x") for m in r.messages}
    assert "7 + 1?" in prompts[True]
    assert not {"3 + 1?", "4 + 1?"} & prompts[True]
    assert {"3 + 1?", "4 + 1?"} <= prompts[False]


def test_missing_demonstrations_are_told_with_the_key_and_the_file_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "1?", "answer": "1"}\n' * 3)
    (tmp_path / "shown.jsonl").write_text("")
    missing = tmp_path / "shwon.jsonl"
    teacher = {"model": "openai:x", "demonstrations": str(missing)}
    config = parse_config({"task": {"path": str(tmp_path / "q.jsonl")}, "teacher": teacher, "method": "std-cot"})
    with pytest.raises(DataError) as caught:
        teacher_requests(Workspace(config, RunDirectory(tmp_path / "run")), "openai:x")
    told = f"There is no file {missing} (`teacher.demonstrations`). Did you mean {tmp_path / 'shown.jsonl'}?"
    assert str(caught.value) == told
