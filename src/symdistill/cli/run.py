"""`symdistill run`: every stage, from the teacher's replies to the report. What is done already is not done again."""

from __future__ import annotations

from typing import Annotated

import typer

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.cli.tables import show_metrics, show_price
from symdistill.runs.config import load_config
from symdistill.runs.directory import default_run_directory
from symdistill.runs.families import price_family, run_family
from symdistill.runs.pipeline import price, run_all


def run(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask no model.")] = False,
) -> None:
    """Sample the teacher, curate, train, evaluate and report; the same command resumes."""
    settings = load_config(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    display = Display()
    if dry_run:
        show_price((price_family if settings.family else price)(settings, directory, display))
        return
    display.note(f"symdistill run {config}    run: {directory}")
    if settings.family:
        typer.echo(f"\n{run_family(settings, directory, display)}")
        typer.echo(f"\n Report  {directory / 'report.html'}")
        return
    finished = run_all(settings, directory, display)
    show_metrics(finished.metric_rows, finished.comparison)
    typer.echo(f"\n Report  {finished.report}")
