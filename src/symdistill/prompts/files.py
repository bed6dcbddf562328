"""The wording of prompts, as it stands in the text files beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_SECTION = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)


@cache
def wording(name: str) -> str:
    """The text of `prompts/NAME.txt`, without its last line break."""
    return resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


@cache
def sections(name: str) -> dict[str, str]:
    """The parts of `prompts/NAME.txt`, each under a line `=== part ===`."""
    _, *pieces = _SECTION.split(wording(name))
    return {key: text.rstrip("\n") for key, text in zip(pieces[::2], pieces[1::2], strict=True)}
