"""`symdistill train`: train the students on the run's rationales.jsonl, which may have been edited by hand."""

from __future__ import annotations

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.learning import train_students
from symdistill.runs.workspace import workspace


def train(config: Config, overrides: Overrides = None, run_dir: RunDir = None) -> None:
    """Train every method of the configuration; an interrupted training goes on from its last checkpoint."""
    settings = load_stages(config, overrides or ())
    with workspace(settings, run_dir or default_run_directory(config), Display()) as work:
        train_students(work)
