"""`symdistill knowledge review`: one by one on a terminal, and without one."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knowledge_commands import REPLACE, call, filled, now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "run")


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
