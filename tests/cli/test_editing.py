"""`symdistill knowledge edit`: by options, from standard input, in an editor."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from knowledge_commands import REPLACE, call, filled, now
from symdistill.errors import StoreError
from symdistill.knowledge.base import KnowledgeBase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "run")


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
