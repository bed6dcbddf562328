"""From the store to the files of curation, a few questions at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import DataError
from symdistill.records import Completion, Failure
from symdistill.runs.config import parse_config
from symdistill.runs.teaching import curate_replies, requests_about
from symdistill.runs.workspace import workspace

MODEL = "openai:teacher"


def configuration(tmp_path: Path, questions: int, **curation: Any) -> Any:
    rows = [
        {"id": f"q{n}", "question": f"What is {n % 400} + 1?", "answer": str(n % 400 + 1), "split": "train"}
        for n in range(questions)
    ]
    rows.append({"id": "held", "question": "What is 1 - 1?", "answer": "0", "split": "test"})
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return parse_config(
        {
            "task": {"path": str(tmp_path / "q.jsonl")},
            "teacher": {"model": MODEL, "base_url": "http://127.0.0.1:9/v1", "samples": 3},
            "curation": curation,
        }
    )


def curated(tmp_path: Path, questions: int, processes: int | None = None, **curation: Any) -> dict[str, Any]:
    """Curate a store where question n has a right reply, a wrong one, and a failure instead of a third."""
    config = configuration(tmp_path, questions, **curation)
    with workspace(config, tmp_path / "run", needs_method=False) as work:
        for example in work.task.train:
            number = int(example.answer or 0) - 1
            right, wrong, failed = requests_about(work, MODEL, example)
            text = f"{number} + 1 is {{}}. Therefore, the answer is {{}}."
            replies = [
                (right, Completion(right.key, text.format(number + 1, number + 1), None, "stop", 10, 5, cost_usd=0.5)),
                (wrong, Completion(wrong.key, text.format(number + 2, number + 2), None, "stop", 10, 5, cost_usd=0.5)),
                (failed, Failure(failed.key, "refused", "no")),
            ]
            work.store.add(replies, "test")
        curate_replies(work, processes)
    told: dict[str, Any] = json.loads((tmp_path / "run" / "curation.json").read_text())
    return told


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("select", ["all", "open-endedness"])
def test_what_is_stored_is_counted_and_written_in_the_order_of_the_questions(tmp_path: Path, select: str) -> None:
    told = curated(tmp_path, 350, select=select)
    assert (told["requested"], told["replies"], told["failures"]) == (1050, 700, {"refused": 350})
    assert (told["cost_usd"], told["prompt_tokens"], told["completion_tokens"]) == (350.0, 7000, 3500)
    assert len(told["difficulty"]) == 350
    assert told["difficulty"][0] == {
        "id": "q0",
        "task": "task",
        "samples": 2,
        "right": 1,
        "kept": 1,
        "share": 0.5,
        "dropped": {"wrong": 1},
    }
    names = [row["id"] for row in told["difficulty"]]
    assert ids(tmp_path / "run" / "rationales.jsonl") == names
    assert ids(tmp_path / "run" / "dropped.jsonl") == names


def test_replies_that_questions_share_count_once(tmp_path: Path) -> None:
    told = curated(tmp_path, 410)  # ten ask what ten others ask
    assert (told["requested"], told["replies"], told["failures"]) == (1230, 800, {"refused": 400})
    assert sum(row["samples"] for row in told["difficulty"]) == 820


def test_several_processes_write_the_same_files(tmp_path: Path) -> None:
    written = []
    for processes in (1, 2):
        (tmp_path / str(processes)).mkdir()
        curated(tmp_path / str(processes), 450, processes)
        run = tmp_path / str(processes) / "run"
        written.append([(run / name).read_bytes() for name in ("rationales.jsonl", "dropped.jsonl", "curation.json")])
    assert written[0] == written[1]


def test_an_empty_store_changes_no_file(tmp_path: Path) -> None:
    told = curated(tmp_path, 3)
    assert told["replies"] == 6
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").glob("*.json*")}
    (tmp_path / "run" / "store.sqlite").unlink()
    config = configuration(tmp_path, 3)
    with (
        workspace(config, tmp_path / "run", needs_method=False) as work,
        pytest.raises(DataError, match="no reply of this teacher"),
    ):
        curate_replies(work)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").glob("*.json*")} == before
