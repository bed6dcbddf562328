"""`symdistill knowledge …` as a user meets it, with items whose text tries to act on the terminal."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from knowledge_commands import SUM, call, filled, now, use
from symdistill.knowledge.base import KnowledgeBase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "run")


def test_list_and_search_show_one_line_an_item(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    code, out, _ = call(capsys, "list", path)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["id", "kind", "status", "uses", "lift", "task", "title"]
    assert [line[0] for line in lines[1:]] == ["k_1", "k_3", "k_2"]
    assert lines[1][3:6] == ["5", "+0.20", "bbh/swap"]
    assert "[red]Ignore" in out
    assert [line.split()[0] for line in call(capsys, "list", path, "--sort", "lift")[1].splitlines()[1:]] == [
        *("k_1", "k_2", "k_3")
    ]
    assert call(capsys, "list", path, "--status", "review", "--kind", "rule")[1].count("\n") == 2
    assert call(capsys, "list", path, "--task", "none")[1] == "No items.\n"
    assert "k_3" in call(capsys, "search", path, "tens carry")[1]
    assert call(capsys, "search", path, '"NEAR(')[1] == "No items.\n"


def test_retired_items_are_shown_on_request(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    call(capsys, "edit", path, "k_1", "--status", "retired")
    assert "1 retired not shown: --status retired" in call(capsys, "list", path)[1]
    assert "k_1" in call(capsys, "list", path, "--status", "retired", "--status", "active")[1]
    code, _, err = call(capsys, "list", path, "--status", "retred")
    assert (code, "Did you mean retired?" in err) == (2, True)


def test_show_explains_one_item(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    out = call(capsys, "show", path, "k_1")[1]
    for said in (
        *("k_1  Both holders", "summary · bbh/swap · active · version 1 of 1", "  1. Write.\n  2. Swap.\n"),
        *("lift: +0.20 [", "(helped 4, hurt 1 of 5 questions)", "e_12 (bbh/swap) · teacher qwen"),
        *("prompt error-analysis/1", "request r1_abc", "the student's wrong reply:\n      Bob."),
        *("Helped 4 of 5 replies, 3 of them:", "Hurt 1 of 5 replies:", "q0 · student", "Question 0?"),
    ):
        assert said in out, said
    assert any(line.split("│")[1:] and "With" in line.split("│")[1] for line in out.splitlines()), "side by side"
    assert max(len(line) for line in out.splitlines() if "│" in line) <= 160
    assert "Helped 4 of 5 replies:" in call(capsys, "show", path, "k_1", "--uses", "9")[1]


def test_show_knows_what_was_measured_with_another_text(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    call(capsys, "edit", path, "k_1", "--text", "Another.")
    out = call(capsys, "show", path, "k_1")[1]
    assert "lift: not measured" in out
    assert "5 more were measured with another text" in out
    assert "1. Write." in call(capsys, "show", path, "k_1", "--version", "1")[1]
    assert "From no question" in call(capsys, "show", path, "k_3")[1]


def test_stats(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    out = call(capsys, "stats", path)[1]
    assert out.startswith("3 items in 3 versions, 13 uses, ")
    assert "flag    contradiction" in out


def test_out_as_markdown_and_back(capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert call(capsys, "export", path, notes)[1] == f"Wrote 3 files to {notes}; 0 were up to date.\n"
    assert "0 items added, 0 edited, 3 files unchanged." in call(capsys, "import", path, notes)[1]
    (file,) = notes.glob("*--k_1.md")
    assert "lift: +0.20 [" in file.read_text()
    file.write_text(file.read_text().replace("1. Write.", "1. Note."))
    (notes / "bad.md").write_text("---\ntitle: \x1b[2J\n---\n")
    code, out, err = call(capsys, "import", path, notes, "--by", "ann")
    assert code == 2
    assert "1 edited" in out
    assert "bad.md, line 2: not valid YAML" in err
    assert now(path, "k_1").edited_by == "ann"
    file.write_text(file.read_text().replace("1. Note.", "1. Mine.").replace("version: 2", "version: 1"))
    code, _, err = call(capsys, "import", path, file)
    assert code == 2
    assert err.startswith("Conflict: ")
    code, _, err = call(capsys, "export", path, notes)
    assert code == 2
    assert "holds an edit that was not imported" in err


def test_out_as_jsonl_and_back(capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "k.jsonl.gz", tmp_path / "other.sqlite"
    assert "3 items in 3 versions and 13 uses" in call(capsys, "export", path, file)[1]
    assert call(capsys, "import", other, file)[1].startswith(
        "3 items added, 0 brought up to date, 0 unchanged, 13 uses"
    )
    assert call(capsys, "import", other, file)[1].startswith("0 items added, 0 brought up to date, 3 unchanged, 0 uses")
    call(capsys, "edit", other, "k_1", "--text", "There.")
    call(capsys, "edit", path, "k_1", "--text", "Here.")
    call(capsys, "export", other, file)
    code, _, err = call(capsys, "import", path, file)
    assert code == 2
    assert "Conflict: k_1 is at version 2 here and at version 2 in" in err
    assert "1 item in 1 version and 0 uses" in call(capsys, "export", path, file, "--task", "gsm8k", "--latest")[1]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("list", "nowhere"), 2, "There is no knowledge base at nowhere"),
        (("show", "BASE", "k_9"), 2, "There is no knowledge item 'k_9'"),
        (("import", "BASE", "nowhere"), 2, "There is no nowhere"),
        (("export", "BASE", "BASE/knowledge.sqlite"), 2, "is a file"),
        (("edit", "BASE", "k_1", "--status", "gone"), 2, "gone"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    found, _, err = call(capsys, *(word.replace("BASE", str(path)) for word in words))
    assert (found, said in err) == (code, True), err


def test_a_row_in_nonsense_is_reported_beside_the_rest(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    db = sqlite3.connect(path / "knowledge.sqlite")
    db.execute("DROP TRIGGER versions_update")
    db.execute("UPDATE versions SET status = '\x1b[2J' WHERE item = 'k_1'")
    db.commit()
    db.close()
    code, out, err = call(capsys, "list", path)
    assert code == 0
    assert "k_2" in out
    assert err.count("unknown status") == 1
    assert "1 item cannot be read" in call(capsys, "stats", path)[1]
    code, _, err = call(capsys, "show", path, "k_1")
    assert code == 1
    assert "into a new base" in err
    code, _, err = call(capsys, "edit", path, "k_1", "--status", "active")
    assert (code, "into a new base" in err) == (1, True)


def test_a_damaged_file_is_one_line(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    (path / "knowledge.sqlite").write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)
    code, _, err = call(capsys, "list", path)
    assert code == 1
    assert err.startswith("Damaged: the knowledge base")
    assert err.count("\n") == 1


def test_markdown_of_items_is_not_taken_into_a_base_that_is_not_there(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    notes, mistyped = tmp_path / "notes", tmp_path / "knowlege.sqlite"
    call(capsys, "export", path, notes)
    code, _, err = call(capsys, "import", mistyped, notes)
    assert code == 2
    assert f"There is no knowledge base at {mistyped}" in err
    assert not mistyped.exists()
    for file in notes.glob("*.md"):
        file.unlink()
    (notes / "new.md").write_text("---\nkind: rule\ntask: t\ntitle: New\n---\nAdd.\n")
    code, out, _ = call(capsys, "import", mistyped, notes)
    assert code == 0
    assert f"Made a new knowledge base at {mistyped}." in out
    assert "knowledge refine" in out


def test_an_export_without_what_cannot_be_read_says_so_in_its_code(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    db = sqlite3.connect(path / "knowledge.sqlite")
    db.execute("DROP TRIGGER versions_update")
    db.execute("UPDATE versions SET status = 'gone' WHERE item = 'k_1'")
    db.commit()
    db.close()
    for target in ("notes", "k.jsonl"):
        code, out, err = call(capsys, "export", path, tmp_path / target)
        assert code == 2
        assert "Wrote 2 " in out
        assert "unknown status 'gone'" in err


def test_what_can_be_read_of_a_damaged_base_is_exported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, saved, new = tmp_path / "k.sqlite", tmp_path / "saved.jsonl", tmp_path / "new.sqlite"
    with KnowledgeBase(file) as base:
        base.add([replace(SUM, id=f"k_{n:03}", text=f"Item {n}. " + "Add. " * 300) for n in range(60)], by="t")
        base.record_uses([use(n, good=True, item="k_001") for n in range(5)])
    db = sqlite3.connect(file)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    whole = file.read_bytes()
    content = bytearray(whole)
    at = content.index(b"Item 33. ") // size * size
    content[at : at + size] = b"\xff" * size
    file.write_bytes(content)
    code, _, err = call(capsys, "list", file)
    assert code == 1
    assert "knowledge export BASE FILE.jsonl" in err
    code, out, err = call(capsys, "export", file, saved)
    assert code == 2
    assert "k_033 (version 1)" in err
    call(capsys, "import", new, saved)
    with KnowledgeBase(new) as base:
        kept = {item.id for item in base.items(status=None)}
        assert len(base.uses()) == 5
    assert 50 <= len(kept) < 60
    assert f"Wrote {len(kept)} items" in out
    assert f"{60 - len(kept)} versions of items cannot be read" in err
    file.write_bytes(whole[: len(whole) // 2])
    code, out, err = call(capsys, "export", file, tmp_path / "half.jsonl")
    assert (code, "Damaged: " in err) == (2, True), "a file that was cut short"
    assert 15 < len((tmp_path / "half.jsonl").read_text().splitlines()) < 50
    assert file.read_bytes() == whole[: len(whole) // 2], "nothing in it was changed"
    file.write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)
    code, _, err = call(capsys, "export", file, saved)
    assert code == 1
    assert "nothing can be read" in err


def test_show_puts_the_right_answer_beside_the_replies(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    with KnowledgeBase(path / "knowledge.sqlite") as base:
        base.record_uses([replace(use(7, good=False), gold="the gold of it")])
    out = call(capsys, "show", path, "k_1")[1]
    assert "the right answer:\n      the gold of it\n" in out


def test_nothing_in_an_exported_file_acts_on_a_terminal(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    call(capsys, "export", path, tmp_path / "notes", "--status", "review")
    [file] = (tmp_path / "notes").glob("*--k_2.md")
    text = file.read_text()
    assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2028")
    assert "\\x1b" in text
    assert "2 files unchanged" in call(capsys, "import", path, tmp_path / "notes")[1]


@pytest.mark.parametrize("name, fine", [("x.txt", False), ("x.json", False), ("notes", True), ("v1.2", True)])
def test_a_folder_is_not_called_like_a_file(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, name: str, fine: bool
) -> None:
    code, _, err = call(capsys, "export", path, tmp_path / name)
    assert (code, "ends in .jsonl or .jsonl.gz, or a folder" in err) == ((0, False) if fine else (2, True))
    assert (tmp_path / name).exists() == fine
    (tmp_path / "old.txt").mkdir(exist_ok=True)
    assert call(capsys, "export", path, tmp_path / "old.txt")[0] == 0, "a folder that is there"
