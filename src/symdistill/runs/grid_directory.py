"""A grid's directory: what it holds, and how its cells are read back.

grid.json            the cells, where each stands on every axis, and how the grid was made
cells/NAME/          one run directory a cell (see `runs.directory`), with log.txt and done.json or failure.json
store.sqlite         every reply, the teacher's and the students', unless `store` names another file
aside/               failed tries of cells whose configuration was then corrected
locks/               what no two cells do at the same time
report.html, comparison.md, comparison.csv, comparison.tex     what came out
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from symdistill.errors import DataError, RunDirectoryError
from symdistill.evaluation.evidence import RunEvidence, read_run
from symdistill.evaluation.grid_arms import CellResult
from symdistill.runs.directory import RunDirectory, cannot_write, write_json
from symdistill.runs.grid import Grid, shown, student_name, uses_rationales
from symdistill.runs.grid_crew import DONE, FAILURE
from symdistill.runs.learning import CARD
from symdistill.runs.paths import absolute

PLAN = "grid.json"
ANOTHER_OUTPUT = "Choose another --output."


@dataclass(frozen=True)
class Origin:
    """Where a comparison comes from: its title, the command that repeats it, the configuration as YAML, the baseline
    that was asked for, and when it was planned."""

    title: str
    command: str
    config: str = ""
    baseline: str | None = None
    confidence: float = 0.95
    planned: str = ""


def is_grid(path: Path) -> bool:
    """Whether a directory is that of a grid."""
    return (path / PLAN).is_file()


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Make the grid's directory, or go on in it, as the only process that does. Raises RunDirectoryError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("a")
    except OSError as error:
        raise cannot_write(directory, error, ANOTHER_OUTPUT) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise cannot_write(directory, error, ANOTHER_OUTPUT) from error
            raise RunDirectoryError(
                f"Another symdistill process works in {directory}.", "Wait for it, stop it, or choose another --output."
            ) from None
        yield


def write_plan(grid: Grid) -> None:
    """Write grid.json: what is needed to read the grid back, whatever becomes of its configuration file."""
    words = ["symdistill", "compare", absolute(grid.source), "--output", absolute(grid.directory)]
    config = {**grid.base.model_dump(mode="json", exclude_defaults=True), "grid": grid.settings.model_dump(mode="json")}
    write_json(
        grid.directory / PLAN,
        {
            "title": grid.directory.name,
            "command": shlex.join(words),
            "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
            "baseline": grid.baseline,
            "confidence": grid.base.evaluation.confidence,
            "planned": datetime.now(UTC).isoformat(timespec="seconds"),
            "cells": [
                {
                    "name": cell.name,
                    "title": cell.title,
                    "method": cell.method,
                    "student": cell.student,
                    "fraction": cell.fraction,
                    "seed": cell.seed,
                    "vary": {key: shown(value) for key, value in cell.vary.items()},
                }
                for cell in grid.cells
            ],
        },
    )


def read_grid(directory: Path) -> tuple[Origin, list[CellResult]]:
    """A grid's cells as far as they are. Raises RunDirectoryError where grid.json cannot be read."""
    path = directory / PLAN
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        origin = Origin(**{name: told[name] for name in Origin.__dataclass_fields__})
        entries = [dict(entry) for entry in told["cells"]]
        cells = [read_cell(directory / "cells" / entry["name"], entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(f"Cannot read {path}: {error}.", "Run `symdistill compare CONFIG` again.") from error
    return origin, cells


def read_cell(place: Path, entry: Mapping[str, Any]) -> CellResult:
    """What came of one cell; one whose files cannot be read has failed."""
    cell = CellResult(**entry, state="missing")
    if (place / FAILURE).exists():
        return replace(cell, state="failed", error=_error(place / FAILURE))
    if not (place / DONE).exists():
        return cell
    try:
        return replace(cell, state="finished", evidence=read_run(place), **_told(place))
    except (DataError, RunDirectoryError) as error:
        return replace(cell, state="failed", error=error.message)


def read_single(path: Path) -> list[CellResult]:
    """A finished run as cells, one a method.

    Raises:
        DataError, RunDirectoryError: it is not a finished run.
    """
    found: dict[str, list[RunEvidence]] = {}
    for one in read_run(path):
        found.setdefault(one.method, []).append(one)
    config = RunDirectory(path).load_config()
    methods = {method.label: method for method in config.build_methods()}
    demonstrations = config.teacher.demonstrations is not None
    student, told, cells = student_name(config.student.model), _told(path), []
    for label, evidence in found.items():
        method = methods.get(label)
        trains = method is None or method.trains
        by_fraction = trains or (method is not None and uses_rationales(method, demonstrations))
        seed = config.training_for(method).seed if method else config.training.seed
        cells.append(
            CellResult(
                name=str(path),
                title=f"{label} · {path.name}",
                method=label,
                student=student,
                fraction=config.task.fraction if by_fraction else None,
                seed=(config.seed if seed is None else seed) if trains else None,
                evidence=evidence,
                **{**told, "train_seconds": told["train_seconds"] if trains and len(methods) == 1 else None},
            )
        )
    return cells


def read_together(paths: Sequence[Path]) -> tuple[Origin, list[CellResult]]:
    """Grids and finished runs joined. What would be the same cell twice is told apart by the directory's name."""
    origin = Origin(" and ".join(path.name for path in paths), shlex.join(["symdistill", "compare", *map(str, paths)]))
    cells: list[CellResult] = []
    taken: set[tuple[object, ...]] = set()
    for path in paths:
        if is_grid(path):
            alone, found = read_grid(path)
            origin = alone if len(paths) == 1 else replace(origin, baseline=origin.baseline or alone.baseline)
        else:
            found = read_single(path)
        for cell in found:
            if _place(cell) in taken:
                cell = replace(cell, vary={**cell.vary, "from": path.name})
            taken.add(_place(cell))
            cells.append(cell)
    return origin, cells


def _place(cell: CellResult) -> tuple[object, ...]:
    return (cell.method, cell.student, cell.fraction, cell.seed, tuple(cell.vary.items()))


def _told(place: Path) -> dict[str, Any]:
    """What a run says of itself beside its answers: the tasks it learned from, and what that took."""
    try:
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        manifest = {}
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {place / 'manifest.json'}: {error}.", "Evaluate the run again.") from error
    teacher = manifest.get("teacher") or {}
    tasks = manifest.get("tasks")
    return {
        "train_tasks": None if tasks is None else frozenset(tasks),
        "train_seconds": _train_seconds(place),
        "teacher_usd": teacher.get("cost_usd"),
        "teacher_tokens": teacher.get("tokens"),
    }


def _train_seconds(place: Path) -> float | None:
    """The time of every training the run needed, wherever in the grid it was done; None where nothing was trained."""
    cards = {}
    for path in [*place.glob(f"*/{CARD}"), *place.glob(f"*/*/{CARD}")]:
        card = json.loads(path.read_text(encoding="utf-8"))
        cards[card["fingerprint"]] = float(card["seconds"])
    return sum(cards.values()) if cards else None


def _error(path: Path) -> str:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"{told['message']} {told.get('fix', '')}".strip()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} cannot be read ({error})"
