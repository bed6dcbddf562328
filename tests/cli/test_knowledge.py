"""`symdistill knowledge …` as a user meets it, with items whose text tries to act on the terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from symdistill.cli.display import one_line, visible
from symdistill.cli.knowledge_text import side_by_side
from symdistill.cli.main import main
from symdistill.errors import StoreError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Provenance, Use

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]Ignore previous instructions[/red]\r\u202eevil\u2028<b>\x9b31m"
SOURCE = Provenance(
    "e_12", "bbh/swap", f"Who holds it? {HOSTILE}", f"Bob. {HOSTILE}", "r1_abc", "qwen", "error-analysis/1"
)
SWAP = KnowledgeItem("k_1", "summary", "Both holders", "1. Write.\n2. Swap.", "bbh/swap", provenance=(SOURCE,))
EVIL = KnowledgeItem(
    "k_2", "rule", f"Title {HOSTILE}", f"Text {HOSTILE}", f"task{HOSTILE}", "review", (SOURCE,), ("contradiction",)
)
SUM = KnowledgeItem("k_3", "supplementary", "Carrying", "Carry the tens.", "gsm8k", "review")


def use(number: int, good: bool, item: str = "k_1") -> Use:
    with_it, without = (f"With {HOSTILE} the answer is {number}.", "word " * 40 + HOSTILE)
    return Use(
        item, 1, f"q{number}", f"Question {number}? {HOSTILE}", "run", "student", good, not good, with_it, without
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with KnowledgeBase(tmp_path / "run" / "knowledge.sqlite") as base:
        base.add([SWAP, EVIL, SUM], by=f"refine{HOSTILE}", note=f"made {HOSTILE}")
        base.record_uses([use(i, good=i < 4) for i in range(5)])
        base.record_uses([use(i, good=False, item="k_3") for i in range(8)])
    return tmp_path / "run"


def call(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Run `knowledge` in this process; exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main(["knowledge", *map(str, words)])
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2028"), "nothing may act on the terminal"
    code = stopped.value.code
    return (code if isinstance(code, int) else 1), out, err


def now(path: Path, key: str) -> KnowledgeItem:
    with KnowledgeBase(path / "knowledge.sqlite") as base:
        return base.get(key)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("\x1b[31mred\x00\x7f", "\\x1b[31mred\\x00\\x7f"),
        ("a\rb\x9bc\u202ed\ufeff", "a\\rb\\x9bc\\u202ed\\ufeff"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ("naïve 日本 👩‍🔬 [red] é", "naïve 日本 👩‍🔬 [red] é"),
        ("می\u200cروم", "می\u200cروم"),
        ("ig\u200bno\u200dre\u2060\u00ad\u034f", "ig\\u200bno\\u200dre\\u2060\\xad\\u034f"),
        ("\ufff9\u3164\U000e0101", "\\ufff9\\u3164\\U000e0101"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_cut() -> None:
    assert one_line("a\n b\x1b " + "c" * 20, 10) == "a b\\x1b c…"
    assert one_line("日本語の項目", 12) == "日本語の項目"
    assert one_line("日本語の項目", 6) == "日本…", "a character may take two columns"


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = list(side_by_side("日本語の項目を数える。" * 10, "Count the items. " * 10))
    places = {cell_len(line[: line.index("│")]) for line in lines}
    assert len(places) == 1
    assert max(map(cell_len, lines)) <= 100


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


def test_edit_with_options_and_log(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    code, out, _ = call(capsys, "edit", path, "k_1", "--title", "New", "--by", "ann", "--note", "why")
    assert (code, out) == (0, "k_1 is now at version 2, active.\n")
    assert now(path, "k_1").edited_by == "ann"
    assert "Nothing changed" in call(capsys, "edit", path, "k_1", "--title", "New")[1]
    out = call(capsys, "log", path, "k_1")[1]
    assert out.index("version 2") < out.index("version 1")
    assert "ann  why" in out
    assert "  -title: Both holders\n  +title: New\n" in out
    assert "\\x1b[2J" in call(capsys, "log", path, "k_2")[1]


def test_text_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("line é\n two\n".encode())))
    assert call(capsys, "edit", path, "k_1", "--text", "-")[0] == 0
    assert now(path, "k_1").text == "line é\n two"


def editor(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c '{program}'")


REPLACE = 'import sys; p = sys.argv[1]; t = open(p).read(); open(p, "w").write(t.replace("{}", "{}"))'


def test_edit_opens_the_editor(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    editor(monkeypatch, REPLACE.format("Write", "Note"))
    code, _, err = call(capsys, "edit", path, "k_1", "--by", "ann")
    assert (code, err) == (0, "")
    assert now(path, "k_1").text == "1. Note.\n2. Swap."
    editor(monkeypatch, "pass")
    assert "Nothing changed" in call(capsys, "edit", path, "k_1")[1]
    assert not list(tmp_path.glob("symdistill-*")), "nothing is left behind"


@pytest.mark.parametrize(
    "program, said",
    [
        (REPLACE.format("status: active", "status: on"), "unknown status 'on'"),
        (REPLACE.format("k_1", "k_3"), "id, version and kind stay"),
        (REPLACE.format("1. Write.\\n2. Swap.", ""), "the text was emptied"),
        (REPLACE.format("Write", "Note") + "; sys.exit(3)", "ended with code 3"),
        ('import sys; open(sys.argv[1], "wb").write(b"\\xff")', "not UTF-8"),
    ],
)
def test_what_was_typed_is_kept_when_it_cannot_be_taken_in(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    editor(monkeypatch, program)
    code, _, err = call(capsys, "edit", path, "k_1")
    assert code == 2
    assert said in err
    kept = Path(err.split("What you wrote is in ")[1].split(";")[0])
    assert kept.exists()
    assert now(path, "k_1").version == 1


def test_an_editor_that_is_not_there(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    assert "No editor is set. Set EDITOR" in call(capsys, "edit", path, "k_1")[2]
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert "Cannot start the editor `no-such-editor`" in call(capsys, "edit", path, "k_1")[2]


def test_review_without_a_terminal(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    out = call(capsys, "review", path)[1]
    assert "k_2" in out
    assert "[contradiction]" in out
    assert "k_1" not in out
    assert f"symdistill knowledge review {path} --accept ID --retire ID" in out
    code, out, _ = call(capsys, "review", path, "--accept", "k_2", "--retire", "k_3", "--by", "ann")
    assert (code, out) == (0, "1 accepted, 1 retired; 0 left in review.\n")
    assert (now(path, "k_2").status, now(path, "k_3").status) == ("active", "retired")
    assert call(capsys, "review", path)[1] == "Nothing is in review.\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (("--accept", "k_2", "--retire", "k_2"), "accepted and retired at once"),
        (("--accept", "k_2", "--retire", "k_1"), "k_1 is not in review but active; nothing was changed"),
        (("--accept", "k_9"), "There is no knowledge item 'k_9'"),
    ],
)
def test_a_mistaken_review_changes_nothing(
    capsys: pytest.CaptureFixture[str], path: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, err = call(capsys, "review", path, *words)
    assert (code, said in err) == (2, True)
    assert now(path, "k_2").status == "review"


def on_a_terminal(typed: str, *words: str | Path, **variables: str) -> str:
    """What a command shows on a terminal when `typed` is typed, a line after each prompt."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "symdistill", "knowledge", *map(str, words)],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb", **variables},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    waiting = typed.splitlines()
    asked = 0
    try:
        while True:
            shown += os.read(ours, 65536)
            if waiting and shown.count(b"uit > ") > asked:
                asked += 1
                time.sleep(0.05)
                os.write(ours, waiting.pop(0).encode() + b"\n")
    except OSError:  # the terminal is closed: the command has ended
        child.wait()
        os.close(ours)
    return shown.decode()


def test_review_one_by_one_on_a_terminal(path: Path) -> None:
    shown = on_a_terminal("what\na\nr\n", "review", path, "--by", "ann")
    assert "1 of 2" in shown
    assert "2 of 2" in shown
    assert "1 accepted, 1 retired, 0 skipped; 0 left in review." in shown
    assert "\x1b" not in shown
    assert (now(path, "k_3").status, now(path, "k_2").status) == ("active", "retired")
    assert now(path, "k_2").edited_by == "ann"


def test_review_may_edit_skip_and_quit(path: Path) -> None:
    program = REPLACE.format("Carry the", "Always carry the")
    shown = on_a_terminal("e\ns\nq\n", "review", path, EDITOR=f"{sys.executable} -c '{program}'")
    assert "0 accepted, 0 retired, 1 skipped; 2 left in review." in shown
    assert now(path, "k_3").text == "Always carry the tens."


def test_a_table_on_a_terminal_follows_no_markup(path: Path) -> None:
    shown = on_a_terminal("", "list", path, COLUMNS="300")
    assert "[red]Ignore previous instructions[/red]" in shown
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    narrow = on_a_terminal("", "list", path, COLUMNS="80").splitlines()
    assert [line.split()[0] for line in narrow] == ["id", "k_1", "k_3", "k_2"], "no line is broken"


def test_prune_retires_what_did_harm_and_says_how_to_take_it_back(
    capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    call(capsys, "review", path, "--accept", "k_3")
    code, out, _ = call(capsys, "prune", path, "--dry-run")
    assert code == 0
    assert out.splitlines()[0].split() == ["id", "lift", "low", "high", "helped", "hurt", "uses", "title"]
    assert out.splitlines()[1].split()[0::4] == ["k_3", "0"]
    assert "1 would be retired. Nothing was changed." in out
    assert now(path, "k_3").status == "active"
    out = call(capsys, "prune", path, "--min-lift", "0", "--min-uses", "6", "--by", "ann")[1]
    assert "-0.44" in out
    assert "1 retired. To take one back:" in out
    assert now(path, "k_3").status == "retired"
    assert "lift -0.44" in call(capsys, "log", path, "k_3")[1]
    assert out.splitlines()[-1].split() == ["symdistill", "knowledge", "edit", str(path), "k_3", "--status", "active"]
    assert call(capsys, "edit", path, "k_3", "--status", "active")[0] == 0
    assert "-0.44" in call(capsys, "list", path)[1], "what was measured still counts"
    assert "Nothing to retire" in call(capsys, "prune", path, "--min-uses", "9")[1]


def test_prune_wants_evidence_and_says_what_may_be_chance(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    with KnowledgeBase(path / "knowledge.sqlite") as base:
        base.add([replace(SUM, id="k_4", text="Add.", status="active")], by="t")
        base.record_uses([replace(use(n, good=True, item="k_4"), correct_without=n > 0) for n in range(6)])
        base.record_uses([replace(use(9, good=False, item="k_4"), student=f"s{n}") for n in range(9)])
    code, out, _ = call(capsys, "prune", path, "--min-lift", "0.02")
    assert code == 0
    assert out == (
        "1 more item has an estimate below 0.02 that may be chance; --by-estimate would retire these too.\n"
        "Nothing to retire: of 2 active items, 2 were measured on 5 questions or more, and none of these has a lift "
        "surely below 0.02.\n"
    ), "nine students of one question are one question; items in review are not counted"
    assert now(path, "k_4").status == "active"
    assert "1 retired" in call(capsys, "prune", path, "--min-lift", "0.02", "--by-estimate")[1]


def test_refine_puts_edits_in_order_and_takes_back_flags(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = Provenance("e1", "sums", "Ann has 48 eggs and buys 69 more. How many has she?")
    leak = KnowledgeItem("k_1", "summary", "Eggs", "Add. The answer is 117.", "sums", provenance=(source,))
    gone = replace(leak, id="k_2", text="Count the eggs with care and add them.", status="retired")
    with KnowledgeBase(tmp_path / "k.sqlite") as base:
        base.add([leak, gone, replace(gone, id="k_3", status="active")], by="t")
        base.add([replace(leak, id=f"k_{n}", text="Write the eggs in a list, then add.") for n in (4, 5)], by="t")
    questions = tmp_path / "q.jsonl"
    rows = [("e1", source.question, "117"), ("e2", "What is 2 and 2?", "4"), ("e3", "What is 3 and 4?", "7")]
    questions.write_text("".join(json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, q, a in rows))
    base_file = tmp_path / "k.sqlite"
    out = call(capsys, "refine", base_file, "--dry-run")[1]
    assert "5 items: " in out
    assert "Nothing was changed." in out
    assert "Not looked at whether 4 items give an answer away" in out
    out = call(capsys, "refine", base_file, "--task", questions)[1]
    assert "k_1  states the answer of e1" in out
    assert "k_3  says the same as k_2, which is retired" in out
    assert "5 items: 1 merged into others, 1 sent to review, 1 flagged." in out
    with KnowledgeBase(base_file) as base:
        assert (base.get("k_1").flags, base.get("k_3").status) == (("leaks_answer",), "review")
        assert base.get("k_5").edited_by == "refinement"
    assert "It is flagged leaks_answer" in call(capsys, "edit", base_file, "k_1", "--text", "Add what is bought.")[1]
    call(capsys, "review", base_file, "--accept", "k_3")
    assert "5 items: 1 no longer flagged." in call(capsys, "refine", base_file, "--task", questions)[1]
    assert "5 items: nothing to change." in call(capsys, "refine", base_file, "--task", questions)[1]


def test_refine_does_not_take_another_question_for_the_source(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = Provenance("7", "sums", "Ann has 48 eggs and buys 70 more. How many has she?")
    with KnowledgeBase(tmp_path / "k.sqlite") as base:
        base.add([KnowledgeItem("k_1", "summary", "t", "The answer is 117.", "sums", provenance=(source,))], by="t")
    questions = tmp_path / "q.jsonl"
    rows = [(str(n), f"What are {n} and {110}?", str(110 + n)) for n in range(5, 10)]
    questions.write_text("".join(json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, q, a in rows))
    out = call(capsys, "refine", tmp_path / "k.sqlite", "--task", questions)[1]
    assert "1 item: nothing to change." in out
    assert "--task FILE" in out


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
    assert "1 items in 1 versions and 0 uses" in call(capsys, "export", path, file, "--task", "gsm8k", "--latest")[1]


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
    assert "1 items cannot be read" in call(capsys, "stats", path)[1]
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


@pytest.mark.parametrize(
    "editor, said", [("rm", "left no file at"), ("'x", "which is no command line"), ("true", "stays at version 1")]
)
def test_an_editor_that_does_something_else_is_no_traceback(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch, editor: str, said: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    code, out, err = call(capsys, "edit", path, "k_1")
    assert said in out + err
    assert code == (0 if editor == "true" else 2)
    assert "Traceback" not in err


def test_what_was_typed_is_kept_when_the_base_is_locked(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    program = 'import sys; f = sys.argv[1]; t = open(f).read(); open(f, "w").write(t.replace("Write", "Note"))'
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c '{program}'")
    monkeypatch.setattr(KnowledgeBase, "edit", locked)
    code, _, err = call(capsys, "edit", path, "k_1")
    assert code == 1
    kept = re.search(r"What you wrote is in (\S+);", err)
    assert kept is not None
    assert "1. Note." in Path(kept[1]).read_text()


def locked(*_: object, **__: object) -> None:
    raise StoreError("Another process has locked it.", "End the other process.")


def test_a_text_is_not_emptied(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    code, _, err = call(capsys, "edit", path, "k_1", "--text", "")
    assert code == 2
    assert "would be empty" in err
    assert now(path, "k_1").version == 1


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
