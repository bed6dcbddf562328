"""A whole run with a tiny random student: every file other programs rely on, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import symdistill as sd
from symdistill.errors import ConfigError, DataError, RunDirectoryError
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import price, run_all
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from tiny import save_tiny

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def questions() -> list[dict[str, Any]]:
    rows = []
    for i in range(20):
        a, b = i % 5 + 1, i // 5 + 2
        wrong = f"{a} + {b} = 77 {HOSTILE}. Therefore, the answer is 77."
        right = [f"{a} + {b} = {a + b}. Therefore, the answer is {a + b}.", f"Add {b}: {a + b}."]
        rows.append(
            {
                "id": f"q{i}",
                "question": f"What do {a} and {b} make on day {i}?",
                "answer": str(a + b),
                "split": "test" if i % 4 == 3 else "train",
                "rationales": [*right[:1], f"{right[1]} Therefore, the answer is {a + b}.", wrong],
            }
        )
    return rows


def settings(tmp_path: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    file = tmp_path / "q.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in questions()))
    return {
        "task": {"path": str(file)},
        "teacher": {"model": "dataset"},
        "methods": ["zero-shot", "label-only", "std-cot", {"name": "scotd", "evaluation": {"self_consistency": 3}}],
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 3, "per_device_train_batch_size": 4, "bf16": False},
        "evaluation": {"max_new_tokens": 8},
        **changes,
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> sd.FinishedRun:
    place = tmp_path_factory.mktemp("whole")
    return run_all(parse_config(settings(place, tiny)), place / "run")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_keep_their_contract(finished: sd.FinishedRun) -> None:
    wanted = {
        *(
            "method",
            "split",
            "n",
            "accuracy",
            "ci_low",
            "ci_high",
            "parse_rate",
            "decoding",
            "samples",
            "seconds",
            "seed",
        ),
        *("prompt_tokens", "generated_tokens", "prompt_flops_paper", "flops"),
    }
    assert all(wanted <= row.keys() for row in finished.metrics)
    assert [(r["method"], r["decoding"], r["samples"]) for r in finished.metrics] == [
        ("zero-shot", "greedy", 1),
        ("label-only", "greedy", 1),
        ("std-cot", "greedy", 1),
        ("scotd", "greedy", 1),
        ("scotd", "vote", 3),
    ]
    assert all(r["n"] == 5 and r["flops"] > 0 and 0 <= r["ci_low"] <= r["ci_high"] <= 1 for r in finished.metrics)


def test_predictions_keep_every_raw_sample(finished: sd.FinishedRun) -> None:
    rows = rows_of(finished.directory.predictions)
    assert len(rows) == 5 * 5
    assert {"id", "method", "gold", "samples", "answers", "answer", "correct"} <= rows[0].keys()
    votes = [r for r in rows if r["decoding"] == "vote"]
    assert len(votes) == 5
    assert all(len(r["samples"]) == len(r["answers"]) == 3 for r in votes)


def test_rationales_and_drops_account_for_every_reply(finished: sd.FinishedRun) -> None:
    kept, dropped = rows_of(finished.directory.rationales), rows_of(finished.directory.dropped)
    assert (len(kept), len(dropped)) == (30, 15)
    assert {d["reason"] for d in dropped} == {"wrong"}
    assert {"id", "question", "rationale", "answer", "correct", "sample_index", "model"} <= kept[0].keys()


def test_every_step_is_logged(finished: sd.FinishedRun) -> None:
    rows = rows_of(finished.directory.training)
    assert [r["step"] for r in rows] == [1, 2, 3] * 3
    assert {"step", "loss", "learning_rate", "tokens", "seconds"} <= rows[0].keys()
    assert all(r["tokens"] > 0 and r["loss"] > 0 for r in rows)


def test_students_load_in_plain_transformers(finished: sd.FinishedRun) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = finished.directory.student("scotd", alone=False)
    assert AutoModelForCausalLM.from_pretrained(place).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(place).chat_template


def test_the_report_is_one_page_and_hostile_text_is_text(finished: sd.FinishedRun) -> None:
    page = finished.report.read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert HOSTILE not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "scotd" in page


def test_the_manifest_says_what_went_in(finished: sd.FinishedRun) -> None:
    manifest = json.loads(finished.directory.manifest.read_text())
    assert set(manifest["students"]) == {"label-only", "std-cot", "scotd"}
    assert manifest["packages"]["torch"]
    assert manifest["questions"]["train"].startswith("q1_")


def test_a_finished_run_answers_from_python(finished: sd.FinishedRun) -> None:
    answer = finished.student("std-cot").answer("What do 2 and 3 make?", answer_type="number")
    assert isinstance(answer.text, str)
    with pytest.raises(ConfigError, match="label-only, std-cot, scotd"):
        finished.student()
    with pytest.raises(ConfigError):
        finished.student("zero-shot")


def test_running_again_computes_nothing_again(finished: sd.FinishedRun) -> None:
    directory = finished.directory
    with ResponseStore(directory.store) as store:
        before = store.stats().replies
    weights = {p: p.stat().st_mtime_ns for p in directory.path.rglob("*.safetensors")}
    metrics = directory.metrics.read_text()
    run_all(finished.config, directory.path)
    with ResponseStore(directory.store) as store:
        assert store.stats().replies == before
    assert {p: p.stat().st_mtime_ns for p in directory.path.rglob("*.safetensors")} == weights
    assert directory.metrics.read_text() == metrics


def test_two_runs_compare_on_the_same_questions(finished: sd.FinishedRun, tmp_path: Path, tiny: Path) -> None:
    from symdistill.runs.grid_pipeline import join

    alone = settings(tmp_path, tiny, methods=[], method={"name": "std-cot", "label": "std-cot-again"})
    other = run_all(parse_config(alone), tmp_path / "run")
    assert (tmp_path / "run" / "student" / "model.safetensors").exists()
    result = join([finished.directory.path, other.directory.path], None, baseline="label-only").result
    (panel,) = result.panels
    assert result.n == 5
    assert {"label-only", "std-cot", "scotd", "std-cot-again"} <= {arm.method for arm in panel.arms}
    assert other.student().answer("What do 2 and 3 make?").text is not None


def test_hand_edited_rationales_are_what_is_trained_on(tmp_path: Path, tiny: Path) -> None:
    from symdistill.runs.learning import train_students
    from symdistill.runs.workspace import workspace

    config = parse_config(settings(tmp_path, tiny, methods=["scotd"]))
    run = tmp_path / "run"
    run.mkdir()
    row = {
        "id": "q0",
        "question": "x",
        "rationale": "By hand. Therefore, the answer is 3.",
        "answer": "3",
        "correct": True,
    }
    (run / "rationales.jsonl").write_text(json.dumps(row) + "\n")
    with workspace(config, run) as work:
        train_students(work)
        assert json.loads((work.student_directory(work.methods[0]) / "symdistill.json").read_text())["examples"] == 1


def test_evaluating_before_training_says_what_to_do(tmp_path: Path, tiny: Path) -> None:
    from symdistill.runs.judging import evaluate_students
    from symdistill.runs.workspace import workspace

    config = parse_config(settings(tmp_path, tiny, methods=["label-only"]))
    with workspace(config, tmp_path / "run") as work, pytest.raises(RunDirectoryError, match="symdistill train"):
        evaluate_students(work)


@pytest.mark.parametrize(
    "changes, error, says",
    [
        ({"teacher": {}}, ConfigError, "no teacher is named"),
        ({"student": {"model": "/nowhere/at/all"}}, Exception, "nowhere"),
        ({"task": {"path": "/nowhere/q.jsonl"}}, DataError, "nowhere"),
    ],
)
def test_what_would_stop_the_run_stops_it_before_anything_is_spent(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    config = parse_config(settings(tmp_path, tiny, **changes))
    with pytest.raises(error, match=says):
        run_all(config, tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_pricing_leaves_no_trace(tmp_path: Path, tiny: Path) -> None:
    estimate = price(parse_config(settings(tmp_path, tiny)), tmp_path / "run")
    assert estimate is not None
    assert (estimate.planned, estimate.to_buy) == (45, 45)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_killed_run_goes_on_and_buys_nothing_twice(tmp_path: Path, tiny: Path) -> None:
    """kill -9 at several moments of a run; the run that follows finishes with one reply for each request."""
    config = settings(tmp_path, tiny, methods=["std-cot"], training={"max_steps": 30, "save_steps": 5, "bf16": False})
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "symdistill", "run", str(file), "--run-dir", str(tmp_path / "run")]
    log = tmp_path / "run" / "training.jsonl"
    for steps in (1, 12):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 600  # for a hang only: a starved machine may take minutes
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and len(log.read_text().splitlines()) >= steps:
                break
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert [row["step"] for row in rows_of(log)] == list(range(1, 31))
    with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
        assert store.stats().replies == 45 + 5
