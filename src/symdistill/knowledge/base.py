"""The knowledge base: items that people can read, search and edit, with every version they ever had.

One SQLite file, append-only (triggers refuse anything else). An edit writes a new version with who made it, when and
why; retiring an item and taking it back are edits. A row that was changed into nonsense with another program is
reported and left out; the rest is served.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from symdistill.errors import DataError, StoreError
from symdistill.knowledge.history import EDITABLE, Change, Conflict, Merged, Version, continuing
from symdistill.knowledge.items import Flag, Kind, KnowledgeItem, Status, Use
from symdistill.knowledge.rows import (
    ITEM_COLUMNS,
    USE_COLUMNS,
    checked,
    item_from,
    item_row,
    use_from,
)
from symdistill.knowledge.schema import SCHEMA, require_full_text_search
from symdistill.knowledge.use_rows import newer_than_known, of_known_texts, written
from symdistill.sampling.database import Database, storable

__all__ = ["Change", "Conflict", "KnowledgeBase", "KnowledgeStats", "Merged", "Version"]

_CURRENT: tuple[Status, ...] = ("active",)
_LATEST = "seq IN (SELECT max(seq) FROM versions GROUP BY item)"
_LATEST_USES = f"id IN (SELECT max(id) FROM uses GROUP BY {', '.join(USE_COLUMNS.split(', ')[:3])}, student)"
_INSERT = f"INSERT INTO versions ({ITEM_COLUMNS}, note) VALUES ({', '.join('?' * 12)})"
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 64  # of a search: enough for any question, and far from SQLite's limits


@dataclass(frozen=True, slots=True)
class KnowledgeStats:
    """What a knowledge base holds. The counts by status, kind, task and flag are of items, not of versions."""

    items: int
    statuses: Mapping[str, int]
    kinds: Mapping[str, int]
    tasks: Mapping[str, int]
    flags: Mapping[str, int] = field(default_factory=dict)
    versions: int = 0
    uses: int = 0
    unreadable: int = 0
    bytes: int = 0


class KnowledgeBase:
    """The knowledge base in the file `path`, made when it is not there (`create`).

    Safe to use from several threads and processes. Every method raises StoreError when the file is damaged, locked for
    longer than `busy_seconds`, or cannot be read or written. `report` is told, once, of every row that makes no sense;
    without it a warning is given.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = True,
        busy_seconds: float = 30.0,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._report = report or (lambda text: warnings.warn(text, stacklevel=2))
        self._reported: set[str] = set()
        require_full_text_search()
        if not create and not self.path.exists():
            raise StoreError(
                f"There is no knowledge base at {self.path}.",
                "Name a knowledge.sqlite or the run directory that holds one.",
            )
        self._db = Database(self.path, SCHEMA, busy_seconds=busy_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._db.close()

    # What it holds

    def get(self, item_id: str, version: int | None = None) -> KnowledgeItem:
        """An item at its latest version, or at one of those before.

        Raises:
            DataError: there is no such item or version; the message names ids like it.
            StoreError: that version was changed into nonsense.
        """
        rows = self._db.read(f"SELECT {ITEM_COLUMNS} FROM versions WHERE item = ? ORDER BY seq", (item_id,))
        if not rows:
            raise self._unknown(item_id)
        numbers = [row[1] for row in rows]
        if version is not None and version not in numbers:
            raise DataError(
                f"{item_id} has no version {version}.", f"It has {', '.join(str(number) for number in numbers)}."
            )
        row = rows[-1] if version is None else rows[numbers.index(version)]
        try:
            return item_from(row)
        except ValueError as problem:
            way_out = (
                f"`symdistill knowledge log` shows the other versions, and `knowledge edit {self.path} {item_id} "
                "--status active` goes on from the last of those."
            )
            sound = any(True for _ in self._readable(rows))
            raise StoreError(self._nonsense(row, problem), way_out if sound else self._anew()) from None

    def items(
        self,
        *,
        status: Collection[Status] | None = _CURRENT,
        kind: Kind | None = None,
        task: str | None = None,
    ) -> list[KnowledgeItem]:
        """The latest versions, by task, kind and id; of any status where that is None."""
        rows = self._db.read(f"SELECT {ITEM_COLUMNS} FROM versions WHERE {_LATEST} ORDER BY task, kind, item")
        return [
            item
            for item in self._readable(rows)
            if (status is None or item.status in status) and kind in (None, item.kind) and task in (None, item.task)
        ]

    def search(
        self, query: str, *, limit: int = 10, status: Collection[Status] | None = _CURRENT
    ) -> list[KnowledgeItem]:
        """Items whose title, text or task hold the words of `query` or words that begin so, best first (BM25).

        Where no item holds all of them, those that hold any; where there is none of these either, those that hold the
        whole query somewhere inside a word, which is what scripts without spaces need. The query is text: nothing in
        it has a special meaning.
        """
        words = list(dict.fromkeys(_WORD.findall(storable(query))))[:_MOST_WORDS]
        for joint in (" AND ", " OR ") if words else ():
            match = joint.join(f'"{word}"*' for word in words)
            rows = self._db.stream(
                f"SELECT {_of('versions', ITEM_COLUMNS)} FROM words JOIN versions ON versions.seq = words.rowid "
                f"WHERE words MATCH ? AND versions.{_LATEST} ORDER BY bm25(words, 3.0, 1.0, 1.0), versions.item",
                (match,),
            )
            if found := self._first(rows, limit, status):
                return found
        whole = query.strip().casefold()
        if not whole:
            return []
        held = (item for item in self.items(status=status) if whole in f"{item.title}\n{item.text}".casefold())
        return list(islice(held, limit))

    def history(self, item_id: str) -> list[Version]:
        """Every version of an item, the first one first. Raises DataError for an unknown item."""
        rows = self._db.read(f"SELECT {ITEM_COLUMNS}, note FROM versions WHERE item = ? ORDER BY seq", (item_id,))
        if not rows:
            raise self._unknown(item_id)
        return list(self._versions(rows))

    def histories(self, item_ids: Collection[str] | None = None) -> Iterator[list[Version]]:
        """The history of every item, or of those named, by id."""
        rows = self._db.stream(f"SELECT {ITEM_COLUMNS}, note FROM versions ORDER BY item, seq")
        group: list[Version] = []
        for version in self._versions(rows):
            if group and group[0].item.id != version.item.id:
                yield group
                group = []
            if item_ids is None or version.item.id in item_ids:
                group.append(version)
        if group:
            yield group

    @property
    def revision(self) -> int:
        """A number that grows with every change of items, so that an index knows when it is stale."""
        return int(self._db.read("SELECT coalesce(max(seq), 0) FROM versions")[0][0])

    def changed_since(self, revision: int) -> list[KnowledgeItem]:
        """The latest versions, of any status, of the items that changed after `revision`, in the order of change."""
        rows = self._db.read(
            f"SELECT {ITEM_COLUMNS} FROM versions WHERE seq > ? AND {_LATEST} ORDER BY seq", (revision,)
        )
        return list(self._readable(rows))

    def uses(self, item_id: str | None = None) -> list[Use]:
        """What was measured, of one item or all: for each version, question and student what was measured last."""
        rows = self._db.read(
            f"SELECT {USE_COLUMNS} FROM uses WHERE (?1 IS NULL OR item = ?1) AND {_LATEST_USES} ORDER BY id", (item_id,)
        )
        return list(self._readable_uses(rows))

    def current_versions(self) -> dict[str, set[int]]:
        """For each item the versions with the text it has now, whose uses say what it is worth (`utility.lifts`).

        Retiring an item and taking it back keeps its measurements; another text starts anew.
        """
        found: dict[str, set[int]] = {}
        for item, version in self._db.read(
            f"SELECT v.item, v.version FROM versions AS now JOIN versions AS v ON v.item = now.item "
            f"AND v.text = now.text WHERE now.{_LATEST}"
        ):
            found.setdefault(item, set()).add(version)
        return found

    def stats(self) -> KnowledgeStats:
        """Counts of what the base holds."""
        items = self.items(status=None)
        latest = self._db.read("SELECT count(DISTINCT item) FROM versions")[0][0]
        return KnowledgeStats(
            items=len(items),
            statuses=_counted(item.status for item in items),
            kinds=_counted(item.kind for item in items),
            tasks=_counted(item.task for item in items),
            flags=_counted(flag for item in items for flag in item.flags),
            versions=self._db.read("SELECT count(*) FROM versions")[0][0],
            uses=self._db.read(f"SELECT count(*) FROM uses WHERE {_LATEST_USES}")[0][0],
            unreadable=latest - len(items),
            bytes=self._db.bytes,
        )

    # How it changes

    def add(self, items: Iterable[KnowledgeItem], *, by: str, note: str = "") -> list[str]:
        """Write new items, each as version 1, in one transaction, and return their ids in order.

        An id that is there already is left as it is. Raises DataError for an item with a value that makes no sense;
        nothing was written then.
        """
        new = [checked(replace(item, version=1, edited_by=by, edited_at=_now())) for item in items]
        added = []
        with self._db.writing() as db:
            for item in new:
                if not db.execute("SELECT 1 FROM versions WHERE item = ?", (item.id,)).fetchone():
                    db.execute(_INSERT, (*item_row(item), storable(note)))
                    added.append(item.id)
        return added

    def edit(
        self, item_id: str, *, by: str, note: str = "", expected: int | None = None, **changes: Any
    ) -> KnowledgeItem:
        """Write a new version of an item with `changes` (among `EDITABLE`) and return it.

        Nothing is written where nothing changes. An item whose latest version makes no sense goes on from the last one
        that does.

        Raises:
            DataError: no such item, a value that makes no sense, or the latest version is not `expected`: somebody
                else was faster, and nothing was written.
        """
        return self.apply([Change(item_id, expected, changes, note)], by=by)[0]

    def apply(self, changes: Iterable[Change], *, by: str, note: str = "") -> list[KnowledgeItem]:
        """Make several edits in one transaction, all or none, and return the items. Raises as `edit`.

        `note` is for the changes that bring none of their own.
        """
        with self._db.writing() as db:
            return [self._edited(db, change, by, change.note or note) for change in changes]

    def merge(self, histories: Iterable[Sequence[Version]], uses: Iterable[Use] = ()) -> Merged:
        """Take in items of another base with the versions they have there, in one transaction.

        Versions that continue what is here are appended as they are. An item that was changed here and there in
        different ways, or whose later version does not show what it continues, is a conflict and stays as it is.
        Uses come in where the text they were measured with is here, and where nothing later was measured.
        """
        added: list[str] = []
        updated: list[str] = []
        conflicts, unchanged = [], 0
        texts: dict[tuple[str, int], str] = {}
        with self._db.writing() as db:
            for theirs in histories:
                item_id = theirs[0].item.id
                texts |= {(item_id, version.item.version): version.item.text for version in theirs}
                ours = db.execute(
                    f"SELECT {ITEM_COLUMNS} FROM versions WHERE item = ? ORDER BY seq", (item_id,)
                ).fetchall()
                fresh = continuing(ours, theirs)
                if fresh is None:
                    conflicts.append(Conflict(item_id, ours[-1][1], theirs[-1].item.version))
                    continue
                for version in fresh:
                    db.execute(_INSERT, (*item_row(checked(version.item)), storable(version.note)))
                unchanged += not fresh
                if fresh:
                    (updated if ours else added).append(item_id)
            given = list(uses)
            ours = of_known_texts(db, given, texts)
            new = written(db, newer_than_known(db, ours))
            foreign = len(given) - len(ours)
            return Merged(tuple(added), tuple(updated), unchanged, new, tuple(conflicts), foreign)

    def record_uses(self, uses: Iterable[Use]) -> None:
        """Write down what items changed, in one transaction. What was measured last, stands."""
        now = _now()
        with self._db.writing() as db:
            written(db, [replace(use, recorded_at=now) for use in uses])

    def _edited(self, db: sqlite3.Connection, change: Change, by: str, note: str) -> KnowledgeItem:
        wrong = next((name for name in change.changes if name not in EDITABLE), None)
        if wrong is not None:
            raise TypeError(f"an edit cannot change {wrong!r}, only {', '.join(EDITABLE)}")
        rows = db.execute(
            f"SELECT {ITEM_COLUMNS}, note FROM versions WHERE item = ? ORDER BY seq", (change.item_id,)
        ).fetchall()
        if not rows:
            raise self._unknown(change.item_id)
        latest = rows[-1][1]
        if change.expected_version not in (None, latest):
            raise DataError(
                f"{change.item_id} is at version {latest} (by {rows[-1][9]!r}, {rows[-1][10]}), "
                f"not at {change.expected_version}: nothing was changed.",
                "Look at the latest version and make the change again.",
            )
        sound = list(self._versions(rows))
        if not sound:
            raise StoreError(f"No version of {change.item_id} in {self.path} makes sense.", self._anew())
        before = sound[-1].item
        values: dict[str, Any] = dict(change.changes)
        values |= {name: tuple(values[name]) for name in ("flags", "provenance") if name in values}
        if isinstance(text := values.get("text"), str) and not text.strip():
            raise DataError(
                f"The text of {change.item_id} would be empty: nothing was changed.",
                "Set its status to `retired` to take it out of use, and keep its text.",
            )
        after = checked(replace(before, **values))
        if after == before and before.version == latest:
            return before
        number = 1 + max(row[1] for row in rows if isinstance(row[1], int))
        after = checked(replace(after, version=number, edited_by=by, edited_at=_now()))
        db.execute(_INSERT, (*item_row(after), storable(note)))
        return after

    # Rows that make no sense

    def _readable(self, rows: Iterable[Sequence[Any]]) -> Iterator[KnowledgeItem]:
        for row in rows:
            try:
                yield item_from(row)
            except ValueError as problem:
                self._say(f"{self._nonsense(row, problem)} It was left out.")

    def _versions(self, rows: Iterable[Sequence[Any]]) -> Iterator[Version]:
        for row in rows:
            for item in self._readable([row[:-1]]):
                yield Version(item, str(row[-1]), item.edited_by, item.edited_at)

    def _readable_uses(self, rows: Iterable[Sequence[Any]]) -> Iterator[Use]:
        for row in rows:
            try:
                yield use_from(row)
            except ValueError as problem:
                self._say(f"A use of {row[0]!r} in {self.path} makes no sense: {problem}. It was left out.")

    def _first(
        self, rows: Iterable[Sequence[Any]], limit: int, status: Collection[Status] | None
    ) -> list[KnowledgeItem]:
        chosen = (item for item in self._readable(rows) if status is None or item.status in status)
        return list(islice(chosen, limit))

    def _nonsense(self, row: Sequence[Any], problem: ValueError) -> str:
        return f"Version {row[1]!r} of {row[0]!r} in {self.path} makes no sense: {problem}."

    def _anew(self) -> str:
        return (
            f"Export what is sound with `symdistill knowledge export {shlex.quote(str(self.path))} FILE.jsonl`, and "
            "import that and an older export with this item into a new base."
        )

    def _say(self, text: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            self._report(text)

    def _unknown(self, item_id: str) -> DataError:
        known = [str(row[0]) for row in self._db.read("SELECT DISTINCT item FROM versions")]
        near = get_close_matches(item_id, known, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`symdistill knowledge list` shows what there is."
        return DataError(f"There is no knowledge item {item_id!r} in {self.path}.", hint)


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.split(", "))


def _counted(values: Iterable[str | Flag]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
