"""Judging with knowledge: thresholds that are set, other bases that are tried, and how often an item was shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.items import KnowledgeItem
from symdistill.methods.base import Reply
from symdistill.records import Example
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.judging import held_out, items_shown
from symdistill.runs.pipeline import run_all
from symdistill.runs.workspace import Workspace

pytest.importorskip("torch")

from mistakes import configuration, teacher
from tiny import save_tiny

NESYCD = {"name": "nesycd", "dev_fraction": 0.25}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.mark.parametrize(
    "rows",
    [
        [{"question": "1 + 1?", "answer": "2"}],
        [{"question": "1 + 1?", "answer": "2", "split": "train"}, {"question": "2 + 1?", "split": "test"}],
    ],
    ids=["none held out", "none labelled"],
)
def test_without_a_question_to_check_against_the_way_out_fits(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = parse_config({"task": {"path": str(tmp_path / "q.jsonl")}, "method": "zero-shot"})
    with pytest.raises(DataError) as caught:
        held_out(Workspace(config, RunDirectory(tmp_path / "run")))
    assert str(caught.value).startswith("There is no held-out question with an answer to check against. Give two label")


def test_an_item_counts_once_a_question_whatever_the_decoding() -> None:
    questions = [Example(name, "?") for name in ("a", "b")]
    one, other = (KnowledgeItem(name, "summary", name, name, "sums") for name in ("k_1", "k_2"))
    greedy = [Reply((), knowledge=(one, other)), Reply((), knowledge=(one,))]
    vote = [Reply((), knowledge=(one,)), Reply(())]
    answered = {("m", "greedy"): greedy, ("m", "vote"): vote, ("n", "greedy"): vote}
    assert items_shown(answered, questions) == {"m": {"k_1": 2, "k_2": 1}, "n": {"k_1": 1}}


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> FinishedRun:
    """A gate whose threshold is set."""
    place = tmp_path_factory.mktemp("fixed")
    config = configuration(place, tiny, method={**NESYCD, "gate": "confidence", "threshold": 99})
    with teacher():
        return run_all(parse_config(config), place / "run")


def test_a_threshold_that_is_set_is_the_one_that_is_told(fixed: FinishedRun) -> None:
    told = json.loads(fixed.directory.calibration("nesycd").read_text())
    assert (told["threshold"], told["findings"]) == (99, [])
    assert told["calibration"]["choice"]["threshold"] == 0, "no reply of this student is right, whatever it is shown"
    assert "the configuration sets 99.0" in fixed.report.read_text()
    assert fixed.metrics[0]["retrieval_rate"] == 1


def test_another_base_is_gated_by_the_threshold_that_is_set(
    fixed: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    from symdistill.cli.main import main

    run = fixed.directory
    words = ["evaluate", str(run.config), "--run-dir", str(run.path), "--knowledge", str(run.path)]
    with teacher(), pytest.raises(SystemExit) as ended:
        main([*words, "--gate", "confidence"])
    assert ended.value.code == 0, capsys.readouterr().err
    rates = {row["method"]: row.get("retrieval_rate") for row in json.loads(run.metrics.read_text())}
    assert rates == {"nesycd": 1, "nesycd + knowledge (confidence)": 1}
    tried = {row["method"]: row.get("knowledge_base") for row in json.loads(run.metrics.read_text())}
    assert tried == {"nesycd": None, "nesycd + knowledge (confidence)": str(run.knowledge)}
    rows = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    assert {row["method"]: row.get("knowledge_base") for row in rows} == tried
    assert f"nesycd + knowledge (confidence) looks things up in {run.knowledge}." in fixed.report.read_text()
