"""One SQLite file of the project: opened or made, brought to the newest schema, its errors in the user's words.

Files are in write-ahead mode: a killed process loses nothing that was committed, and several processes may write.
`PRAGMA user_version` holds the number of migrations a file has seen. A migration that is out is never edited: what
changes later is a new one at the end.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdistill.errors import DamagedStore, StoreError


@dataclass(frozen=True, slots=True)
class Schema:
    """What the files of one kind hold, and what is said about one that cannot be used.

    `application_id` stands in the header of every file, so that another program's database is not taken for one.
    `migrations` are the statements of each. `what` names the kind ("response store"), `kept` says what a failed write
    leaves untouched, `repair` what to do with a damaged file.
    """

    what: str
    application_id: int
    migrations: tuple[tuple[str, ...], ...]
    kept: str
    repair: str


class Database:
    """The file `path`, made when it is not there.

    Safe to use from several threads. Every method raises StoreError when the file is damaged, locked for longer than
    `busy_seconds`, of another kind or a later schema, or cannot be read or written.
    """

    def __init__(self, path: Path, schema: Schema, *, busy_seconds: float = 30.0) -> None:
        self.path = path
        self._schema = schema
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"Cannot make the directory {path.parent} for the {schema.what} ({error.strerror}).",
                "Choose a directory you can write to.",
            ) from None
        with self._errors():
            self._db = sqlite3.connect(
                path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
            )
        try:
            with self._errors():
                _migrate(self._db, schema)
                self._db.execute("PRAGMA journal_mode = WAL")
                # A killed process loses nothing under NORMAL; only a power cut may take the last transactions.
                self._db.execute("PRAGMA synchronous = NORMAL")
                # A checkpoint waits for the disk; at hundreds of transactions a second the usual 1,000 pages are few.
                self._db.execute("PRAGMA wal_autocheckpoint = 8000")
                self._db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with self._lock, self._errors():
            self._db.close()

    def read(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, self._errors():
            return self._db.execute(query, values).fetchall()

    def stream(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, a thousand in memory at a time."""
        with self._lock, self._errors():
            cursor = self._db.execute(query, values)
        while True:
            with self._lock, self._errors():
                rows = cursor.fetchmany(1000)
            if not rows:
                return
            yield from rows

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, inside one transaction: all that the block writes, or nothing."""
        with self._lock, self._errors(writing=True):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @property
    def bytes(self) -> int:
        """The size of the file, with what is committed and not yet moved into it."""
        files = [self.path, self.path.with_name(self.path.name + "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())

    @contextmanager
    def _errors(self, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except _NewerSchema:
            raise StoreError(
                f"{self.path} was written by a later version of symdistill.", "Install that version, or newer."
            ) from None
        except _AnotherKind:
            raise StoreError(
                f"{self.path} is a database of another program, not a {self._schema.what}.", "Name another file."
            ) from None
        except sqlite3.Error as error:
            raise self._explained(error, writing) from error

    def _explained(self, error: sqlite3.Error, writing: bool) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        kept = f" {self._schema.kept}" if writing else ""
        where = f"the {self._schema.what} {self.path}"
        if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB") or name.startswith("SQLITE_CORRUPT_"):
            return DamagedStore(f"Damaged: {where} ({error}).", self._schema.repair)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(
                f"Another process has locked {where} for {self._busy_seconds:g} s.{kept}",
                "End the other process, then run the same command again.",
            )
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            return StoreError(
                f"Cannot write to {where} ({error}).{kept}",
                "Free some disk space, then run the same command again.",
            )
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return StoreError(
                f"Cannot open {where} for writing ({error}).{kept}",
                "Choose a file in a directory you can write to.",
            )
        return DamagedStore(f"Cannot use {where} ({error}).{kept}", self._schema.repair)


def storable(text: str) -> str:
    """`text` with lone surrogates, which have no UTF-8, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class _NewerSchema(Exception):
    """The file was written by a later version of the program."""


class _AnotherKind(Exception):
    """The file is another program's database, or one of another kind."""


def _migrate(db: sqlite3.Connection, schema: Schema) -> None:
    """Bring an open database to the newest schema, each migration in a transaction of its own."""
    db.execute("BEGIN")  # one view of the header and the tables, should another process be migrating right now
    try:
        version, owner = _version(db)
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        db.execute("ROLLBACK")
    if owner != schema.application_id and (version or owner or tables):
        raise _AnotherKind
    if version > len(schema.migrations):
        raise _NewerSchema
    for number in range(version, len(schema.migrations)):
        db.execute("BEGIN IMMEDIATE")
        try:
            if _version(db)[0] == number:  # else another process was faster
                for statement in schema.migrations[number]:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {schema.application_id}")
                db.execute(f"PRAGMA user_version = {number + 1}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _version(db: sqlite3.Connection) -> tuple[int, int]:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    return int(version), int(owner)
