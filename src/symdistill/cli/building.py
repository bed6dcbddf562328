"""`symdistill knowledge build`: what the teacher makes of a first student's mistakes, or of solved questions."""

from __future__ import annotations

import typer

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.errors import ConfigError
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.pipeline import build_knowledge
from symdistill.runs.workspace import workspace


def build(config: Config, overrides: Overrides = None, run_dir: RunDir = None) -> None:
    """Sample and curate, and ask the teacher for notes: about the mistakes of a first student, or about every question.

    What is done already is not done again; `symdistill run` goes on from there.
    """
    settings = load_stages(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    if settings.knowledge.path is not None:
        raise ConfigError(
            f"`knowledge.path` names a base that is there ({settings.knowledge.path}): nothing is to be built.",
            "Leave it out to build the run's own.",
        )
    with workspace(settings, directory, Display()) as work:
        paths = build_knowledge(work)
    for path in paths:
        typer.echo(f" Knowledge  {path}      Read it  symdistill knowledge list {path}")
