from __future__ import annotations

import json
from pathlib import Path

from symdistill.training.log import TrainingLog


def write(path: Path, label: str, steps: range) -> None:
    log = TrainingLog(path, label)
    for step in steps:
        log.append(step, 1.0 / step, 1e-4, 100 * step, 0.5)


def steps(path: Path, label: str) -> list[int]:
    return [r["step"] for r in TrainingLog(path, label).records()]


def test_a_line_has_what_other_programs_rely_on(tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", "std-cot", range(1, 2))
    [line] = (tmp_path / "t.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "step": 1, "loss": 1.0, "learning_rate": 1e-4, "tokens": 100, "seconds": 0.5, "method": "std-cot",
    }  # fmt: skip


def test_truncation_forgets_later_steps_of_this_method_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write(path, "one", range(1, 6))
    write(path, "two", range(1, 6))
    TrainingLog(path, "two").truncate(3)
    assert (steps(path, "one"), steps(path, "two")) == ([1, 2, 3, 4, 5], [1, 2, 3])
    TrainingLog(path, "one").truncate(0)
    assert (steps(path, "one"), steps(path, "two")) == ([], [1, 2, 3])


def test_a_line_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write(path, "one", range(1, 4))
    torn = path.read_bytes()[:-20]
    path.write_bytes(torn)
    TrainingLog(path, "one").truncate(3)
    write(path, "one", range(3, 5))
    assert steps(path, "one") == [1, 2, 3, 4]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_there_may_be_no_file_yet(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "run" / "t.jsonl", "one")
    assert log.records() == []
    log.truncate(0)
    log.append(1, 1.0, 1e-4, 1, 0.1)
    assert len(log.records()) == 1
