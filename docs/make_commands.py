"""Write docs/commands.md from the program's own help; `tests/cli/test_main.py` fails when it is stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from symdistill.cli.main import app

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

Made from the program's help by `make docs`; do not edit by hand.

Every command prints results to standard output and everything else to standard error. Exit codes: 0 done, 1 something
failed, 2 a mistake in what was asked, 3 the budget would be passed, 130 stopped with Ctrl-C (the same command goes on).
"""


def commands(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Each command's path and its help, groups before their members."""
    yield context.command_path, command.get_help(context)
    for name, member in getattr(command, "commands", {}).items():
        inner = type(context)(member, info_name=name, parent=context, terminal_width=100)
        yield from commands(member, inner)


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="symdistill", terminal_width=100)
    parts = [f"## {path}\n\n```text\n{help_text.rstrip()}\n```\n" for path, help_text in commands(root, context)]
    return HEAD + "\n" + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
