"""JSON in a teacher's reply, read leniently and without losing a value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_OBJECT = re.compile(r"\{\s{0,20}[\"}]")
_TRIES = 8
_CLOSINGS = ("", '"}', "}", '"]}', "]}", '"}}', "}}")
"""What may be missing at the end of an object that was cut."""
_CUT_KEY = re.compile(r",\s{0,20}\"?(?P<key>[^\",\n]{0,80})\"?\s{0,20}:?\s{0,20}\Z")
_ESCAPED_BREAK = re.compile(r"\\n(?=\s{0,9}(?:\d{1,2}[.)]|[-*•]))")
_MARKED = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•])\s")


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, repeated keys included."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=str, strict=False)


def json_objects(text: str, known: Callable[[str], bool]) -> Iterator[tuple[int, int, list[tuple[str, str]]]]:
    """The objects in `text`, one after the other: where each begins and ends, and its members as text.

    The value of a key that is `known` is given whole; of other keys that hold an object, its members are given as if
    they were the outer one's own. A list becomes lines with bullets, numbers stay as they are written. What is not
    JSON is passed over; an object cut at the end of the text is read as far as it goes, up to a key without a value.
    """
    at = 0
    for _ in range(_TRIES):
        match = _OBJECT.search(text, at)
        if match is None:
            return
        begin = match.start()
        decoded = _decoded(text, begin)
        if decoded is None:
            at = begin + 1
            continue
        value, at = decoded
        yield begin, at, list(_members(value, known))


def _decoded(text: str, begin: int) -> tuple[_Pairs, int] | None:
    rest = text[begin:].rstrip().removesuffix("```").rstrip()
    for closing in _CLOSINGS:
        try:
            value, length = _DECODER.raw_decode(rest + closing)
        except (ValueError, RecursionError):
            continue
        return value, min(begin + length, len(text)) if not closing else len(text)
    return _without_cut_key(rest, begin)


def _without_cut_key(rest: str, begin: int) -> tuple[_Pairs, int] | None:
    """An object that was cut in a key or before its value, without that key."""
    place = rest.rfind(",", max(0, len(rest) - 200))
    cut = _CUT_KEY.match(rest, place) if place >= 0 else None
    if cut is None:
        return None
    for closing in ("}", "}}"):
        try:
            value, _ = _DECODER.raw_decode(rest[:place] + closing)
        except (ValueError, RecursionError):
            continue
        return value, begin + cut.start("key")
    return None


def _members(pairs: _Pairs, known: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    for key, value in pairs:
        if isinstance(value, _Pairs) and not known(key):
            yield from _members(value, known)
        else:
            yield key, _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value if "\n" in value else _ESCAPED_BREAK.sub("\n", value)
    if isinstance(value, _Pairs):
        return "\n".join(f"{key}: {_as_text(inner)}" for key, inner in value)
    if isinstance(value, list):
        lines = [_as_text(inner) for inner in value]
        return "\n".join(line if _MARKED.match(line) else f"- {line}" for line in lines)
    return "" if value is None else json.dumps(value)
