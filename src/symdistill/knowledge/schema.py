"""The tables of a knowledge base, as numbered migrations (see `sampling.database`).

`versions` holds every version of every item; the one written last is what an item says now. `words` is the full-text
index of those, kept in step by a trigger. `uses` holds what putting an item before a student changed.
"""

from __future__ import annotations

import sqlite3

from symdistill.errors import PrerequisiteError
from symdistill.sampling.database import Schema

_APPEND_ONLY = "BEGIN SELECT RAISE(ABORT, 'the knowledge base is append-only'); END"

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE versions (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            item TEXT NOT NULL,
            version INTEGER NOT NULL,
            kind TEXT NOT NULL,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            task TEXT NOT NULL,
            status TEXT NOT NULL,
            provenance TEXT NOT NULL,
            flags TEXT NOT NULL,
            edited_by TEXT NOT NULL,
            edited_at TEXT NOT NULL,
            note TEXT NOT NULL,
            UNIQUE (item, version)
        )""",
        """CREATE TABLE uses (
            id INTEGER PRIMARY KEY,
            item TEXT NOT NULL,
            version INTEGER NOT NULL,
            example_id TEXT NOT NULL,
            question TEXT NOT NULL,
            run TEXT NOT NULL,
            student TEXT NOT NULL,
            correct_with INTEGER NOT NULL,
            correct_without INTEGER NOT NULL,
            reply_with TEXT NOT NULL,
            reply_without TEXT NOT NULL,
            recorded_at TEXT NOT NULL
        )""",
        "CREATE INDEX uses_place ON uses (item, version, example_id, student)",
        "CREATE VIRTUAL TABLE words USING fts5 (title, text, task, tokenize = 'porter unicode61 remove_diacritics 2')",
        """CREATE TRIGGER versions_words AFTER INSERT ON versions BEGIN
            DELETE FROM words WHERE rowid = (SELECT max(seq) FROM versions WHERE item = new.item AND seq < new.seq);
            INSERT INTO words (rowid, title, text, task) VALUES (new.seq, new.title, new.text, new.task);
        END""",
        *(
            f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} {_APPEND_ONLY}"
            for table in ("versions", "uses")
            for verb in ("UPDATE", "DELETE")
        ),
        # INSERT OR REPLACE takes the old row away without asking the triggers above.
        "CREATE TRIGGER versions_replace BEFORE INSERT ON versions WHEN EXISTS "
        "(SELECT 1 FROM versions WHERE seq = new.seq OR (item = new.item AND version = new.version)) " + _APPEND_ONLY,
        "CREATE TRIGGER uses_replace BEFORE INSERT ON uses WHEN EXISTS "
        "(SELECT 1 FROM uses WHERE id = new.id) " + _APPEND_ONLY,
    ),
    ("ALTER TABLE uses ADD COLUMN gold TEXT NOT NULL DEFAULT ''",),
)

SCHEMA = Schema(
    what="knowledge base",
    application_id=0x53594B42,  # "SYKB"
    migrations=_MIGRATIONS,
    kept="Everything written before is kept.",
    repair="Restore a copy, or save what can be read with `symdistill knowledge export BASE FILE.jsonl` and take that "
    "into a new file with `symdistill knowledge import`.",
)


def require_full_text_search() -> None:
    """Raises PrerequisiteError where this Python's SQLite cannot search text."""
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE probe USING fts5 (text)")
    except sqlite3.OperationalError as error:
        raise PrerequisiteError(
            f"The SQLite {sqlite3.sqlite_version} of this Python has no full-text search ({error}).",
            "Use a Python whose `sqlite3` was built with FTS5, such as those of python.org, conda and Debian.",
        ) from error
    finally:
        db.close()
