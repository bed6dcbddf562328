"""The run directory: one process at a time, one configuration, files that are whole or absent."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from symdistill.errors import RunDirectoryError
from symdistill.runs.config import RunConfig, parse_config
from symdistill.runs.directory import RunDirectory, identity_key, replacing, write_json, write_rows, write_text

CONFIG = parse_config({"method": "scotd", "teacher": {"model": "dataset"}})


def other(**changes: object) -> RunConfig:
    return parse_config({"method": "scotd", "teacher": {"model": "dataset"}, **changes})


def test_the_same_configuration_goes_on(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    for _ in range(2):
        with run.claimed(CONFIG):
            assert run.load_config() == CONFIG


def test_budgets_and_evaluation_may_change(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.claimed(CONFIG):
        pass
    changed = other(teacher={"model": "dataset", "budget_usd": 9}, evaluation={"self_consistency": 3})
    with run.claimed(changed):
        assert run.load_config().evaluation.self_consistency == 3


def test_another_configuration_is_refused_with_the_way_out(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.claimed(CONFIG):
        write_rows(run.rationales, [])
    with pytest.raises(RunDirectoryError, match=r"different: `seed`.*--run-dir.*delete"), run.claimed(other(seed=1)):
        pass
    assert run.load_config() == CONFIG


def test_a_corrected_configuration_goes_on_where_nothing_was_done_yet(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.claimed(other(task={"path": "mistyped.jsonl"})):
        pass
    with run.claimed(CONFIG):
        assert run.load_config() == CONFIG


def rounds(limit: int, **changes: object) -> RunConfig:
    section = {"inputs": "texts.txt", **changes}
    return parse_config({"multilevel": section, "teacher": {"model": "dataset"}, "training": {"max_length": limit}})


def test_how_long_an_example_may_be_can_change_until_a_run_of_rounds_is_over(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.claimed(rounds(20)):
        write_text(run.store, "")
    with run.claimed(rounds(200)):
        assert run.load_config().training.max_length == 200
    assert identity_key(rounds(20), run.path) == identity_key(rounds(200), run.path), "one budget for both"
    with pytest.raises(RunDirectoryError, match=r"different: `multilevel\.rounds`, `training\.max_length`"):
        run.check(rounds(100, rounds=3))
    write_json(run.metrics, {})
    with pytest.raises(RunDirectoryError, match=r"different: `training\.max_length`"):
        run.check(rounds(100))
    run.check(rounds(200))


def test_how_long_an_example_may_be_is_fixed_for_methods(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.claimed(CONFIG):
        write_rows(run.rationales, [])
    with pytest.raises(RunDirectoryError, match=r"different: `training\.max_length`"):
        run.check(other(training={"max_length": 100}))
    assert identity_key(CONFIG, run.path) != identity_key(other(training={"max_length": 100}), run.path)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from symdistill.runs.config import parse_config\nfrom symdistill.runs.directory import RunDirectory\n"
        "config = parse_config({'method': 'scotd', 'teacher': {'model': 'dataset'}})\n"
        "with RunDirectory(Path(sys.argv[1])).claimed(config):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "in\n"
        with pytest.raises(RunDirectoryError, match=rf"process {first.pid}"), run.claimed(CONFIG):
            pass
    finally:
        first.kill()
        first.wait()
    with run.claimed(CONFIG):  # a killed process leaves no claim behind
        pass


def test_a_directory_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run directory"):
        RunDirectory(tmp_path).load_config()


def test_a_place_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunDirectoryError, match="Cannot write"),
        RunDirectory(tmp_path / "file" / "run").claimed(CONFIG),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunDirectoryError, match="Cannot write"), RunDirectory(tmp_path / "run").claimed(CONFIG):
        pass


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.json"
    write_json(file, [1])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunDirectoryError, match=r"disk is full.*same command"):
        write_json(file, [2])
    assert file.read_text() == "[\n  1\n]\n"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "half") as file:  # noqa: PT012 - the block is what fails
        file.write("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_rows_with_odd_line_breaks_read_back(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    rows = [{"text": "a\u2028b\u0085c\nd"}, {"text": ""}]
    write_rows(run.training, rows)
    assert run.read_rows(run.training) == rows
    assert run.read_rows(tmp_path / "none.jsonl") == []
    write_text(run.training, '{"a": 1}\nbroken\n')
    with pytest.raises(RunDirectoryError, match="line 2"):
        run.read_rows(run.training)


def test_a_damaged_configuration_of_a_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("task: {path: q.jsonl}\nmethod: [a\nseed: 1\n")
    with pytest.raises(RunDirectoryError) as caught:
        RunDirectory(tmp_path).load_config()
    assert f"Cannot read {tmp_path / 'config.yaml'}: " in str(caught.value)
    assert "line 3. Restore it" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text("seed: 1\n")
    with pytest.raises(RunDirectoryError, match=r"q\.yaml is not a run directory"):
        RunDirectory(tmp_path / "q.yaml").load_config()
