"""`symdistill curate`: choose among the stored replies and say why the others were dropped."""

from __future__ import annotations

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.teaching import curate_replies
from symdistill.runs.workspace import workspace


def curate(config: Config, overrides: Overrides = None, run_dir: RunDir = None) -> None:
    """Write rationales.jsonl and dropped.jsonl from the replies in the store."""
    settings = load_stages(config, overrides or ())
    with workspace(settings, run_dir or default_run_directory(config), Display(), needs_method=False) as work:
        curate_replies(work)
