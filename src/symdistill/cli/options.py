"""What several verbs share: their arguments, and who gives the command."""

from __future__ import annotations

import getpass
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


def who(by: str | None) -> str:
    """The name to write down with an edit or a decision: the one given, or the login name."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        return "unknown"
