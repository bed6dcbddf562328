"""A grid with a teacher behind a server: every reply is asked for once, by whichever cell needs it first."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from loopback import LoopbackServer
from mistakes import NOTES, write_questions
from tiny import save_tiny


def reply(prompt: str, seed: int) -> str:
    """A rationale, or the notes about a mistake: no two of them alike."""
    a, b = (int(word) for word in re.findall(r"What do (\d+) and (\d+) make", prompt)[-1])
    if "<student_reply>" in prompt:
        return NOTES.format(n=f"{a} and {b}")
    return f"{a} + {b} = {a + b}. Therefore, the answer is {a + b}."


def configuration(place: Path, url: str, **teacher: Any) -> Path:
    save_tiny(place / "tiny")
    write_questions(place / "q.jsonl")
    note = {"model": "openai:loopback", "base_url": url, "max_tokens": 64}
    path = place / "grid.yaml"
    path.write_text(
        json.dumps(
            {
                "task": {"path": "q.jsonl"},
                "teacher": {"model": "openai:loopback", "base_url": url, "samples": 2, "max_tokens": 64, **teacher},
                "methods": [
                    "std-cot",
                    *(
                        {"name": "nesycd", "label": gate, "gate": gate, "dev_fraction": 0.25, "analysis": note}
                        for gate in ("always", "never")
                    ),
                ],
                "student": {"model": "tiny", "batch_size": 8},
                "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
                "evaluation": {"max_new_tokens": 6},
                "grid": {"seeds": [0], "baseline": "std-cot"},
            }
        )
    )
    return path


def compare(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "symdistill", "compare", str(path), "--output", str(path.parent / "out"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_reply_is_bought_twice_across_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with LoopbackServer(reply=reply) as server:
        found = compare(configuration(tmp_path, server.base_url), "--workers", workers)
        assert found.returncode == 0, found.stdout + found.stderr
        asked = [json.dumps([call.body["messages"], call.body.get("seed")], sort_keys=True) for call in server.calls]
        assert len(asked) == len(set(asked)) == 12 * 2 + 9, "two rationales a question, one analysis a mistake"
        again = compare(tmp_path / "grid.yaml", "evaluation.max_new_tokens=5")
        assert again.returncode == 0, again.stderr
        assert len(server.calls) == len(asked), "answering anew buys nothing"
    cells = tmp_path / "out" / "cells"
    first = cells / "std-cot_tiny_100pct_seed0" / "student"
    general = [cells / f"{gate}_tiny_100pct_seed0" / "general" / gate for gate in ("always", "never")]
    weights = {(place / "model.safetensors").stat().st_ino for place in (first, *general)}
    assert len(weights) == 1, "std-cot's student is the one whose mistakes count, whichever cell trained it"
    final = {
        (cells / f"{gate}_tiny_100pct_seed0" / "student" / "model.safetensors").stat().st_ino
        for gate in ("always", "never")
    }
    assert len(final) == 1, "a gate decides how a student is asked, and nothing of what it is"


@pytest.mark.slow
def test_a_larger_pool_buys_only_what_it_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N = 1, 5 and 2 in one grid cost what 5 alone would; 6 afterwards costs one reply a question more."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with LoopbackServer(reply=reply) as server:
        path = configuration(tmp_path, server.base_url)
        grid = json.loads(path.read_text())
        grid["methods"] = [{"name": "scotd", "setting": "supervised"}]
        grid["grid"] = {"seeds": [0], "vary": {"teacher.samples": [1, 5, 2]}}
        path.write_text(json.dumps(grid))
        for most in (5, 6):
            found = compare(path, "--workers", "2")
            assert found.returncode == 0, found.stdout + found.stderr
            asked = [
                json.dumps([call.body["messages"], call.body.get("seed")], sort_keys=True) for call in server.calls
            ]
            assert len(asked) == len(set(asked)) == 12 * most
            grid["grid"]["vary"]["teacher.samples"].append(6)
            path.write_text(json.dumps(grid))
    cells = {place.parent.name for place in tmp_path.glob("out/cells/*/metrics.json")}
    assert cells == {f"scotd_tiny_100pct_seed0_samples-{n}" for n in (1, 2, 5, 6)}, "each N is a cell of its own"


@pytest.mark.slow
def test_the_budget_bounds_the_whole_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rationales that do not fit end the grid before any training."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with LoopbackServer(reply=reply) as server:
        path = configuration(tmp_path, server.base_url, budget_tokens=300, concurrency=1)
        found = compare(path)
        assert found.returncode == 3, found.stderr
        assert "budget" in found.stderr
        assert not list((tmp_path / "out").glob("cells/*/training.jsonl")), "nothing was trained"
