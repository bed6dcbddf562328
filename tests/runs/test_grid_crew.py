"""Worker processes of a grid that end in ways of their own."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from symdistill.runs.grid import load_grid
from symdistill.runs.grid_crew import Ended, Unwatched, WorkerPool

WORKER = """\
#!{python}
import os, signal, sys
sys.stdin.readline()
os.write(1, b'{{"say": "note", "text": "before"}}\\n')
os.write(1, {half!r})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("half", [b'{"say": "note", "te', b'{"say": "note", "text": "\xc3', b"not JSON\n\n"])
def test_a_worker_that_dies_while_it_writes_fails_its_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    """Half a line is no message; that its process has ended is one all the same."""
    worker = tmp_path / "worker"
    worker.write_text(WORKER.format(python=sys.executable, half=half))
    worker.chmod(worker.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "q.jsonl").write_text("")
    path = tmp_path / "grid.yaml"
    path.write_text("task: {path: q.jsonl}\nmethod: label-only\ngrid: {seeds: [0, 1]}\n")
    grid, ended = load_grid(path, [], tmp_path / "out"), Ended()
    monkeypatch.setattr("symdistill.runs.grid_crew.sys.executable", str(worker))
    WorkerPool(grid, dict.fromkeys([cell.name for cell in grid.cells], ""), 2, Unwatched(), ended).run(list(grid.cells))
    assert len(ended.failed) == 2
    assert all("SIGKILL" in message for message in ended.failed.values())
    assert "before" in (grid.place(grid.cells[0]) / "log.txt").read_text()
    assert "SIGKILL" in json.loads((grid.place(grid.cells[0]) / "failure.json").read_text())["message"]
