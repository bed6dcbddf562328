"""`symdistill compare RUN…`: finished runs side by side, on the same questions, with paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from symdistill.cli.tables import show_metrics
from symdistill.evaluation.tables import comparison_csv, comparison_markdown
from symdistill.runs.api import compare_runs
from symdistill.runs.directory import write_text


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    baseline: Annotated[str | None, typer.Option(help="The method the others are compared with.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the table here.")] = None,
    form: Annotated[Literal["markdown", "csv"], typer.Option("--format", help="Of the written table.")] = "markdown",
) -> None:
    """Accuracy with intervals, McNemar's test and the paired bootstrap between every two methods."""
    rows, comparison = compare_runs(runs, baseline=baseline)
    show_metrics(rows, comparison, all_pairs=True)
    if output is not None:
        text = comparison_markdown(comparison) if form == "markdown" else comparison_csv(comparison)
        write_text(output, text, "Name another file with --output.")
        typer.echo(f"Wrote {output}")
