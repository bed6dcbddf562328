"""`symdistill init`: a commented configuration to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from symdistill.errors import ConfigError
from symdistill.runs.directory import write_text


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("symdistill.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a commented configuration."""
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already.", "Name another file, or add --force.")
    write_text(path, resources.files(__package__).joinpath("starter.yaml").read_text(encoding="utf-8"))
    typer.echo(f"Wrote {path}. Set `task.path` and `teacher.model`, then: symdistill run {path} --dry-run")
