"""What the commands of `symdistill knowledge` share: opening a base, saying what was left out, lines of items."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.display import one_line, visible
from symdistill.cli.options import existing
from symdistill.evaluation.tables import plain_text
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.utility import Lift, lifts

Base = Annotated[Path, typer.Argument(help="A knowledge.sqlite, or a run directory.", show_default=False)]
By = Annotated[str | None, typer.Option("--by", help="Who makes the edit.  [default: your login name]")]

BASE = "knowledge.sqlite"

_TITLE_WIDTH, _LEAST_TITLE = 60, 20


def base_file(path: Path) -> Path:
    """The file of a base that is named by it or by its run directory."""
    return path / BASE if path.is_dir() else path


def say(text: str) -> None:
    """A line beside the results."""
    typer.echo(visible(text), err=True)


def open_base(path: Path, report: Callable[[str], None] = say) -> KnowledgeBase:
    """A base that is there; `report` is told of every row that makes no sense. Raises ConfigError where it is not."""
    return KnowledgeBase(existing(path, "knowledge base", BASE), create=False, report=report)


def complain(lines: Sequence[str]) -> None:
    """Say what was left out, and end with the code for something that has to change first."""
    for line in lines:
        say(line)
    if lines:
        raise typer.Exit(2)


def measured_lifts(base: KnowledgeBase) -> dict[str, Lift]:
    """What the items of a base were measured to be worth."""
    return lifts(base.uses(), base.current_versions())


def show_lines(table: list[list[str]], last: Sequence[str]) -> None:
    """Lines of figures, aligned, and a title behind each that is cut to the terminal."""
    lines = plain_text(table).splitlines()
    width = max(map(len, lines))
    room = max(shutil.get_terminal_size((width + _TITLE_WIDTH, 24)).columns - width - 3, _LEAST_TITLE)
    for line, title in zip(lines, last, strict=True):
        typer.echo(f" {line:<{width}}  {one_line(title, room)}".rstrip())
