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
from symdistill.runs.grid_directory import read_single, read_together
from symdistill.runs.grid_pipeline import join


def run(path: Path, right: str = "1100", method: Any = "std-cot", words: Sequence[str] = (), **config: Any) -> Path:
    """A finished run of one method, or of those in `methods`, as far as it is read."""
    path.mkdir(parents=True)
    named = {} if "methods" in config else {"method": method}
    found = parse_config({"task": {"path": "q.jsonl"}, "teacher": {"model": "openai:x"}, **named, **config})
    (path / "config.yaml").write_text(found.to_yaml(path))
    rows = [
        {"id": f"q{i}", "method": one.label, "gold": "1", "samples": ["1"], "correct": c == "1"}
        | ({"asked": words[i]} if words else {})
        for one in found.build_methods()
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


def test_a_title_names_a_few_runs_and_counts_many(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, seed=seed) for seed, name in enumerate("abcd")]
    assert read_together(runs[:2])[0].title == "a and b"
    assert read_together(runs)[0].title == "4 runs joined"


@pytest.mark.parametrize("change", [{"gate": "never"}, {"threshold": 40}])
def test_a_student_that_is_asked_otherwise_is_no_seed_of_the_same_method(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    first = run(tmp_path / "a", method="nesycd", seed=0)
    second = run(tmp_path / "b", method={"name": "nesycd", **change}, seed=1)
    assert arms(first, second) == {"nesycd": (0,), "nesycd, from b": (1,)}


def test_the_notes_of_another_method_of_the_run_are_those_of_a_cell_that_makes_them(tmp_path: Path) -> None:
    gated = {"name": "scotd", "gate": "always"}
    together = run(tmp_path / "a", methods=["nesycd", {**gated, "knowledge": "nesycd"}], seed=0)
    alone = run(tmp_path / "b", method={**gated, "knowledge": {"name": "nesycd"}}, seed=1)
    assert arms(together, alone)["scotd"] == (0, 1)


def test_what_a_run_of_several_methods_took_is_told_of_none_that_shares_it(tmp_path: Path) -> None:
    manifest = json.dumps({"teacher": {"cost_usd": 3.5, "tokens": 90_000, "replies": 10}})
    several = run(tmp_path / "a", methods=["zero-shot", "label-only", "scotd", "std-cot"])
    single = run(tmp_path / "b", methods=["label-only", "scotd"])
    gated = {"name": "label-only", "gate": "always", "knowledge": "nesycd"}
    noted = run(tmp_path / "c", methods=["nesycd", gated])
    for place in (several, single, noted):
        (place / "manifest.json").write_text(manifest)
    costs = {path.name: {c.method: c.teacher_tokens for c in read_single(path)} for path in (several, single, noted)}
    assert costs["a"] == {"zero-shot": 0, "label-only": 0, "scotd": None, "std-cot": None}
    assert costs["b"] == {"label-only": 0, "scotd": 90_000}
    assert costs["c"] == {"nesycd": None, "label-only": None}, "its notes are what the teacher wrote"


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


@pytest.mark.parametrize("output", ["", "report.html"])
def test_the_report_of_a_run_is_not_written_over(tmp_path: Path, output: str) -> None:
    one = run(tmp_path / "a")
    (one / "report.html").write_text("its own")
    with pytest.raises(RunDirectoryError, match="holds a run, whose own report"):
        join([one, run(tmp_path / "b", seed=1)], one / output)
    assert (one / "report.html").read_text() == "its own"
    assert join([one], one / "comparison.csv").report == one / "comparison.csv"


def test_the_report_of_a_grid_that_is_running_is_left_alone(tmp_path: Path) -> None:
    place = grid(tmp_path / "g")
    with (place / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunDirectoryError, match="Another symdistill process works in"):
            join([place], place)
        assert not (place / "report.html").exists()
        join([place], tmp_path / "elsewhere")
    assert join([place], place).report == place / "report.html"
