"""The file of a knowledge base: what cannot be changed in it, files that are none, and older ones."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from base_items import SUM, SWAP, USE, with_sql
from symdistill.errors import DamagedStore, PrerequisiteError, StoreError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.schema import SCHEMA
from symdistill.sampling import ResponseStore
from symdistill.sampling.database import Database


@pytest.fixture
def base(tmp_path):
    with KnowledgeBase(tmp_path / "knowledge.sqlite") as opened:
        opened.add([SWAP, SUM], by="refinement")
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET title = 'x'",
        "DELETE FROM versions",
        "UPDATE uses SET run = 'x'",
        "DELETE FROM uses",
        "INSERT OR REPLACE INTO versions SELECT * FROM versions",
        "INSERT OR REPLACE INTO uses SELECT * FROM uses",
    ],
)
def test_what_is_written_cannot_be_changed(base, statement):
    base.record_uses([USE])
    other = sqlite3.connect(base.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)


def no_database(path: Path) -> None:
    path.write_text("question,answer\n" * 500)


def cut_short(path: Path) -> None:
    with KnowledgeBase(path) as base:
        base.add([replace(SUM, id=f"k_{i}", text="x" * 2000) for i in range(60)], by="b")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_later_version(path: Path) -> None:
    KnowledgeBase(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def of_another_program(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()


def a_response_store(path: Path) -> None:
    ResponseStore(path).close()


def a_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "spoil, said, way_out",
    [
        (damaged, "damaged", "knowledge import"),
        (no_database, "damaged", "knowledge import"),
        (cut_short, "damaged", "knowledge import"),
        (of_later_version, "later version", "newer"),
        (of_another_program, "another program", "another file"),
        (a_response_store, "not a knowledge base", "another file"),
        (a_directory, "cannot open", "file in a directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_clear_error(tmp_path, spoil, said, way_out):
    path = tmp_path / "k.sqlite"
    spoil(path)
    with pytest.raises(StoreError) as caught, KnowledgeBase(path) as base:
        base.items()
    assert said in caught.value.message.lower()
    assert way_out in caught.value.fix
    assert str(path) in caught.value.message


def test_a_base_that_is_not_there_is_not_made_unasked(tmp_path):
    with pytest.raises(StoreError, match="There is no knowledge base"):
        KnowledgeBase(tmp_path / "k.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_base_locked_too_long_is_a_clear_error(tmp_path):
    with KnowledgeBase(tmp_path / "k.sqlite", busy_seconds=0.1) as base:
        base.add([SWAP], by="b")
        other = sqlite3.connect(base.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=r"locked .* for 0\.1 s\. Everything written before is kept\. End the other"
        ):
            base.edit("k_1", by="ann", title="x")
        assert [item.id for item in base.items()] == ["k_1"], "reading goes on"
        other.execute("ROLLBACK")
        other.close()
        assert base.edit("k_1", by="ann", title="x").version == 2


def test_a_sqlite_without_full_text_search_is_a_clear_error(tmp_path, monkeypatch):
    class Without(sqlite3.Connection):
        def execute(self, statement, *values):
            if "fts5" in statement:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(statement, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Without}))
    with pytest.raises(PrerequisiteError, match=r"no full-text search .*FTS5"):
        KnowledgeBase(tmp_path / "k.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_base_of_the_first_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.sqlite"
    old = Database(path, replace(SCHEMA, migrations=SCHEMA.migrations[:1]))
    with old.writing() as db:
        db.execute("INSERT INTO uses VALUES (1, 'k_1', 1, 'q1', 'Q?', 'run', 's', 1, 0, 'Bob', 'Ann', '2026-01-01')")
    old.close()
    with KnowledgeBase(path) as base:
        [use] = base.uses()
        assert (use.gold, use.recorded_at) == ("", "2026-01-01")
        base.record_uses([replace(use, gold="Bob")])
        assert [use.gold for use in base.uses()] == ["Bob"]


def test_a_table_that_is_gone_is_damage_with_a_way_out(base):
    with_sql(base.path, "DROP TABLE uses")
    with pytest.raises(DamagedStore, match="no such table") as caught:
        base.uses()
    assert "knowledge export BASE FILE.jsonl" in caught.value.fix
