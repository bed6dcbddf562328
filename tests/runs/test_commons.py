"""What the cells of a grid share: locks that end with their holder, and students of any cell."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from symdistill.errors import RunDirectoryError
from symdistill.runs.commons import Commons

HOLD = """
import sys, time
from pathlib import Path
from symdistill.runs.commons import Commons
with Commons(Path(sys.argv[1]), "a").alone("teacher"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(place: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that is in the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_no_two_cells_are_in_one_block(tmp_path: Path) -> None:
    other = holder(tmp_path, 0.6)
    began = time.monotonic()
    with Commons(tmp_path, "a").alone("training"):
        pass
    assert time.monotonic() - began < 0.5, "another name is another block"
    with Commons(tmp_path, "a").alone("teacher"):
        assert time.monotonic() - began > 0.3
    other.wait()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    other = holder(tmp_path, 600)
    other.kill()
    other.wait()
    began = time.monotonic()
    with Commons(tmp_path, "a").alone("teacher"):
        assert time.monotonic() - began < 60, "it would have held for ten minutes"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="Cannot write"), Commons(tmp_path / "file", "a").alone("teacher"):
        pass


def test_students_of_every_cell_are_found(tmp_path: Path) -> None:
    for place in ("one/student", "two/students/a", "two/students/b", "two/general/a", "two/other"):
        (tmp_path / "cells" / place).mkdir(parents=True)
    found = [str(place.relative_to(tmp_path / "cells")) for place in Commons(tmp_path, "a").student_places()]
    assert {"one/student", "two/students/a", "two/students/b", "two/general/a"} <= set(found)
    assert "two/other" not in found
    assert list(Commons(tmp_path / "none", "a").student_places()) == []
