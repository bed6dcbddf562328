"""Whole grids with a tiny random student: what is shared, what fails alone, and what a signal leaves behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import symdistill as sd
from symdistill.cli.main import main
from symdistill.runs.grid_crew import environment
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from tiny import save_tiny

METHODS = [
    "zero-shot",
    "label-only",
    "std-cot",
    {"name": "std-cot", "label": "broken", "training": {"learning_rate": 1e30}},
]


def question(i: int) -> dict[str, Any]:
    a, b = i % 5 + 1, i // 5 + 2
    replies = [f"{a} + {b} = {a + b}.", f"Add {b}: {a + b}.", f"{b} more than {a}: {a + b}."]
    return {
        "id": f"q{i}",
        "task": "other" if i % 8 == 7 else "sums",
        "question": f"What do {a} and {b} make on day {i}?",
        "answer": str(a + b),
        "split": "test" if i % 4 == 3 else "train",
        "rationales": [f"{reply} Therefore, the answer is {a + b}." for reply in replies],
    }


def write_grid(place: Path, grid: dict[str, Any], **changes: Any) -> Path:
    place.mkdir(exist_ok=True)
    save_tiny(place / "tiny")
    (place / "q.jsonl").write_text("".join(json.dumps(question(i)) + "\n" for i in range(24)))
    config = {
        "task": {"path": "q.jsonl"},
        "teacher": {"model": "dataset"},
        "methods": METHODS,
        "student": {"model": "tiny", "batch_size": 8},
        "training": {"max_steps": 3, "per_device_train_batch_size": 4, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        "grid": grid,
        **changes,
    }
    path = place / "grid.yaml"
    path.write_text(json.dumps(config))
    return path


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 1), out, err


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, str, str, Path]]:
    """Runs the same grid again: one method of four fails in training."""
    place = tmp_path_factory.mktemp("whole")
    path = write_grid(place, {"seeds": [0, 2], "vary": {"teacher.samples": [1, 2]}})

    def again(*words: str) -> tuple[int, str, str, Path]:
        command = [sys.executable, "-m", "symdistill", "compare", str(path), "--output", str(place / "out"), *words]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return found.returncode, found.stdout, found.stderr, place / "out"

    first = again()
    return lambda *words: again(*words) if words else first


def test_a_failed_cell_is_reported_and_the_rest_goes_on(whole) -> None:
    code, out, err, directory = whole()
    assert code == 1
    assert "4 of 11 runs failed" in out
    assert "[broken · samples 2 · seed 2] failed: " in err
    assert "zero-shot" in out
    assert "broken, samples 1" in out
    assert out.count("failed  ") == 2, "an arm without a finished seed says so in the table"
    rows = list(csv.DictReader((directory / "comparison.csv").open()))
    assert {row["method"]: row["state"] for row in rows} == {
        "zero-shot": "finished",
        "label-only": "finished",
        "std-cot": "finished",
        "broken": "failed",
    }
    told = json.loads((directory / "cells" / "broken_tiny_100pct_seed0_samples-1" / "failure.json").read_text())
    assert "no number" in told["message"]
    page = (directory / "report.html").read_text()
    assert "broken · samples 1 · seed 0" in page
    assert "lower learning rate" in page


def test_every_output_is_there_and_the_domains_are_apart(whole) -> None:
    _, out, _, directory = whole()
    assert all((directory / f"comparison.{end}").stat().st_size for end in ("md", "csv", "tex"))
    assert "out of domain" in out, "the questions of `other` are all held out"
    assert "Holm-corrected for the 3 comparisons" in out
    page = (directory / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_what_is_the_same_is_trained_and_bought_once(whole) -> None:
    """std-cot learns the first sample, whether the teacher gave one or two."""
    directory = whole()[3]
    cells = directory / "cells"
    one, two = (cells / f"std-cot_tiny_100pct_seed0_samples-{n}" for n in (1, 2))
    assert (one / "student" / "model.safetensors").stat().st_ino == (
        two / "student" / "model.safetensors"
    ).stat().st_ino
    assert len([place for place in (one, two) if (place / "training.jsonl").exists()]) == 1
    assert json.loads((one / "student" / "symdistill.json").read_text())["seconds"] > 0
    with ResponseStore(directory / "store.sqlite") as store:
        replies = {model.model.partition("#")[0]: model.replies for model in store.stats().models}
    assert replies["dataset"] == 18 * 2
    assert len(list(cells.glob("zero-shot*"))) == 1
    rows = json.loads((cells / "label-only_tiny_100pct_seed2" / "metrics.json").read_text())
    assert {(row["seed"], row["training_seed"]) for row in rows} == {(0, 2)}, "each row says which seed trained it"
    other = (cells / "std-cot_tiny_100pct_seed2_samples-1" / "student" / "model.safetensors").read_bytes()
    assert other != (one / "student" / "model.safetensors").read_bytes(), "another seed is another student"


def test_the_same_command_goes_on_with_what_failed(whole) -> None:
    """What is finished is not touched; a cell whose cause is gone is finished, and the exit code says so."""
    directory = whole()[3]
    before = {path: path.stat().st_mtime_ns for path in directory.glob("cells/*/done.json")}
    code, out, err, _ = whole("methods.3.training.learning_rate=0.001")
    assert code == 0, err
    assert "std-cot · seed" not in err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(directory.glob("cells/*/failure.json"))
    assert len(list(directory.glob("aside/broken*/failure.json"))) == 4, "the failed tries were put aside"
    assert "Report" in out


def test_a_dry_run_says_what_is_left(whole) -> None:
    code, out, err, _ = whole("methods.3.training.learning_rate=0.001", "--dry-run")
    assert code == 0, err
    assert out.count("   finished") == 11
    assert "11 runs in" in out
    assert "0 of 36 replies" in out


def test_a_grid_from_python(whole) -> None:
    """All of it is finished: nothing is computed, and the results are at hand."""
    directory = whole()[3]
    changes = {"methods.3.training.learning_rate": 0.001}
    finished = sd.compare(directory.parent / "grid.yaml", changes, output=directory)
    assert finished.failed == []
    assert [arm.label for arm in finished.result.main[0].arms][:2] == ["zero-shot, greedy", "label-only, greedy"]
    assert finished.report == directory / "report.html"


def test_finished_grids_and_runs_are_joined(whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = whole()[3]
    code, out, err = call(capsys, "compare", directory, "--baseline", "zero-shot", "--output", tmp_path / "again")
    assert code == 0, err
    assert "vs zero-shot" in out
    single = directory / "cells" / "label-only_tiny_100pct_seed2"
    code, out, err = call(capsys, "compare", directory, single, "--output", tmp_path / "both")
    assert code == 0, err
    assert f"label-only, from {single.name}" in out
    code, _, err = call(capsys, "compare", directory, "--baseline", "none")
    assert code == 2
    assert "The baseline can be one of: " in err


def test_options_of_a_grid_are_refused_for_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--workers", "2"], ["--dry-run"]):
        code, _, err = call(capsys, "compare", tmp_path, *words)
        assert code == 2
        assert "is for a grid" in err


def test_a_mistake_in_a_grid_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_grid(tmp_path, {"seeds": [0], "fractions": [2]})
    capsys.readouterr()
    code, out, err = call(capsys, "compare", path, "--output", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "`grid.fractions.0`" in err
    assert not (tmp_path / "out").exists()


def test_workers_share_the_cores_and_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdistill.runs.grid_crew.cores", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    found = [environment(number, 4) for number in range(4)]
    assert [e["OMP_NUM_THREADS"] for e in found] == ["4"] * 4
    assert [e["CUDA_VISIBLE_DEVICES"] for e in found] == ["3", "5", "3", "5"]
    assert environment(0, 1)["CUDA_VISIBLE_DEVICES"] == "3, 5"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert environment(0, 4)["OMP_NUM_THREADS"] == "2", "who has said so is heard"


LONG = {"max_steps": 4000, "save_steps": 10, "per_device_train_batch_size": 4, "bf16": False}


class Started:
    """A grid under way in a process group of its own."""

    def __init__(self, place: Path, *words: str, **changes: Any) -> None:
        self.path = write_grid(place, {"seeds": [0, 1]}, methods=["label-only"], **changes)
        self.out = place / "out"
        command = [sys.executable, "-m", "symdistill", "compare", str(self.path), "--output", str(self.out)]
        self.command = [*command, *words]
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def cell(self, seed: int) -> Path:
        return self.out / "cells" / f"label-only_tiny_100pct_seed{seed}"

    def worker(self, seed: int) -> int:
        """The process that trains this cell, once it has taken a few steps."""
        log = self.cell(seed) / "training.jsonl"
        wait(lambda: (log.exists() and len(log.read_text().splitlines()) > 12) or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
        return int((self.cell(seed) / ".lock").read_text().removeprefix("process "))


def wait(done: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait for something that a starved machine may take minutes for."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"


@pytest.mark.slow
def test_ctrl_c_stops_the_workers_with_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path) -> None:
    started = Started(tmp_path, "--workers", "2", training={**LONG, "max_steps": 400})
    workers = [started.worker(seed) for seed in (0, 1)]
    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(120) == 130
    assert "Stopped. 0 of 2 cells are finished." in (started.process.stderr.read() if started.process.stderr else "")
    assert not any(alive(worker) for worker in workers)
    before = {seed: rows_of(started.cell(seed) / "training.jsonl") for seed in (0, 1)}
    for seed in (0, 1):
        assert list(started.cell(seed).glob("checkpoints/*/checkpoint-*"))
        assert not (started.cell(seed) / "failure.json").exists()
    again = subprocess.run(started.command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    for seed in (0, 1):
        rows = rows_of(started.cell(seed) / "training.jsonl")
        assert 12 < len(before[seed]) < len(rows)
        assert rows[: len(before[seed])] == before[seed], "no step was taken again: it went on from its checkpoint"
        assert rows[-1]["step"] == 400
        assert (started.cell(seed) / "done.json").exists()
    assert len(list((started.out / "cells").glob("*/student/model.safetensors"))) == 2


@pytest.mark.slow
def test_workers_end_soon_after_their_parent_was_killed(tmp_path: Path) -> None:
    started = Started(tmp_path, "--workers", "2", training=LONG)
    workers = [started.worker(seed) for seed in (0, 1)]
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait()
    wait(lambda: not any(alive(worker) for worker in workers), 60)
    assert list(started.cell(0).glob("checkpoints/*/checkpoint-*")), "they stopped as with Ctrl-C"


@pytest.mark.slow
def test_a_killed_worker_fails_its_cell_alone(tmp_path: Path) -> None:
    started = Started(tmp_path, training={**LONG, "max_steps": 120})
    os.kill(started.worker(0), signal.SIGKILL)
    assert started.process.wait(240) == 1
    told = json.loads((started.cell(0) / "failure.json").read_text())
    assert "SIGKILL" in told["message"]
    assert (started.cell(1) / "done.json").exists()
