"""symdistill from a notebook, where an event loop runs already: everything is called as in a plain program."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import symdistill as sd
from symdistill.runs.config import load_config
from symdistill.runs.pipeline import run_all

pytest.importorskip("torch")

from counting import write_questions
from tiny import save_tiny


@pytest.fixture
def config(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "tiny")
    write_questions(tmp_path / "q.jsonl", train=8, test=2)
    file = tmp_path / "c.yaml"
    file.write_text(
        "task: {path: q.jsonl}\nteacher: {model: dataset}\nmethod: std-cot\nstudent: {model: tiny}\n"
        "training: {num_train_epochs: 2, bf16: false, early_stopping_patience: 1, dev_fraction: 0.25}\n"
        "evaluation: {max_new_tokens: 4}\n"
    )
    return file


def test_run_and_answer_inside_a_running_loop(config: Path) -> None:
    async def cell() -> tuple[sd.FinishedRun, str]:
        run = sd.run(config, run_dir=config.parent / "run", overrides={"training.max_steps": 1})
        return run, run.student("std-cot").answer("One more than 3?", answer_type="number").text

    run, text = asyncio.run(cell())
    assert [row["n"] for row in run.metrics] == [2]
    assert run.student().answer("One more than 3?", answer_type="number").text == text


def test_every_stage_works_inside_a_running_loop(config: Path) -> None:
    """Without a thread of its own: teacher, training with early stopping on dev questions, smoke check, evaluation."""

    async def cell() -> sd.FinishedRun:
        return run_all(load_config(config), config.parent / "run")

    run = asyncio.run(cell())
    card = json.loads((run.directory.path / "student" / "symdistill.json").read_text())
    assert card["steps"] >= 1
    assert run.report.exists()


def test_a_student_is_not_trained_again_because_it_was_named_otherwise(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    run = run_all(load_config(Path("c.yaml"), ["training.max_steps=1"]), Path("run"))
    weights = run.directory.path / "student" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    monkeypatch.chdir("/")
    place = config.parent / "run"
    again = run_all(load_config(place / "config.yaml"), place)
    assert (place / "student" / "model.safetensors").stat().st_mtime_ns == before
    manifest = json.loads(again.directory.manifest.read_text())
    assert manifest["command"] == f"symdistill run {place}/config.yaml --run-dir {place}"
    assert manifest["command"] in again.report.read_text()
