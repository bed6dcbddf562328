"""A whole grid: checked, run, put together, written down."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import symdistill
from symdistill.errors import RunDirectoryError
from symdistill.evaluation.grid import GridResult, gather
from symdistill.evaluation.grid_arms import CellResult
from symdistill.evaluation.grid_report import GridReport, write_grid_report
from symdistill.evaluation.grid_tables import grid_csv, grid_latex, grid_markdown
from symdistill.runs.directory import RunDirectory, write_text
from symdistill.runs.grid import Grid
from symdistill.runs.grid_checks import check_grid
from symdistill.runs.grid_crew import Watcher, default_workers
from symdistill.runs.grid_directory import (
    ANOTHER_OUTPUT,
    Origin,
    claimed,
    is_grid,
    read_grid,
    read_together,
    write_plan,
)
from symdistill.runs.grid_running import run_cells

FORMS = (".md", ".csv", ".tex", ".html")
"""What a comparison is written as."""
_PAGE = "report.html"


@dataclass(frozen=True)
class FinishedGrid:
    """A grid's results, with what has failed, and the page or the one file they were written to; None where they were
    not."""

    result: GridResult
    report: Path | None

    @property
    def failed(self) -> list[CellResult]:
        return [cell for cell in self.result.cells if cell.state == "failed"]


def run_grid(grid: Grid, watcher: Watcher, *, workers: int | None = None, baseline: str | None = None) -> FinishedGrid:
    """Run what is not finished, and write the report and the tables of all that is. Cells that fail are in the result.

    `workers` None: one, or one a GPU. `baseline` None: the grid's own.

    Raises:
        SymdistillError: nothing was started, since something would have stopped a cell; or the budget is used up.
        Interrupted: Ctrl-C; the same call goes on.
    """
    with claimed(grid.directory):
        checked = check_grid(grid, watcher.cell(""))
        write_plan(grid)
        run_cells(checked, workers or default_workers(), watcher)
        origin, cells = read_grid(grid.directory)
        return put_together(origin, cells, grid.directory, baseline)


def join(paths: Sequence[Path], output: Path | None, *, baseline: str | None = None) -> FinishedGrid:
    """Put grids and finished runs together as they are, and write the report and the tables into the directory
    `output`, or the one file of that name where its ending says which (`FORMS`); None: nothing is written.

    Raises:
        DataError: they share no question, or there is no such baseline.
        RunDirectoryError: one cannot be read, `output` cannot be written, is a grid that is running, or would go over
            the report of a run.
    """
    if output is not None:
        folder = output.parent if output.name == _PAGE and not output.is_dir() else output
        if RunDirectory(folder).config.exists():
            raise RunDirectoryError(f"{folder} holds a run, whose own report would be written over.", ANOTHER_OUTPUT)
    origin, cells = read_together(paths)
    with claimed(output) if output is not None and is_grid(output) else contextlib.nullcontext():
        return put_together(origin, cells, output, baseline)


def put_together(
    origin: Origin, cells: Sequence[CellResult], output: Path | None, baseline: str | None
) -> FinishedGrid:
    """The results of cells, written into `output` as `join` says."""
    result = gather(cells, baseline=baseline or origin.baseline, confidence=origin.confidence)
    if output is None:
        return FinishedGrid(result, None)
    if output.suffix.lower() in FORMS and not output.is_dir():
        _write(origin, result, output)
        return FinishedGrid(result, output)
    for name in ("comparison.md", "comparison.csv", "comparison.tex", _PAGE):
        _write(origin, result, output / name)
    return FinishedGrid(result, output / _PAGE)


def _write(origin: Origin, result: GridResult, path: Path) -> None:
    """A comparison in the form that the ending of `path` names."""
    form = path.suffix.lower()
    if form == ".md":
        write_text(path, grid_markdown(result, origin.title), ANOTHER_OUTPUT)
    elif form == ".csv":
        write_text(path, grid_csv(result), ANOTHER_OUTPUT)
    elif form == ".tex":
        write_text(path, grid_latex(result, origin.title), ANOTHER_OUTPUT)
    else:
        provenance = {
            "symdistill": symdistill.__version__,
            "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        }
        today = datetime.now(UTC).date()
        report = GridReport(origin.title, origin.command, result, origin.config, today, provenance)
        write_grid_report(report, path)
