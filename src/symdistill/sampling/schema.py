"""The tables of the response store, as numbered migrations (see `sampling.database`)."""

from __future__ import annotations

from symdistill.sampling.database import Schema

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
    # The first stretch of a reply that has two, as JSON.
    ("ALTER TABLE completions ADD COLUMN first TEXT",),
)

SCHEMA = Schema(
    what="response store",
    application_id=0x53594D44,  # "SYMD"
    migrations=_MIGRATIONS,
    kept="Every reply stored before is kept.",
    repair="Restore a copy, or move the file away and import an export with `symdistill store import`.",
)
