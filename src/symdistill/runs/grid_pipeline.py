"""A whole grid: checked, run, put together, written down."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import symdistill
from symdistill.evaluation.grid import GridResult, gather
from symdistill.evaluation.grid_arms import CellResult
from symdistill.evaluation.grid_report import GridReport, write_grid_report
from symdistill.evaluation.grid_tables import grid_csv, grid_latex, grid_markdown
from symdistill.runs.directory import write_text
from symdistill.runs.grid import Grid
from symdistill.runs.grid_checks import check_grid
from symdistill.runs.grid_crew import Watcher, default_workers
from symdistill.runs.grid_directory import ANOTHER_OUTPUT, Origin, claimed, read_grid, read_together, write_plan
from symdistill.runs.grid_running import run_cells


@dataclass(frozen=True)
class FinishedGrid:
    """A grid's results, with what has failed, and where they were written."""

    result: GridResult
    report: Path

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


def join(paths: Sequence[Path], output: Path, *, baseline: str | None = None) -> FinishedGrid:
    """Put grids and finished runs together as they are, and write the report and the tables into `output`.

    Raises:
        DataError: they share no question, or there is no such baseline. RunDirectoryError: one cannot be read.
    """
    origin, cells = read_together(paths)
    return put_together(origin, cells, output, baseline)


def put_together(origin: Origin, cells: Sequence[CellResult], output: Path, baseline: str | None) -> FinishedGrid:
    """The results of cells, written into `output`."""
    result = gather(cells, baseline=baseline or origin.baseline, confidence=origin.confidence)
    write_text(output / "comparison.md", grid_markdown(result, origin.title), ANOTHER_OUTPUT)
    write_text(output / "comparison.csv", grid_csv(result), ANOTHER_OUTPUT)
    write_text(output / "comparison.tex", grid_latex(result, origin.title), ANOTHER_OUTPUT)
    report = output / "report.html"
    provenance = {
        "symdistill": symdistill.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    created = datetime.now(UTC).date()
    write_grid_report(GridReport(origin.title, origin.command, result, origin.config, created, provenance), report)
    return FinishedGrid(result, report)
