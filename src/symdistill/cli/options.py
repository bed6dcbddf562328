"""What several verbs share: their arguments, and who gives the command."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from symdistill.errors import ConfigError

Config = Annotated[Path, typer.Argument(help="The YAML configuration.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to single keys, for example training.max_steps=10.", metavar="KEY=VALUE"),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Where the run is kept; runs/NAME of the configuration by default."),
]


def check_ending(path: Path, *endings: str, folder: bool = False) -> None:
    """Raise ConfigError where the ending of a file to be written promises another form than `endings`. With `folder` a
    name without an ending, or with a number as one, is that of a folder, and so is one that is there."""
    named = folder and (path.is_dir() or not path.suffix[1:].isalpha())
    if not named and not path.name.lower().endswith(endings):
        forms = [f"a file that ends in {' or '.join(endings)}"] * bool(endings) + ["a folder"] * folder
        raise ConfigError(f"{path} would not be what its ending says.", f"Name {', or '.join(forms)}.")


def existing(path: Path, what: str, name: str) -> Path:
    """The database at `path`, or called `name` in the run directory there. Raises ConfigError where there is none, or
    text, which never was one: what is damaged is told by those who open it."""
    file = path / name if path.is_dir() else path
    if not file.exists():
        raise ConfigError(f"There is no {what} at {file}.", f"Name a {name} or the run directory that holds one.")
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
    except OSError as error:
        raise ConfigError(f"Cannot read {file}: {error.strerror or error}.", "Check the file and its rights.") from None
    if start and start.isascii() and b"\0" not in start:
        raise ConfigError(f"{file} is a text file, no {what}.", f"Name a {name} or the run directory that holds one.")
    return file


def who(by: str | None) -> str:
    """The name to write down with an edit or a decision: the one given, or the login name."""
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        return "unknown"
