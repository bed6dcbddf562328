"""What can still be read of a damaged knowledge base: row by row, without the parts of the file that fail.

It works on a copy, and nothing in the file is changed. A file that was cut short is filled up with zeros, or none of it
could be read. Rows are looked up by their numbers, so a page that cannot be read costs the rows on it alone. What is
lost is named, as far as the index of ids can be read.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from symdistill.knowledge.history import Version
from symdistill.knowledge.items import Use
from symdistill.knowledge.rows import ITEM_COLUMNS, USE_COLUMNS, item_from, use_from

_HEADER = 100
"""Bytes of an SQLite file's header: the size of a page stands at 16, the number of pages at 28."""
_MOST_BYTES = 2**36
_MOST_ROWS = 10**7
_NAMED = 10
_INDEX = "sqlite_autoindex_versions_1"  # SQLite's own, of UNIQUE (item, version)


@dataclass(slots=True)
class Salvaged:
    """Histories and measurements that were read, and in words what was lost."""

    histories: list[list[Version]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def salvaged(path: Path) -> Salvaged:
    """What can be read of the file. Where nothing can, the histories are empty."""
    found = Salvaged()
    with TemporaryDirectory(prefix="symdistill-") as folder:
        try:
            db = sqlite3.connect(_copied(path, Path(folder)))
        except (OSError, sqlite3.Error) as error:
            found.lost.append(f"{path} cannot be opened ({error}).")
            return found
        with closing(db):
            _versions(db, found)
            _uses(db, found)
    return found


def _copied(path: Path, folder: Path) -> Path:
    """A copy of the file, with what is committed and not yet moved into it, as long as its header says it is."""
    copy = folder / "copy.sqlite"
    shutil.copyfile(path, copy)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        shutil.copyfile(log, folder / "copy.sqlite-wal")
    with copy.open("r+b") as file:
        header = file.read(_HEADER)
        if len(header) == _HEADER:
            size = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
            wanted = (65536 if size[0] == 1 else size[0]) * size[1]
            if copy.stat().st_size < wanted <= _MOST_BYTES:
                file.truncate(wanted)
    return copy


def _versions(db: sqlite3.Connection, found: Salvaged) -> None:
    histories: defaultdict[str, dict[int, Version]] = defaultdict(dict)
    unread: list[int] = []
    columns = f"{ITEM_COLUMNS}, note"
    for number, row in _rows(db, "versions", "seq", columns, found):
        try:
            if row is None:
                raise ValueError("the row is gone")
            item = item_from(row[:-1])
        except ValueError:
            unread.append(number)
            continue
        histories[item.id][item.version] = Version(item, str(row[-1]), item.edited_by, item.edited_at)
    found.histories = [[versions[v] for v in sorted(versions)] for _, versions in sorted(histories.items())]
    if unread:
        names = _names(db, set(unread))
        known = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
        found.lost.append(f"{len(unread):,} versions of items cannot be read{f': {known}' if names else ''}.")


def _uses(db: sqlite3.Connection, found: Salvaged) -> None:
    latest: dict[tuple[str, int, str, str], Use] = {}
    unread = 0
    try:
        there = {row[1] for row in db.execute("PRAGMA table_info(uses)")}
    except sqlite3.Error:
        there = set()
    columns = ", ".join(name if name in there else f"'' AS {name}" for name in USE_COLUMNS.split(", "))
    for _, row in _rows(db, "uses", "id", columns, found):
        try:
            if row is None:
                raise ValueError("the row is gone")
            use = use_from(row)
        except ValueError:
            unread += 1
            continue
        latest[use.item_id, use.version, use.example_id, use.student] = use
    found.uses = list(latest.values())
    if unread:
        found.lost.append(f"{unread:,} measurements cannot be read.")


def _rows(
    db: sqlite3.Connection, table: str, key: str, columns: str, found: Salvaged
) -> Iterator[tuple[int, Sequence[Any] | None]]:
    """Every row of a table by its number, None for one that cannot be read."""
    last = _last(db, table, key)
    if last is None:
        found.lost.append(f"The table of {table} cannot be read.")
        return
    for number in range(1, last + 1):
        try:
            yield number, db.execute(f"SELECT {columns} FROM {table} WHERE {key} = ?", (number,)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError):
            yield number, None


def _last(db: sqlite3.Connection, table: str, key: str) -> int | None:
    """The highest number of a table's rows, from whichever place still tells it."""
    for query in (f"SELECT max({key}) FROM {table}", f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'"):
        try:
            [row] = db.execute(query).fetchall() or [(0,)]
            return min(int(row[0] or 0), _MOST_ROWS)
        except (sqlite3.Error, ValueError, TypeError):
            continue  # the next place may be sound
    return None


def _names(db: sqlite3.Connection, numbers: set[int]) -> list[str]:
    """The items of versions that cannot be read, from the index of ids, as far as that goes."""
    names: dict[str, None] = {}
    try:
        for number, item, version in db.execute(f"SELECT seq, item, version FROM versions INDEXED BY {_INDEX}"):
            if number in numbers:
                names[f"{item} (version {version})"] = None
    except (sqlite3.Error, UnicodeDecodeError):
        return list(names)  # the index is damaged too: those found so far
    return list(names)
