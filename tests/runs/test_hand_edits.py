"""Rationales a person has edited: kept by `run`, trained on, written anew by `curate` alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import DataError
from symdistill.progress import Silent
from symdistill.runs.config import RunConfig, parse_config
from symdistill.runs.pipeline import run_all
from symdistill.runs.teaching import curate_replies, kept_for, pool, sample_teacher
from symdistill.runs.workspace import workspace

KEPT = "was edited by hand and is kept"


class Notes(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def configuration(tmp_path: Path, rows: list[dict[str, Any]], **changes: Any) -> RunConfig:
    held_out = {"id": "held", "question": "What is one less than one?", "answer": "0", "split": "test"}
    file = tmp_path / "q.jsonl"
    file.write_text("".join(json.dumps({"split": "train"} | row) + "\n" for row in [*rows, held_out]))
    return parse_config(
        {
            "task": {"path": str(file), "decontaminate": False},
            "teacher": {"model": "dataset"},
            "method": "scotd",
            "training": {"max_steps": 1, "bf16": False},
            "evaluation": {"max_new_tokens": 4},
            **changes,
        }
    )


def rationale(number: int, words: str = "") -> str:
    return f"{words}{number} and one make {number + 1}. Therefore, the answer is {number + 1}."


QUESTIONS = [
    {"id": f"q{n}", "question": f"One more than {n}?", "answer": str(n + 1), "rationales": [rationale(n)]}
    for n in range(6)
]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    pytest.importorskip("torch")
    from tiny import save_tiny

    return configuration(tmp_path, QUESTIONS, student={"model": str(save_tiny(tmp_path / "tiny"))})


def examples(run: Path) -> int:
    card = json.loads((run / "student" / "symdistill.json").read_text())
    return int(card["examples"])


def test_an_edited_file_is_kept_and_trained_on_until_curate_writes_it_anew(tmp_path: Path, config: RunConfig) -> None:
    run, notes = tmp_path / "run", Notes()
    run_all(config, run, notes)
    file = run / "rationales.jsonl"
    written = file.read_text()
    assert (examples(run), len(written.splitlines())) == (6, 6)
    assert [note for note in notes.said if "scotd, smoke check on training questions: 4 of 4 replies" in note]
    assert not [note for note in notes.said if KEPT in note]

    row = json.loads(written.splitlines()[0]) | {"rationale": rationale(0, "By hand: ")}
    edited = "".join(line + "\n" for line in [json.dumps(row), *written.splitlines()[1:3]])
    file.write_text(edited)
    run_all(config, run, notes)
    assert [note for note in notes.said if KEPT in note and "symdistill curate" in note]
    assert file.read_text() == edited
    assert examples(run) == 3
    with workspace(config, run) as work:
        [method] = work.methods
        assert kept_for(work, method, pool(work))[0].text.startswith("By hand: ")

    with workspace(config, run) as work:
        curate_replies(work)
    assert file.read_text() == written
    notes.said.clear()
    run_all(config, run, notes)
    assert examples(run) == 6
    assert not [note for note in notes.said if KEPT in note]


@pytest.mark.parametrize(
    "line, says",
    [
        ("not json", "not valid JSON"),
        ('{"id": "q0", "question": "?"}', "the row has no `rationale`"),
        ('{"id": "q0", "question": "?", "rational": "x", "answer": "1"}', "Did you mean it by `rational`?"),
        ('{"id": "q0", "question": "?", "rationale": 3, "answer": "1"}', "`rationale` must be a text, not 3"),
        ('["q0"]', "a row must be a JSON object"),
        ('{"id": "held", "question": "?", "rationale": "x 1", "answer": "1"}', "`held`, which is no training question"),
    ],
)
def test_a_bad_line_is_an_error_with_its_file_and_nothing_is_trained(
    tmp_path: Path, config: RunConfig, line: str, says: str
) -> None:
    run = tmp_path / "run"
    with workspace(config, run) as work:
        sample_teacher(work)
        curate_replies(work)
    file = run / "rationales.jsonl"
    file.write_text("\n".join([*file.read_text().splitlines()[:2], line, ""]))
    with pytest.raises(DataError) as caught:
        run_all(config, run)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)
    assert "held" in says or f"{file}, line 3" in str(caught.value)
    assert not (run / "student").exists()


def test_an_emptied_file_is_named(tmp_path: Path, config: RunConfig) -> None:
    run = tmp_path / "run"
    with workspace(config, run) as work:
        sample_teacher(work)
        curate_replies(work)
    (run / "rationales.jsonl").write_text("")
    with pytest.raises(DataError, match=r"nothing to learn from: rationales\.jsonl in the run directory holds nothing"):
        run_all(config, run)


def open_question(number: int, vocabulary: int, wrong: int = 0) -> dict[str, Any]:
    """Ten rationales in two words more than `vocabulary`; so many more, with a wrong answer, in words of their own."""
    words = [f"w{chr(97 + i)}" for i in range(vocabulary)]
    right = [" ".join(words[i % vocabulary :] + words[: i % vocabulary] + ["so"] * (i + 1)) for i in range(10)]
    other = [" ".join(f"x{chr(97 + n)}{chr(97 + i)}" for i in range(26)) for n in range(wrong)]
    return {
        "id": f"q{number}",
        "question": f"Question {number}?",
        "answer": "1",
        "rationales": [f"{text}. Therefore, the answer is 1." for text in right]
        + [f"{text}. Therefore, the answer is 2." for text in other],
    }


@pytest.mark.parametrize("methods", [["scotd"], ["std-cot", "scotd"]], ids=["alone", "with others"])
def test_open_endedness_counts_all_samples_of_a_question_in_a_run_of_several_methods_too(
    tmp_path: Path, methods: list[str]
) -> None:
    """Question 0 is the least open by its right samples and the most open by all of them."""
    rows = [open_question(0, 2, wrong=9), *(open_question(n, 3 + 2 * n) for n in range(1, 5))]
    chosen = {"name": "scotd", "curation": {"select": "open-endedness", "near_duplicates": 1.0}}
    config = configuration(
        tmp_path,
        rows,
        method=None,
        methods=[chosen if name == "scotd" else name for name in methods],
        curation={"near_duplicates": 1.0},
    )
    with workspace(config, tmp_path / "run") as work:
        sample_teacher(work)
        curate_replies(work)
        kept = kept_for(work, work.methods[-1], pool(work))
    assert all(r.correct for r in kept)
    assert [sum(r.example_id == f"q{n}" for r in kept) for n in range(5)] == [9, 1, 3, 5, 7]
