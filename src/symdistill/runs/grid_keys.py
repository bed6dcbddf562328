"""The keys of a cell's configuration as they stand in the grid's file: `method` is an entry of `methods`, what is
varied stands in `grid.vary`, what a student changes in `grid.students`.

`keys` maps each key of a cell that stands elsewhere to the place where it does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from symdistill.errors import SymdistillError
from symdistill.runs.validation import Places

E = TypeVar("E", bound=SymdistillError)
N = TypeVar("N", int, str)


def in_own_keys(error: E, keys: Mapping[str, str]) -> E:
    """The error about a cell with every key named as the grid's file does."""
    message = renamed(error.message, keys)
    beside = {
        _section(key): _section(own)
        for key, own in keys.items()
        if f"`{own}`" in message and "." in key and own.endswith(key.rpartition(".")[2])
    }  # a key that was meant stands beside the one that was written
    error.message, error.fix = message, renamed(error.fix, {**keys, **beside})
    return error


def renamed(text: str, keys: Mapping[str, str]) -> str:
    """A text with every key in it named as the grid's file does."""

    def own(found: re.Match[str]) -> str:
        key = found[1]
        longest = max((k for k in keys if _within(key, k)), key=len, default=None)
        return found[0] if longest is None else f"`{keys[longest]}{key.removeprefix(longest)}`"

    return re.sub(r"`([A-Za-z_][\w.-]*)`", own, text)


def moved(places: Places, keys: Mapping[str, str]) -> Places:
    """Where the keys of a cell's configuration stand in the grid's file, or among the overrides."""

    def there(found: Mapping[str, N]) -> dict[str, N]:
        every = dict(found)
        for key, own in keys.items():
            every |= {key + k.removeprefix(own): value for k, value in found.items() if _within(k, own)}
        return every

    overrides = there(places.overrides)
    for key, own in keys.items():  # an override of a section says what stands in it
        around = (places.overrides[k] for k in sorted(places.overrides, key=len, reverse=True) if _within(own, k))
        if key not in overrides and (said := next(around, None)) is not None:
            overrides[key] = said
    return replace(places, lines=there(places.lines), overrides=overrides)


def _within(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def _section(key: str) -> str:
    return key.rpartition(".")[0]
