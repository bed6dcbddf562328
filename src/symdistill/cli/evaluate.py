"""`symdistill evaluate`: answer the held-out questions and write metrics.json, predictions.jsonl and the report."""

from __future__ import annotations

import typer

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.cli.tables import show_metrics
from symdistill.runs.config import load_config
from symdistill.runs.directory import default_run_directory
from symdistill.runs.judging import evaluate_students
from symdistill.runs.reporting import report_run
from symdistill.runs.workspace import workspace


def evaluate(config: Config, overrides: Overrides = None, run_dir: RunDir = None) -> None:
    """Evaluate every method of the configuration on the held-out questions."""
    settings = load_config(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    with workspace(settings, directory, Display()) as work:
        evidence = evaluate_students(work)
        report = report_run(work, evidence, command=work.directory.command)
    show_metrics(evidence.rows, evidence.comparison)
    typer.echo(f"\n Report  {report}")
