"""`symdistill compare`: a grid of methods, seeds, data fractions and students from one file, or finished runs and grids
side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symdistill.cli.grid_display import GridDisplay
from symdistill.cli.options import check_ending
from symdistill.cli.tables import show_price, show_table
from symdistill.errors import ConfigError
from symdistill.evaluation.grid_tables import (
    contrast_table,
    costs_table,
    domains_table,
    footnote,
    fractions_table,
    pairs_table,
    panel_title,
    results_table,
)
from symdistill.runs.directory import default_run_directory

if TYPE_CHECKING:
    from symdistill.runs.grid import Grid
    from symdistill.runs.grid_pipeline import FinishedGrid

_MOST_PAIRS = 15  # on a terminal


def compare(
    targets: Annotated[
        list[str],
        typer.Argument(
            help="A configuration with a section `grid`, and changes to single keys of it; or finished runs and grids.",
            metavar="CONFIG [KEY=VALUE]... | RUN...",
        ),
    ],
    workers: Annotated[
        int | None, typer.Option(help="Runs at the same time, each in a process.  [default: 1, or one a GPU]", min=1)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would run and buy; start nothing.")] = False,
    baseline: Annotated[str | None, typer.Option(help="The method the others are compared with.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Of a grid: its directory, runs/NAME by default. Of what is joined: a directory for the report and "
            "the tables, or one file that ends in .html, .md, .csv or .tex.",
        ),
    ] = None,
) -> None:
    """Run a grid, or join what is finished: accuracy with intervals, paired tests, costs, and a report.

    Joining shows the tables, and writes what --output names; of one grid alone, its own report and tables anew.

    The same command goes on where the last one stopped, and runs again what has failed.
    """
    first = Path(targets[0])
    if first.is_file() or first.suffix in (".yaml", ".yml"):
        _run(first, targets[1:], output, workers, baseline, dry_run=dry_run)
        return
    for option, given in (("--workers", workers is not None), ("--dry-run", dry_run)):
        if given:
            raise ConfigError(f"{option} is for a grid, and {first} is no configuration.", "Name its YAML file first.")
    _join([Path(target) for target in targets], output, baseline)


def _run(
    config: Path, overrides: list[str], output: Path | None, workers: int | None, baseline: str | None, *, dry_run: bool
) -> None:
    """Run the grid of a configuration."""
    from symdistill.runs.grid import load_grid
    from symdistill.runs.grid_pipeline import run_grid

    if output is not None:
        check_ending(output, folder=True)
    changes = [*overrides, *([f"grid.baseline={baseline}"] if baseline else [])]
    grid = load_grid(config, changes, output or default_run_directory(config))
    with GridDisplay() as display:
        if dry_run:
            _show_plan(grid, display)
            return
        display.line(f"symdistill compare {config}    {len(grid.cells):,} runs in {grid.directory}")
        finished = run_grid(grid, display, workers=workers)
    _show(finished)
    if finished.failed:
        typer.echo(f"\n {len(finished.failed):,} of {len(grid.cells):,} runs failed; the same command runs them again.")
        for cell in finished.failed:
            typer.echo(f"   {cell.title}: {cell.error}")
        raise typer.Exit(1)


def _show_plan(grid: Grid, display: GridDisplay) -> None:
    """What the grid would run and buy."""
    from symdistill.runs.grid_checks import check_grid, price_grid
    from symdistill.runs.grid_running import is_done

    checked = check_grid(grid, display.cell(""))
    done = {cell.name for cell in grid.cells if is_done(grid, cell, checked)}
    typer.echo(f"{len(grid.cells):,} runs in {grid.directory}, {len(done):,} of them finished:")
    for cell in grid.cells:
        typer.echo(f"   {cell.title}{'   finished' if cell.name in done else ''}")
    show_price(price_grid(checked))


def _join(paths: list[Path], output: Path | None, baseline: str | None) -> None:
    """Compare what is finished."""
    from symdistill.runs.grid_directory import is_grid
    from symdistill.runs.grid_pipeline import FORMS, join
    from symdistill.runs.joining import family_of_all, join_family

    if family_of_all(paths) is not None:
        if output is not None or baseline is not None:
            raise ConfigError("--output and --baseline are about runs of methods.", "Leave them out.")
        show_table(join_family(paths))
        return
    if output is not None:
        check_ending(output, *FORMS, folder=True)
    alone = paths[0] if len(paths) == 1 and is_grid(paths[0]) else None
    _show(join(paths, output or alone, baseline=baseline))


def _show(finished: FinishedGrid) -> None:
    """The results of each student with the most data, what they cost, and how they grow with the data."""
    result = finished.result
    for panel in result.main:
        title = panel_title(panel, result)
        typer.echo(f"\n {title}" if title else "")
        show_table(results_table(panel, result))
        typer.echo(f" {footnote(panel, result)}\n")
        if domains := domains_table(panel, result):
            typer.echo(" In and out of domain")
            show_table(domains)
            typer.echo("")
        show_table(costs_table(panel))
        if contrast := contrast_table(panel):
            typer.echo("\n Contrast sets")
            show_table(contrast)
        if 1 < len(panel.pairs) <= _MOST_PAIRS:
            typer.echo("\n Every two methods")
            show_table(pairs_table(panel))
    for student in result.students:
        if table := fractions_table(result, student):
            typer.echo(f"\n Accuracy against training data{f', {student}' if len(result.students) > 1 else ''}")
            show_table(table)
    for note in result.notes:
        typer.echo(f" Note: {note}")
    if (path := finished.report) is not None:
        tables = f"      Tables  {path.parent}/comparison.md, .csv, .tex" if path.name == "report.html" else ""
        typer.echo(f"\n Report  {path}{tables}")
