"""`symdistill evaluate`: answer the held-out questions and write metrics.json, predictions.jsonl and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from symdistill.cli.bases import BASE
from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir, existing
from symdistill.cli.tables import show_metrics
from symdistill.errors import ConfigError
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.judging import AddedKnowledge, evaluate_students
from symdistill.runs.reporting import report_run
from symdistill.runs.workspace import base_at, workspace


def evaluate(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    knowledge: Annotated[
        Path | None,
        typer.Option(help="A knowledge.sqlite, or a run directory that holds one, to try with every trained student."),
    ] = None,
    gate: Annotated[
        Literal["confidence", "always", "never"] | None, typer.Option(help="When it is used.  [default: confidence]")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Confidence above which the student answers without it.", min=0, max=100)
    ] = None,
) -> None:
    """Evaluate every method of the configuration on the held-out questions."""
    settings = load_stages(config, overrides or ())
    added = _added(knowledge, gate, threshold)
    directory = run_dir or default_run_directory(config)
    with workspace(settings, directory, Display()) as work:
        evidence = evaluate_students(work, added)
        report = report_run(work, evidence, command=work.directory.command)
    show_metrics(evidence.rows, evidence.comparison)
    typer.echo(f"\n Report  {report}")


def _added(
    knowledge: Path | None, gate: Literal["confidence", "always", "never"] | None, threshold: float | None
) -> AddedKnowledge | None:
    """What the options ask for. Raises ConfigError where they do not fit together, or nothing is there."""
    if knowledge is None:
        if gate is not None or threshold is not None:
            raise ConfigError("--gate and --threshold are about --knowledge.", "Add --knowledge KNOWLEDGE.SQLITE.")
        return None
    path = existing(base_at(knowledge), "knowledge base", BASE)
    if threshold is not None and gate not in (None, "confidence"):
        raise ConfigError(f"--threshold has no meaning with --gate {gate}.", "Leave one of them out.")
    return AddedKnowledge(path, gate or "confidence", threshold)
