"""The arguments several verbs share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The YAML configuration.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to single keys, for example training.max_steps=10.", metavar="KEY=VALUE"),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Where the run is kept; runs/NAME of the configuration by default."),
]


def run_command(config: Path, overrides: list[str] | None, run_dir: Path | None) -> str:
    """The command that repeats a run, as a shell takes it."""
    place = ["--run-dir", str(run_dir)] if run_dir is not None else []
    return shlex.join(["symdistill", "run", str(config), *(overrides or ()), *place])
