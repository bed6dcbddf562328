"""Runs with knowledge, end to end: another server for the notes, stops on the way, other arms and other retrieval."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from symdistill.knowledge.base import KnowledgeBase
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import build_knowledge, run_all
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from loopback import LoopbackServer
from mistakes import NOTES, configuration, teacher
from tiny import save_tiny
from tiny_encoder import save_encoder

NESYCD = {"name": "nesycd", "dev_fraction": 0.25}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def rationale(prompt: str, _seed: int) -> str:
    a, b = (int(word) for word in prompt.replace("?", " ").split() if word.isdigit())
    return f"{a} + {b} = {a + b}. Therefore, the answer is {a + b}."


def notes(prompt: str, _seed: int) -> str:
    return NOTES.format(n=len(prompt))


@pytest.mark.slow
def test_notes_come_from_the_server_of_the_analysis(tmp_path: Path, tiny: Path) -> None:
    with LoopbackServer(reply=rationale) as teaching, LoopbackServer(reply=notes, plan="ok*2,500,drop") as analysing:
        config = configuration(
            tmp_path,
            tiny,
            teacher={"model": "openai:loopback", "base_url": teaching.base_url},
            method={**NESYCD, "analysis": {"model": "openai:other", "base_url": analysing.base_url}},
        )
        for _ in range(2):
            with workspace(parse_config(config), tmp_path / "run") as work:
                [path] = build_knowledge(work)
    assert teaching.served == 12
    assert not any("<student_reply>" in call.prompt for call in teaching.calls)
    answered = [call for call in analysing.calls if call.replied and call.step == "ok"]
    assert len({call.prompt for call in answered}) == 9, "what failed was asked again"
    assert len(answered) == 9, "and nothing was bought twice"
    assert {call.body["model"] for call in analysing.calls} == {"other"}
    with KnowledgeBase(path, create=False) as base:
        items = base.items(status=None)
    assert {source.model for item in items for source in item.provenance} == {"openai:other"}


def snapshot(path: Path) -> list[tuple[Any, ...]]:
    with KnowledgeBase(path, create=False) as base:
        return [(i.id, i.text, i.status, i.flags, i.provenance, i.version) for i in base.items(status=None)]


@pytest.mark.slow
def test_a_stop_at_any_point_loses_nothing_and_buys_nothing_twice(tmp_path: Path, tiny: Path) -> None:
    same = "Learning Summary:\n1. Add both numbers with care.\n\nSupplementary Knowledge:\n- Adding 0 changes nothing."
    places = (
        "symdistill.runs.knowing.items_from",
        "symdistill.runs.knowing.KnowledgeBase.add",
        "symdistill.runs.noting.refine",
        "symdistill.runs.knowing.KnowledgeBase.apply",
        "symdistill.runs.noting.write_json",
    )
    config = parse_config(configuration(tmp_path, tiny))

    def script(request: Any) -> str:
        text = request.messages[-1].content
        return same if "<student_reply>" in text else rationale(text, 0)

    with teacher(script) as model, workspace(config, tmp_path / "run") as work:
        [path] = build_knowledge(work)
        whole, asked = snapshot(path), len(model.requests)
        assert {flags for _, _, _, flags, _, _ in whole} == {(), ("merged",)}
        for place in places:
            for file in path.parent.glob("knowledge.*"):
                file.unlink()
            with mock.patch(place, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
                build_knowledge(work)
            assert build_knowledge(work) == [path]
            assert snapshot(path) == whole, f"after a stop at {place}"
        assert len(model.requests) == asked


def test_a_student_may_start_from_the_general_one_which_saw_no_dev_question(tmp_path: Path, tiny: Path) -> None:
    method = {**NESYCD, "gate": "always", "init_from": "general", "general": {"max_steps": 3}}
    with teacher():
        finished = run_all(parse_config(configuration(tmp_path, tiny, method=method)), tmp_path / "run")
    run = finished.directory
    card = json.loads((run.path / "student" / "symdistill.json").read_text())
    assert card["base"].startswith(f"transformers:{run.general('nesycd').name}#")
    general = json.loads((run.general("nesycd") / "symdistill.json").read_text())
    assert general["examples"] == 9, "of twelve questions, three are kept for calibration"
    rows = [json.loads(line) for line in run.training.read_text().splitlines()]
    assert {row["method"] for row in rows} == {"nesycd-general", "nesycd"}
    assert max(row["step"] for row in rows if row["method"] == "nesycd-general") == 3
    assert finished.metrics[0]["retrieval_rate"] == 1


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Any]:
    """A run with hybrid retrieval and a threshold that is set, beside std-cot."""
    place = tmp_path_factory.mktemp("fixed")
    encoder = save_encoder(place / "encoder")
    methods = ["std-cot", {**NESYCD, "threshold": 50.0}]
    retrieval = {"method": "hybrid", "embedding_model": str(encoder)}
    config = configuration(place, tiny, method=None, methods=methods, knowledge={"retrieval": retrieval})
    with teacher():
        yield run_all(parse_config(config), place / "run")


def test_a_threshold_that_is_set_is_the_one_the_report_names(fixed: Any) -> None:
    page = fixed.directory.report.read_text()
    assert "This is not the threshold in use: the configuration sets 50.0" in page or "sets the threshold 50.0" in page
    told = json.loads(fixed.directory.calibration("nesycd").read_text())
    assert told["calibration"] is not None, "what the rule would choose stays on record"


def test_items_are_found_by_hybrid_retrieval(fixed: Any) -> None:
    rows = [json.loads(line) for line in (fixed.directory.path / "predictions.jsonl").read_text().splitlines()]
    assert "hybrid" in fixed.directory.config.read_text()
    calibration = json.loads(fixed.directory.calibration("nesycd").read_text())
    assert all(len(row["items"]) == 2 for row in calibration["dev"]), "a summary and a supplementary note each"
    assert {row["method"] for row in rows} == {"std-cot", "nesycd"}


def test_evaluate_puts_the_gate_before_every_trained_student(fixed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from symdistill.cli.main import main

    run = fixed.directory
    words = ["evaluate", str(run.config), "--run-dir", str(run.path), "--knowledge", str(run.path)]
    for threshold, rate in ((100, 1.0), (0, 0.0)):
        with teacher(), pytest.raises(SystemExit) as ended:
            main([*words, "--gate", "confidence", "--threshold", str(threshold)])
        assert ended.value.code == 0, capsys.readouterr().err
        rates = {row["method"]: row.get("retrieval_rate") for row in json.loads(run.metrics.read_text())}
        assert rates["std-cot + knowledge (confidence)"] == rate
        assert rates["std-cot"] is None
