"""Measurements on their way into a knowledge base: which are new, and which speak of a text that is here."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from symdistill.knowledge.items import Use
from symdistill.knowledge.rows import USE_COLUMNS, use_row
from symdistill.sampling.database import storable

_NAMES = USE_COLUMNS.split(", ")
_INSERT = f"INSERT INTO uses ({USE_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
_LAST = (
    f"SELECT {USE_COLUMNS} FROM uses WHERE item = ? AND version = ? AND example_id = ? AND student = ? "
    "ORDER BY id DESC LIMIT 1"
)


def written(db: sqlite3.Connection, uses: Iterable[Use]) -> int:
    """Write the uses that say something new and return how many."""
    new = 0
    for use in uses:
        row, last = use_row(use), _last(db, use)
        if last is None or last[:-1] != row[:-1]:  # the time alone is nothing new
            db.execute(_INSERT, row)
            new += 1
    return new


def newer_than_known(db: sqlite3.Connection, uses: Iterable[Use]) -> Iterator[Use]:
    """The uses that were measured after what is known about the same version, question and student. One without a time
    is older than every other."""
    for use in uses:
        last = _last(db, use)
        if last is None or use.recorded_at > last[-1]:
            yield use


def of_known_texts(db: sqlite3.Connection, uses: Iterable[Use], texts: Mapping[tuple[str, int], str]) -> list[Use]:
    """The uses whose item has, in that version, the text they were measured with: `texts` holds it by id and version.

    Two bases may each have made a version 2 of an item, and what one measured says nothing about the other's.
    """
    here: dict[tuple[str, int], str | None] = {}
    found = []
    for use in uses:
        place = (use.item_id, use.version)
        if place not in here:
            row = db.execute("SELECT text FROM versions WHERE item = ? AND version = ?", place).fetchone()
            here[place] = row[0] if row else None
        if here[place] is not None and here[place] == (storable(texts[place]) if place in texts else None):
            found.append(use)
    return found


def _last(db: sqlite3.Connection, use: Use) -> tuple[Any, ...] | None:
    place = (storable(use.item_id), use.version, storable(use.example_id), storable(use.student))
    last: tuple[Any, ...] | None = db.execute(_LAST, place).fetchone()
    return last
