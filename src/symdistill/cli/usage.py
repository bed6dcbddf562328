"""A mistake in the words of a command, on one line: what is wrong, and what was meant or whose help says more."""

from __future__ import annotations

import re

import typer

from symdistill.runs.validation import closest


def explained(error: typer.TyperException) -> str:
    """What is wrong, as a sentence, and the way out. Pydantic, which checks values for typer, is not quoted."""
    said, near = error.format_message(), getattr(error, "possibilities", None)
    if near:
        said = getattr(error, "message", said)
    # "Invalid value for '--status': Value error, 'x' is not one of 'active', 'retired'", "…: Input should be a valid
    # integer, unable to parse string as an integer", "…: Input should be less than or equal to 12"
    said = said.replace(": Value error, ", ": ")
    if found := re.fullmatch(r"Invalid value for (.+?): Input (should be [^,]+).*", said, re.DOTALL):
        said = f"{found[1]} {found[2]}"
    if found := re.search(r": (.+) is not one of (.+)$", said, re.DOTALL):
        meant = closest(found[1].strip("'\""), re.findall(r"'([^']*)'", found[2]))
        near = [meant] if meant else None
    said = said.rstrip()
    said += "" if said.endswith((".", "?", "!")) else "."
    if near:
        return f"{said} Did you mean {' or '.join(near)}?"
    context = getattr(error, "ctx", None)
    return said if said.endswith("?") else f"{said} See `{context.command_path if context else 'symdistill'} --help`."
