"""The worker processes of a grid: what goes wrong with one cell stays with it."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from symdistill.errors import Interrupted, RunDirectoryError
from symdistill.progress import Progress, Silent
from symdistill.runs.directory import RunDirectory, cannot_write, forget, write_json
from symdistill.runs.grid import Cell, Grid
from symdistill.runs.grid_keys import renamed
from symdistill.runs.grid_state import editable_key
from symdistill.sampling.signals import stop_signals

FAILURE = "failure.json"  # in a cell's directory: why its last try came to nothing
ASIDE = "aside"  # in the grid's directory: failed tries of cells whose configuration was then corrected
LOG = "log.txt"  # in a cell's directory: what it said, over all its tries
DONE = "done.json"  # in a cell's directory: the configuration and the questions it was finished with


class Watcher(Protocol):
    """Who sees what goes on. `cell` gives the progress of one cell, `settled` hears how a cell ended ("finished",
    "failed: …"), and how many of all are settled by then."""

    def cell(self, title: str) -> Progress: ...

    def settled(self, title: str, how: str, done: int, total: int) -> None: ...


class Unwatched:
    """A `Watcher` that shows nothing."""

    def cell(self, title: str) -> Progress:
        return Silent()

    def settled(self, title: str, how: str, done: int, total: int) -> None: ...


@dataclass
class Ended:
    """How a start of the grid ended, by the names of cells. `kept` were finished before."""

    kept: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip()]
    listed = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number, _ in enumerate(listed.iterdir())] if listed.is_dir() else []


def default_workers() -> int:
    """One on a CPU, where two trainings would only slow each other, else one a GPU."""
    return max(1, len(gpus()))


def environment(number: int, workers: int) -> dict[str, str]:
    """What worker `number` of `workers` finds: its share of the cores, unless the user has said how many threads, and
    one of the GPUs where there are several."""
    shared = dict(os.environ)
    threads = str(max(1, cores() // workers))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        shared.setdefault(name, threads)
    found = gpus()
    if workers > 1 and len(found) > 1:
        shared["CUDA_VISIBLE_DEVICES"] = found[number % len(found)]
    return shared


class _Logged:
    """A cell's progress that also writes every line down, in log.txt of the cell's directory."""

    def __init__(self, progress: Progress, path: Path) -> None:
        self._progress = progress
        self._path = path
        self._stage = ""

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self._stage = stage
        self._progress.start(stage, total, done)

    def advance(self, count: int = 1, **facts: str) -> None:
        self._progress.advance(count, **facts)

    def note(self, text: str) -> None:
        self._write(text)
        self._progress.note(text)

    def finish(self, summary: str = "") -> None:
        self._write(f"{self._stage}   {summary}")
        self._progress.finish(summary)

    def _write(self, text: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{_now()} {text}\n")
        except OSError as error:
            raise cannot_write(self._path, error, "Choose another --output.") from error


class _Worker:
    """One worker process, and the cell it is at."""

    def __init__(self, number: int, workers: int, inbox: queue.SimpleQueue[tuple[_Worker, Mapping[str, Any]]]) -> None:
        self.cell: Cell | None = None
        self.progress: Progress | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "symdistill.runs.grid_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then decides
            env=environment(number, workers),
        )
        threading.Thread(target=self._hear, args=(inbox,), daemon=True).start()

    def give(self, cell: Cell, job: Mapping[str, Any], progress: Progress) -> None:
        self.cell, self.progress = cell, progress
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # one that has just died says so through `_hear`
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()

    def stop(self, *, at_once: bool) -> None:
        """Have it stop as with Ctrl-C, or kill it and all it started."""
        with suppress(ProcessLookupError):
            if at_once:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Let it end; a worker that is at nothing does so at once."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _hear(self, inbox: queue.SimpleQueue[tuple[_Worker, Mapping[str, Any]]]) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                with suppress(ValueError):  # a process that is killed while it writes leaves half a line
                    inbox.put((self, json.loads(line)))
        finally:
            code = self._process.wait()
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            killed = " (killed: often for want of memory)" if code == -signal.SIGKILL else ""
            inbox.put((self, {"say": "ended", "message": f"Its process ended with {how}{killed}.", "fix": ""}))


class WorkerPool:
    """The workers and what they are given to do."""

    def __init__(self, grid: Grid, made_of: Mapping[str, str], workers: int, watcher: Watcher, ended: Ended) -> None:
        self._grid = grid
        self._made_of = made_of
        self._wanted = workers
        self._watcher = watcher
        self._ended = ended
        self._inbox: queue.SimpleQueue[tuple[_Worker, Mapping[str, Any]]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._stopping = 0

    def run(self, cells: list[Cell]) -> None:
        """Run the cells in this order. Raises Interrupted."""
        left = list(cells)
        with stop_signals(self._stop):
            try:
                for number in range(min(self._wanted, len(left))):
                    self._next(number, left)
                while any(worker.cell for worker in self._workers):
                    worker, message = self._inbox.get()
                    self._take(worker, message, left)
            finally:
                for worker in self._workers:
                    if worker.cell:
                        worker.stop(at_once=True)
                    worker.close()
        if self._stopping:
            total = len(self._grid.cells)
            done = len(self._ended.kept) + len(self._ended.finished)
            raise Interrupted(f"Stopped. {done:,} of {total:,} cells are finished.", "Continue with the same command.")

    def _next(self, number: int, left: list[Cell], worker: _Worker | None = None) -> None:
        """Give the next cell to a worker; None: to a new one."""
        if not left or self._stopping:
            return
        if worker is None:
            worker = _Worker(number, self._wanted, self._inbox)
            if number < len(self._workers):
                self._workers[number] = worker
            else:
                self._workers.append(worker)
        cell = left.pop(0)
        place = self._grid.place(cell)
        if corrected(cell, place):
            _put_aside(place, self._grid.directory / ASIDE)
        forget(place / FAILURE)
        forget(place / DONE)
        job = {
            "config": cell.config.model_dump(mode="json"),
            "place": str(place.absolute()),
            "grid": str(self._grid.directory.absolute()),
            "account": self._grid.account,
        }
        worker.give(cell, job, _Logged(self._watcher.cell(cell.title), place / LOG))

    def _take(self, worker: _Worker, message: Mapping[str, Any], left: list[Cell]) -> None:
        """React to what a worker says."""
        cell, progress, say = worker.cell, worker.progress, message["say"]
        if cell is None or progress is None:
            return
        if say == "start":
            progress.start(message["stage"], message["total"], message["done"])
        elif say == "advance":
            progress.advance(message["count"], **message["facts"])
        elif say == "note":
            progress.note(message["text"])
        elif say == "finish":
            progress.finish(message["summary"])
        else:
            worker.cell = None
            number = self._workers.index(worker)
            if say == "done":
                self._finish(cell)
            elif not self._stopping:
                self.fail(cell, message)
            if say == "ended":
                worker.close()
            self._next(number, left, None if say == "ended" else worker)

    def _finish(self, cell: Cell) -> None:
        place = self._grid.place(cell)
        made = {"made_of": self._made_of[cell.name], "editable": editable_key(place), "finished": _now()}
        write_json(place / DONE, made)
        self._ended.finished.append(cell.name)
        self._settled(cell, "finished")

    def _stop(self) -> None:
        """The first Ctrl-C lets the cells stop with a checkpoint, a second one kills them."""
        self._stopping += 1
        for worker in self._workers:
            if worker.cell:
                worker.stop(at_once=self._stopping > 1)

    def fail(self, cell: Cell, told: Mapping[str, Any]) -> None:
        """Write down why a cell came to nothing."""
        kept = {name: told[name] for name in ("message", "fix", "traceback") if told.get(name)}
        kept |= {name: renamed(kept[name], cell.keys) for name in ("message", "fix") if name in kept}
        write_json(self._grid.place(cell) / FAILURE, {**kept, "failed": _now()})
        self._ended.failed[cell.name] = str(kept.get("message", ""))
        self._settled(cell, f"failed: {kept.get('message', '')}")

    def _settled(self, cell: Cell, how: str) -> None:
        ended = self._ended
        done = len(ended.kept) + len(ended.finished) + len(ended.failed)
        self._watcher.settled(cell.title, how, done, len(self._grid.cells))


def corrected(cell: Cell, place: Path) -> bool:
    """Whether the directory holds a cell that has failed with another configuration: it then begins anew.

    Raises:
        RunDirectoryError: it holds another configuration, and has not failed.
    """
    try:
        RunDirectory(place).check(cell.config)
    except RunDirectoryError:
        if (place / FAILURE).exists():
            return True
        raise
    return False


def _put_aside(place: Path, aside: Path) -> None:
    """Move a directory away under a name that is free. Raises RunDirectoryError."""
    names = (aside / f"{place.name}-{number}" for number in itertools.count(1))
    target = next(name for name in names if not name.exists())
    try:
        aside.mkdir(exist_ok=True)
        place.rename(target)
    except OSError as error:
        raise cannot_write(target, error, "Choose another --output.") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
