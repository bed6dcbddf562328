"""`symdistill compare`: a grid of methods, seeds, data fractions and students from one file, or finished runs and grids
side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from symdistill.cli.grid_display import GridDisplay
from symdistill.cli.tables import show_metrics, show_price, show_table
from symdistill.errors import ConfigError
from symdistill.evaluation.evidence import read_run
from symdistill.evaluation.grid_tables import contrast_table as grid_contrast_table
from symdistill.evaluation.grid_tables import costs_table, footnote, fractions_table, panel_title, results_table
from symdistill.evaluation.tables import comparison_csv, comparison_markdown, contrast_table
from symdistill.runs.directory import default_run_directory, write_text

if TYPE_CHECKING:
    from symdistill.runs.grid import Grid
    from symdistill.runs.grid_pipeline import FinishedGrid


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
        typer.Option("--output", "-o", help="Of a grid: its directory, runs/NAME by default. Of runs: a file."),
    ] = None,
    form: Annotated[Literal["markdown", "csv"], typer.Option("--format", help="Of the file --output.")] = "markdown",
) -> None:
    """Run a grid, or join what is finished: accuracy with intervals, paired tests, costs, and a report.

    The same command goes on where the last one stopped, and runs again what has failed.
    """
    first = Path(targets[0])
    if first.is_file() or first.suffix in (".yaml", ".yml"):
        _run(first, targets[1:], output, workers, baseline, dry_run=dry_run)
        return
    for option, given in (("--workers", workers is not None), ("--dry-run", dry_run)):
        if given:
            raise ConfigError(f"{option} is for a grid, and {first} is no configuration.", "Name its YAML file first.")
    _join([Path(target) for target in targets], output, baseline, form)


def _run(
    config: Path, overrides: list[str], output: Path | None, workers: int | None, baseline: str | None, *, dry_run: bool
) -> None:
    """Run the grid of a configuration."""
    from symdistill.runs.grid import load_grid
    from symdistill.runs.grid_pipeline import run_grid

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


def _join(paths: list[Path], output: Path | None, baseline: str | None, form: str) -> None:
    """Compare what is finished."""
    from symdistill.runs.api import compare_runs
    from symdistill.runs.grid_directory import is_grid
    from symdistill.runs.grid_pipeline import join

    grids = [path for path in paths if is_grid(path)]
    if grids:
        _show(join(paths, output or (paths[0] if len(paths) == 1 else Path("comparison")), baseline=baseline))
        return
    rows, comparison = compare_runs(paths, baseline=baseline)
    show_metrics(rows, comparison, all_pairs=True)
    if contrast := contrast_table([one for path in paths for one in read_run(path)]):
        typer.echo("\n Contrast sets")
        show_table(contrast)
    if output is not None:
        text = comparison_markdown(comparison) if form == "markdown" else comparison_csv(comparison)
        write_text(output, text, "Name another file with --output.")
        typer.echo(f"Wrote {output}")


def _show(finished: FinishedGrid) -> None:
    """The results of each student with the most data, what they cost, and how they grow with the data."""
    result = finished.result
    for panel in result.main:
        title = panel_title(panel, result)
        typer.echo(f"\n {title}" if title else "")
        show_table(results_table(panel, result))
        typer.echo(f" {footnote(panel, result)}\n")
        show_table(costs_table(panel))
        if contrast := grid_contrast_table(panel):
            typer.echo("\n Contrast sets")
            show_table(contrast)
    for student in result.students:
        if table := fractions_table(result, student):
            typer.echo(f"\n Accuracy against training data{f', {student}' if len(result.students) > 1 else ''}")
            show_table(table)
    for note in result.notes:
        typer.echo(f" Note: {note}")
    typer.echo(f"\n Report  {finished.report}      Tables  {finished.report.parent}/comparison.md, .csv, .tex")
