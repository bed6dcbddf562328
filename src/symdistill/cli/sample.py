"""`symdistill sample`: buy the teacher's replies that are not stored yet."""

from __future__ import annotations

from typing import Annotated

import typer

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.cli.tables import show_price
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.pipeline import price
from symdistill.runs.teaching import sample_teacher
from symdistill.runs.workspace import workspace


def sample(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask no model.")] = False,
) -> None:
    """Ask the teacher for every rationale the configuration wants, and store the replies."""
    settings = load_stages(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    if dry_run:
        show_price(price(settings, directory, Display(), needs_method=False))
        return
    with workspace(settings, directory, Display(), needs_method=False) as work:
        sample_teacher(work)
