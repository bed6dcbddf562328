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
    if path.is_dir():
        raise ConfigError(f"{path} is a directory.", f"Name a file, for example {path / 'symdistill.yaml'}.")
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already.", "Name another file, or add --force.")
    text = resources.files(__package__).joinpath("starter.yaml").read_text(encoding="utf-8")
    write_text(path, text, "Name a file in a directory you can write to: `symdistill init FILE`.")
    typer.echo(f"Wrote {path}. Set `task.path` and `teacher.model`, then: symdistill run {path} --dry-run")
