"""Workers: values as they come, and an end in time, whatever the work does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from symdistill.errors import LimitReached, SymdistillError
from symdistill.knowledge.bounded import Bounds, values_of


def worker(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "worker.py"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    path.write_text(f"import os, time\n\ndef work(job):\n{lines}\n")
    return path


def test_values_come_one_by_one(tmp_path: Path) -> None:
    path = worker(tmp_path, "for n in range(job['n']):\n    yield {'n': n, 'text': 'ü\\u2028\\n'}")
    assert [v["n"] for v in values_of(path, {"n": 3}, Bounds(), "The work")] == [0, 1, 2]


def test_values_before_the_end_of_time_are_given(tmp_path: Path) -> None:
    path = worker(tmp_path, "yield {'n': 1}\nyield {'n': 2}\ntime.sleep(600)\nyield {'n': 3}")
    values = values_of(path, None, Bounds(seconds=0.5), "The work")
    assert [next(values)["n"], next(values)["n"]] == [1, 2]
    with pytest.raises(LimitReached, match=r"The work ran for more than 0\.5 seconds"):
        next(values)


def test_time_begins_with_the_first_value(tmp_path: Path) -> None:
    path = worker(tmp_path, "time.sleep(1)\nyield {'n': 1}\nyield {'n': 2}")
    assert len(list(values_of(path, None, Bounds(seconds=0.5), "The work"))) == 2


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the limit of memory is Linux's")
def test_memory_ends(tmp_path: Path) -> None:
    path = worker(tmp_path, "yield {}\ndata = [bytes(1000) for _ in range(10**6)]\nyield {'n': len(data)}")
    with pytest.raises(LimitReached, match="The work needed more than 200 MB of memory"):
        list(values_of(path, None, Bounds(megabytes=200), "The work"))


@pytest.mark.parametrize("body", ["yield {}\nraise ValueError('odd')", "yield {}\nos._exit(3)"])
def test_a_worker_that_fails_is_told(tmp_path: Path, body: str) -> None:
    with pytest.raises(SymdistillError, match="The work failed"):
        list(values_of(worker(tmp_path, body), None, Bounds(), "The work"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "body, said",
    [
        ("os.abort()", r"The work crashed \(SIGABRT\): it is nested too deeply, or 4,096 MB"),
        ("os.kill(os.getpid(), 11)", r"The work crashed \(SIGSEGV\): it is nested too deeply"),
        ("os.kill(os.getpid(), 9)", "The work needed more than 4,096 MB of memory"),
        ("os.write(2, b'memory allocation of 9 bytes failed')\nos.abort()", "The work needed more than 4,096 MB"),
        ("os.write(2, b'thread main has overflowed its stack')\nos.abort()", r"crashed \(SIGABRT\)"),
    ],
)
def test_a_worker_that_dies_of_a_signal_is_told(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(LimitReached, match=said):
        list(values_of(worker(tmp_path, f"yield {{}}\n{body}"), None, Bounds(), "The work"))


def test_leaving_early_ends_the_process(tmp_path: Path) -> None:
    path = worker(tmp_path, "yield {'pid': os.getpid()}\nwhile True:\n    time.sleep(1)\n    yield {}")
    values = values_of(path, None, Bounds(), "The work")
    pid = next(values)["pid"]
    values.close()
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the process is still there")
