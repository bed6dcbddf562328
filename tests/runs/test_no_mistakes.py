"""A first student that answers all its training questions rightly leaves nothing to write notes about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from mistakes import configuration, teacher
from scripted import Told
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import run_all
from tiny import save_tiny

ANSWER = "Therefore, the answer is 5."
EASY = {"max_steps": 24, "learning_rate": 0.03, "per_device_train_batch_size": 8, "bf16": False}
NESYCD = {"name": "nesycd", "dev_fraction": 0.25}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def easy(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    """Questions that have one answer, which a tiny student soon gives to all of them."""
    found = configuration(place, tiny, training=EASY, evaluation={"max_new_tokens": 32}, **changes)
    file = place / "q.jsonl"
    rows = [json.loads(line) | {"answer": "5"} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[str], int]:
    """The run, what it noted, and the number of the teacher's replies."""
    place, noted = tmp_path_factory.mktemp("easy"), Told()
    methods = [{**NESYCD, "label": gate, "gate": gate} for gate in ("confidence", "always")]
    with teacher(lambda _: ANSWER) as model:
        finished = run_all(parse_config(easy(place, tiny, method=None, methods=methods)), place / "run", noted)
    return finished, noted.notes, len(model.requests)


def test_the_run_goes_on_and_what_is_left_of_it_is_std_cot(run: tuple[FinishedRun, list[str], int]) -> None:
    finished, _, asked = run
    told = json.loads((finished.directory.path / "knowledge.json").read_text())
    assert (told["asked"], told["errors"], told["replies"], asked) == (9, 0, 0, 12)
    with KnowledgeBase(finished.directory.knowledge, create=False) as base:
        assert base.items(status=None) == []
    rows = {row["method"]: row for row in finished.metrics if "task" not in row}
    assert {(row["accuracy"], row["retrieval_rate"]) for row in rows.values()} == {(1, 0)}
    assert set(rows) == {"confidence", "always"}
    answer = finished.student("always").answer("What do 2 and 3 make?", answer_type="number")
    assert (answer.answer, answer.knowledge) == ("5", ())


def test_it_says_so_and_what_to_do(run: tuple[FinishedRun, list[str], int]) -> None:
    finished, notes, _ = run
    said = (
        "The first student of confidence got all 9 questions it was asked right. Without a mistake there are no"
        " notes: whoever was to learn from them learns what std-cot learns, and finds nothing to look up. More or"
        " harder training questions bring mistakes."
    )
    assert sum(said in note for note in notes) == 1
    page = finished.report.read_text()
    assert page.count(said) == 1
    assert "The first student got no training question wrong, and nothing was written." in page


def test_an_item_written_by_hand_is_looked_up_all_the_same(run: tuple[FinishedRun, list[str], int]) -> None:
    finished, _, asked = run
    with KnowledgeBase(finished.directory.knowledge) as base:
        base.add([KnowledgeItem("k_hand", "summary", "Make", "What numbers make is their sum.", "sums")], by="ann")
    noted = Told()
    with teacher(lambda _: ANSWER) as model:
        again = run_all(finished.config, finished.directory.path, noted)
    assert (asked, len(model.requests)) == (12, 0)
    assert not any("Without a mistake" in note for note in noted.notes)
    rows = {row["method"]: row for row in again.metrics if "task" not in row}
    assert rows["always"]["retrieval_rate"] == 1
