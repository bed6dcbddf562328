"""The tables of the response store, as numbered migrations.

`PRAGMA user_version` holds the number of migrations a file has seen. A migration that is out is never edited: what
changes later is a new one at the end.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x53594D44
"""Stands in the header of every store file ("SYMD"), so that another program's database is not taken for one."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE prompts (key TEXT PRIMARY KEY, messages TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE completions (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            prompt TEXT NOT NULL REFERENCES prompts (key),
            model TEXT NOT NULL,
            sampling TEXT NOT NULL,
            sample_index INTEGER NOT NULL,
            text TEXT NOT NULL,
            reasoning TEXT,
            finish_reason TEXT NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            cached_prompt_tokens INTEGER NOT NULL,
            logprobs BLOB,
            cost_usd REAL NOT NULL,
            seconds REAL NOT NULL,
            run TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        """CREATE TABLE failures (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL,
            prompt TEXT NOT NULL REFERENCES prompts (key),
            model TEXT NOT NULL,
            sampling TEXT NOT NULL,
            sample_index INTEGER NOT NULL,
            kind TEXT NOT NULL,
            message TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            cost_usd REAL NOT NULL,
            tokens INTEGER NOT NULL,
            run TEXT NOT NULL,
            created_at TEXT NOT NULL
        )""",
        # Money and tokens that stand on no reply: reservations (positive, taken back when the call returns) and
        # attempts that may have been charged before one of them brought a reply.
        """CREATE TABLE charges (
            id INTEGER PRIMARY KEY,
            run TEXT NOT NULL,
            usd REAL NOT NULL,
            tokens INTEGER NOT NULL,
            created_at TEXT NOT NULL
        )""",
        "CREATE INDEX completions_spending ON completions (run, cost_usd, prompt_tokens, completion_tokens)",
        "CREATE INDEX failures_key ON failures (key)",
        "CREATE INDEX failures_spending ON failures (run, cost_usd, tokens)",
        "CREATE INDEX charges_spending ON charges (run, usd, tokens)",
        *(
            f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, 'the response store is append-only'); END"
            for table in ("prompts", "completions", "failures", "charges")
            for verb in ("UPDATE", "DELETE")
        ),
    ),
    ("ALTER TABLE completions ADD COLUMN top_two BLOB",),
)


class NewerSchema(Exception):
    """The file was written by a later version of the program."""


class NotAStore(Exception):
    """The file is a database of another program."""


def migrate(db: sqlite3.Connection) -> None:
    """Bring an open database to the newest schema, each migration in a transaction of its own.

    Raises NewerSchema, NotAStore, sqlite3.Error.
    """
    db.execute("BEGIN")  # one view of the header and the tables, should another process be migrating right now
    try:
        version, owner = _version(db)
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        db.execute("ROLLBACK")
    if owner != APPLICATION_ID and (version or owner or tables):
        raise NotAStore
    if version > len(MIGRATIONS):
        raise NewerSchema
    for number in range(version, len(MIGRATIONS)):
        db.execute("BEGIN IMMEDIATE")
        try:
            if _version(db)[0] == number:  # else another process was faster
                for statement in MIGRATIONS[number]:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
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
