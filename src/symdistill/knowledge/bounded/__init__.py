"""Work that may never end, or take all memory, done in a process that can be ended: queries and solvers.

A worker is a file with a function `work(job)` that takes a JSON value and yields JSON values; it imports nothing of
symdistill, so that its process starts quickly. Values travel as JSON lines: nothing is pickled, and nothing a worker
says is run.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from symdistill.errors import LimitReached, SymdistillError

_START = Path(__file__).with_name("start.py")
_LOADING_SECONDS = 900.0
"""What a worker may take for reading its data, before its own time begins."""

_KILLED, _OUT_OF_TIME = 9, 24
"""SIGKILL and SIGXCPU of Linux; Windows has neither."""
_NO_MEMORY = ("allocation", "bad_alloc", "MemoryError")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long work may take, in seconds, and how much memory its process may have, in megabytes.

    The memory counts on Linux; elsewhere only the time does.
    """

    seconds: float = 30.0
    megabytes: int = 4096


def values_of(worker: Path, job: Any, bounds: Bounds, what: str) -> Iterator[Any]:
    """The values a worker yields, as they come. Its time begins with the first one: until then it reads its data.

    Closing the iterator early ends the process. `what` names the work at the beginning of a sentence ("The query").

    Raises:
        LimitReached: the time or the memory ran out; the values before it have been given.
        SymdistillError: the worker failed.
    """
    with tempfile.TemporaryFile() as complaints:
        command = [sys.executable, "-P", str(_START), str(worker), str(bounds.megabytes), str(_cpu_seconds(bounds))]
        # In a session of its own, so that Ctrl-C reaches this process alone, which ends the other one.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, start_new_session=True
        )
        watch = _Watch(process)
        try:
            watch.allow(_LOADING_SECONDS)
            _send(process, job)
            assert process.stdout is not None
            for number, line in enumerate(process.stdout):
                value = json.loads(line) if line.endswith(b"\n") else None
                if number == 0:
                    watch.allow(bounds.seconds)
                if value == {"limit": "memory"}:
                    raise _memory(what, bounds)
                elif value is not None:
                    yield value
            code = process.wait()
            if watch.ended:
                raise _time(what, bounds)
            if code:
                raise _failed(what, code, complaints, bounds)
        finally:
            watch.stop()
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


class _Watch:
    """Kills a process when its time is over."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.ended = False
        self._process = process
        self._timer: threading.Timer | None = None

    def allow(self, seconds: float) -> None:
        """Let the process run for so long from now."""
        self.stop()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _end(self) -> None:
        self.ended = True
        self._process.kill()


def _cpu_seconds(bounds: Bounds) -> int:
    """A limit the system enforces should this process be killed first; threads may use several cores."""
    return int(4 * (bounds.seconds + _LOADING_SECONDS))


def _send(process: subprocess.Popen[bytes], job: Any) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended before it had read all: its exit code says why
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()


def _time(what: str, bounds: Bounds) -> LimitReached:
    return LimitReached(
        f"{what} ran for more than {bounds.seconds:g} seconds and was ended. Nothing was changed.",
        "Ask for less, or allow more time.",
    )


def _memory(what: str, bounds: Bounds) -> LimitReached:
    return LimitReached(
        f"{what} needed more than {bounds.megabytes:,} MB of memory and was ended. Nothing was changed.",
        "Ask for less, or allow more memory.",
    )


def _crashed(what: str, number: int, bounds: Bounds) -> LimitReached:
    name = next((one.name for one in signal.Signals if one == number), f"signal {number}")
    return LimitReached(
        f"{what} crashed ({name}): it is nested too deeply, or {bounds.megabytes:,} MB of memory are too few. "
        "Nothing was changed.",
        "Write it with fewer brackets within brackets, or ask for less.",
    )


def _failed(what: str, code: int, complaints: IO[bytes], bounds: Bounds) -> SymdistillError:
    complaints.seek(0)
    said = complaints.read(1 << 20).decode(errors="replace").strip()
    # A library that gets no memory says so and ends its process by a signal; the system kills without a word.
    if code == -_KILLED or any(word in said for word in _NO_MEMORY):
        return _memory(what, bounds)
    if code < 0:
        return _time(what, bounds) if code == -_OUT_OF_TIME else _crashed(what, -code, bounds)
    return SymdistillError(f"{what} failed: {said.splitlines()[-1][:300] if said else f'exit code {code}'}.")
