"""Grids and runs joined: what is one arm over its seeds, and what is told apart."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError, RunDirectoryError
from symdistill.evaluation.grid import gather
from symdistill.runs.config import parse_config
from symdistill.runs.grid_directory import read_together
from symdistill.runs.grid_pipeline import join


def run(path: Path, right: str = "1100", method: str = "std-cot", words: Sequence[str] = (), **config: Any) -> Path:
    """A finished run of one method, as far as it is read."""
    path.mkdir(parents=True)
    found = parse_config({"task": {"path": "q.jsonl"}, "teacher": {"model": "dataset"}, "method": method, **config})
    (path / "config.yaml").write_text(found.to_yaml(path))
    rows = [
        {"id": f"q{i}", "method": method, "gold": "1", "samples": ["1"], "correct": c == "1"}
        | ({"asked": words[i]} if words else {})
        for i, c in enumerate(right)
    ]
    (path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "metrics.json").write_text("[]")
    return path


def grid(path: Path, seeds: Sequence[int] = (0,), **config: Any) -> Path:
    """A finished grid of one method."""
    cells = []
    for seed in seeds:
        name = f"std-cot_seed{seed}"
        run(path / "cells" / name, training={"seed": seed, **config.get("training", {})})
        (path / "cells" / name / "done.json").write_text("{}")
        axes = {"method": "std-cot", "student": "tiny", "fraction": 1.0, "seed": seed, "vary": {}}
        cells.append({"name": name, "title": name, **axes})
    plan = {"title": "g", "command": "c", "config": "", "baseline": None, "confidence": 0.95, "planned": ""}
    (path / "grid.json").write_text(json.dumps({**plan, "cells": cells}))
    return path


def arms(*paths: Path) -> dict[str, tuple[int | None, ...]]:
    return {arm.name: arm.seeds for arm in gather(read_together(paths)[1]).arms}


def test_the_same_grid_of_three_machines_is_three_arms(tmp_path: Path) -> None:
    """No seed is counted twice, however alike the directories are called."""
    found = arms(*(grid(tmp_path / machine / "grid", (0, 1)) for machine in ("m1", "m2", "m3")))
    assert found == {"std-cot": (0, 1), "std-cot, from m2/grid": (0, 1), "std-cot, from m3/grid": (0, 1)}


def test_seeds_of_one_grid_that_ran_apart_are_one_arm(tmp_path: Path) -> None:
    assert arms(grid(tmp_path / "a", (0, 1)), grid(tmp_path / "b", (2,))) == {"std-cot": (0, 1, 2)}
    overlapping = grid(tmp_path / "c", (1, 2))
    assert arms(tmp_path / "a", overlapping) == {"std-cot": (0, 1), "std-cot, from c": (1, 2)}, (
        "an arm is not torn apart"
    )


def test_runs_that_differ_in_the_seed_alone_are_seeds_of_one_method(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"seed{seed}", seed=seed) for seed in range(3)]
    assert arms(*runs) == {"std-cot": (0, 1, 2)}
    other = run(tmp_path / "other", seed=3, training={"learning_rate": 1e-5})
    assert arms(*runs, other) == {"std-cot": (0, 1, 2), "std-cot, from other": (3,)}, "it was not trained alike"


def test_an_untrained_method_that_answered_alike_is_there_once(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, method="zero-shot") for name in ("a", "b")]
    assert arms(*runs) == {"zero-shot": (None,)}
    runs.append(run(tmp_path / "c", "1010", method="zero-shot"))
    assert arms(*runs) == {"zero-shot": (None,), "zero-shot, from c": (None,)}


def test_a_directory_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    one = run(tmp_path / "a")
    with pytest.raises(ConfigError, match="is named twice"):
        read_together([one, tmp_path / "." / "a"])


def test_runs_about_other_questions_of_the_same_ids_are_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, words=[f"{name}{i}" for i in range(4)]) for name in ("a", "b")]
    with pytest.raises(DataError, match="they belong to different questions"):
        join(runs, None)


def test_the_report_of_a_grid_that_is_running_is_left_alone(tmp_path: Path) -> None:
    place = grid(tmp_path / "g")
    with (place / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunDirectoryError, match="Another symdistill process works in"):
            join([place], place)
        assert not (place / "report.html").exists()
        join([place], tmp_path / "elsewhere")
    assert join([place], place).report == place / "report.html"
