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

from symdistill.errors import ConfigError, DataError, RunDirectoryError
from symdistill.evaluation.evidence import RunEvidence, read_run
from symdistill.evaluation.grid_arms import CellResult
from symdistill.evaluation.metrics import TEACHER
from symdistill.methods import Method
from symdistill.runs.config import RunConfig
from symdistill.runs.directory import RunDirectory, cannot_write, write_json
from symdistill.runs.gates import looks_up, makes_notes, source_of
from symdistill.runs.grid import Grid
from symdistill.runs.grid_concern import depends, uses_rationales
from symdistill.runs.grid_crew import DONE, FAILURE
from symdistill.runs.grid_names import shown, student_name
from symdistill.runs.grid_recipe import recipe_of
from symdistill.runs.learning import CARD
from symdistill.runs.paths import absolute

PLAN = "grid.json"
_ADDED = " + knowledge ("
"""What follows the label of a method in the rows of `evaluate --knowledge`."""
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
        recipe, told = _recipe_in(place, cell.method), _told(place, cell.method)
        return replace(cell, state="finished", evidence=read_run(place), recipe=recipe, **told)
    except (DataError, RunDirectoryError) as error:
        return replace(cell, state="failed", error=error.message)


def read_single(path: Path) -> list[CellResult]:
    """A finished run as cells, one a method.

    What the run took as a whole is told of a method where no other one shares it.

    Raises:
        DataError, RunDirectoryError: it is not a finished run.
    """
    found: dict[str, list[RunEvidence]] = {}
    for one in read_run(path):
        found.setdefault(one.method, []).append(one)
    asked = found.pop(TEACHER, []) if len(found) > 1 else []
    config = RunDirectory(path).load_config()
    methods = {method.label: method for method in config.build_methods()}
    demonstrations = config.teacher.demonstrations is not None
    student, taught = student_name(config.student.model), _taught(config)
    cells: list[CellResult] = []
    for label, evidence in found.items():
        method, own = methods.get(label), label.partition(_ADDED)[0]
        trains = method is None or method.trains
        by_fraction = trains or (method is not None and uses_rationales(method, demonstrations))
        seed = config.training_for(method).seed if method else config.training.seed
        told = _told(path, own)
        if not trains or len(methods) > 1:
            told["train_seconds"] = None
        if own not in taught:
            told |= {name: None if told[name] is None else 0 for name in ("teacher_usd", "teacher_tokens")}
        elif len(taught) > 1:
            told |= {"teacher_usd": None, "teacher_tokens": None}
        cells.append(
            CellResult(
                name=str(path),
                title=f"{label} · {path.name}",
                method=label,
                student=student,
                fraction=config.task.fraction if by_fraction else None,
                seed=(config.seed if seed is None else seed) if trains or (method and looks_up(method)) else None,
                evidence=[*asked, *evidence] if not cells else evidence,
                recipe=recipe_of(config, own) if own in methods else None,
                **told,
            )
        )
    return cells


def _taught(config: RunConfig) -> set[str]:
    """The methods of a run, by label, in whose answers replies of a teacher have a part."""
    methods = config.build_methods()
    makers = [one.label for one in (*methods, *config.build_providers()) if makes_notes(one)]
    shown = config.teacher.demonstrations is not None

    def asks_notes(method: Method) -> bool:
        return looks_up(method) and isinstance(source_of(method, makers, config.knowledge.path), str)

    return {m.label for m in methods if depends(m, "teacher.model", shown) or asks_notes(m)}


def read_together(paths: Sequence[Path]) -> tuple[Origin, list[CellResult]]:
    """Grids and finished runs joined. Runs that differ in the seed alone are seeds of one method; what would be the
    same cell twice, or was made otherwise, is told apart by its directory. An untrained method that gave the same
    answers twice is there once.

    Raises:
        ConfigError: a directory is named twice. DataError, RunDirectoryError: one cannot be read.
    """
    title = f"{len(paths)} runs joined" if len(paths) > 3 else " and ".join(path.name for path in paths)
    origin = Origin(title, shlex.join(["symdistill", "compare", *map(str, paths)]))
    cells: list[CellResult] = []
    for path, name in zip(paths, _distinct(paths), strict=True):
        if is_grid(path):
            alone, found = read_grid(path)
            origin = alone if len(paths) == 1 else replace(origin, baseline=origin.baseline or alone.baseline)
        else:
            found = read_single(path)
        before = list(cells)
        clashing = {cell.setting for cell in found if any(_apart(cell, other) for other in before)}
        for cell in found:
            if any(_same_answers(cell, other) for other in before):
                continue
            vary = {**cell.vary, "from": name} if cell.setting in clashing else cell.vary
            cells.append(replace(cell, vary=vary))
    return origin, cells


def _distinct(paths: Sequence[Path]) -> list[str]:
    """For each directory as much of the end of its path as no other one has. Raises ConfigError."""
    parts = [Path(absolute(path)).parts for path in paths]
    names = []
    for path, own in zip(paths, parts, strict=True):
        others = list(parts)
        others.remove(own)
        if own in others:
            raise ConfigError(f"{path} is named twice.", "Name each run and each grid once.")
        ends = (length for length in range(1, len(own) + 1) if all(own[-length:] != o[-length:] for o in others))
        names.append("/".join(own[-next(ends, len(own)) :]))
    return names


def _apart(one: CellResult, other: CellResult) -> bool:
    """Whether two runs of one setting are the same run twice, or were not made alike."""
    alike = one.recipe == other.recipe or None in (one.recipe, other.recipe)
    return one.setting == other.setting and (one.seed == other.seed or not alike)


def _same_answers(one: CellResult, other: CellResult) -> bool:
    """Whether two runs of a method that is not trained answered alike."""
    if one.setting != other.setting or one.seed is not None or other.seed is not None or not one.evidence:
        return False
    answers = [[(e.method, e.decoding, e.samples, e.verdicts, e.asked) for e in cell.evidence] for cell in (one, other)]
    return answers[0] == answers[1]


def _recipe_in(place: Path, label: str) -> str | None:
    """The recipe of a cell; None where its configuration is one that this version does not read any more."""
    try:
        return recipe_of(RunDirectory(place).load_config(), label)
    except (ConfigError, RunDirectoryError):
        return None


def _told(place: Path, method: str) -> dict[str, Any]:
    """What a run says of itself beside its answers: the tasks it learned from, what that took, and the weights of the
    student of this method."""
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
        "weights": (manifest.get("students") or {}).get(method, {}).get("weights_sha256"),
    }


def _train_seconds(place: Path) -> float | None:
    """The time of every training the run needed, rerankers included, wherever in the grid it was done; None where
    nothing was trained."""
    cards = {}
    for path in [*place.glob(f"*/{CARD}"), *place.glob(f"*/*/{CARD}"), *place.glob("rerankers/*/reranker.json")]:
        card = json.loads(path.read_text(encoding="utf-8"))
        cards[card["fingerprint"]] = float(card["seconds"])
    return sum(cards.values()) if cards else None


def _error(path: Path) -> str:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"{told['message']} {told.get('fix', '')}".strip()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} cannot be read ({error})"
