"""Running a grid: the teacher's replies bought once, then every cell that is not finished."""

from __future__ import annotations

import json
from collections.abc import Mapping

from symdistill.content import content_key
from symdistill.errors import BudgetExhausted, Interrupted, SymdistillError
from symdistill.runs.config import RunConfig
from symdistill.runs.grid import Cell, Grid
from symdistill.runs.grid_checks import Checked, pools
from symdistill.runs.grid_concern import depends
from symdistill.runs.grid_crew import DONE, Ended, Watcher, WorkerPool
from symdistill.runs.grid_state import editable_key, inputs_key
from symdistill.runs.teaching import sample_teacher


def run_cells(checked: Checked, workers: int, watcher: Watcher) -> Ended:
    """Run every cell that is not finished, `workers` at a time; the teacher's replies are bought first, once.

    Raises:
        BudgetExhausted: before any training, when the rationales do not fit it.
        Interrupted: Ctrl-C or SIGTERM; the cells under way have kept a checkpoint, and the same call goes on.
    """
    grid, ended = checked.grid, Ended()
    todo = []
    for cell in grid.cells:
        if is_done(grid, cell, checked):
            ended.kept.append(cell.name)
        else:
            todo.append(cell)
    pool = WorkerPool(grid, {cell.name: fingerprint(checked, cell) for cell in todo}, workers, watcher, ended)
    stuck = buy(checked, {cell.name for cell in todo}, watcher)
    for cell in todo:
        if cell.name in stuck:
            pool.fail(cell, stuck[cell.name])
    pool.run([cell for cell in todo if cell.name not in stuck])
    return ended


def buy(checked: Checked, wanted: set[str], watcher: Watcher) -> dict[str, Mapping[str, str]]:
    """Buy the replies that cells of these names want and nobody has; what went wrong, by cell.

    Raises:
        BudgetExhausted, Interrupted: everything bought so far is stored.
    """
    stuck: dict[str, Mapping[str, str]] = {}
    for work, cells in pools(checked):
        names = [cell.name for cell in cells if cell.name in wanted]
        if not names:
            continue
        work.progress = watcher.cell("teacher")
        try:
            sample_teacher(work)
        except (BudgetExhausted, Interrupted):
            raise
        except SymdistillError as error:
            stuck |= {name: {"message": error.message, "fix": error.fix} for name in names}
        finally:
            if "store" in work.__dict__:
                work.store.close()
    return stuck


def fingerprint(checked: Checked, cell: Cell) -> str:
    """What a finished cell was made of: its questions, what is in the files it names, and its configuration but for
    what changes no result."""
    config = cell.config
    answered = [  # no part of a run's identity
        config.evaluation.model_dump(mode="json"),
        dict(config.method or {}),
        config.features.model_dump(mode="json") if _of_features(config) else None,
        config.student.engine,
    ]
    whole = [config.identity(checked.grid.place(cell)), answered, checked.questions[cell.name], inputs_key(config)]
    return content_key("g4", whole)


def _of_features(config: RunConfig) -> bool:
    return any(depends(method, "features", False) for method in config.build_methods())


def is_done(grid: Grid, cell: Cell, checked: Checked) -> bool:
    """Whether the cell was finished with this configuration, these questions and these files, its results are there,
    and nobody has changed what it learned from since."""
    place = grid.place(cell)
    try:
        told = json.loads((place / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    there = all((place / name).exists() for name in ("metrics.json", "predictions.jsonl"))
    if not there or not isinstance(told, dict) or told.get("made_of") != fingerprint(checked, cell):
        return False
    return bool(told.get("editable") == editable_key(place))
