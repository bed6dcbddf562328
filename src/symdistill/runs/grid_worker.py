"""A worker of a grid: a process of its own that runs cells one after another, told by its parent which.

Jobs come as JSON lines on standard input, what happens goes back as JSON lines on standard output; anything else that
is printed goes to standard error. When standard input ends, the parent has ended, whatever the reason: the cell is then
stopped as with Ctrl-C, which keeps a checkpoint, and if that takes too long the process and all it started are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from symdistill.errors import Interrupted, SymdistillError
from symdistill.progress import Progress
from symdistill.runs.commons import Commons
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import run_all

GRACE_SECONDS = 60.0
"""How long a worker may take to stop after its parent has gone."""
_EVERY_SECONDS = 0.5  # between two reports of a stage under way


class Reporting:
    """A `Progress` that tells the parent."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._count = 0
        self._facts: dict[str, str] = {}
        self._next = 0.0

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self._flush()
        self.tell({"say": "start", "stage": stage, "total": total, "done": done})

    def advance(self, count: int = 1, **facts: str) -> None:
        self._count += count
        self._facts = facts
        if time.monotonic() >= self._next:
            self._flush()
            self._next = time.monotonic() + _EVERY_SECONDS

    def note(self, text: str) -> None:
        self.tell({"say": "note", "text": text})

    def finish(self, summary: str = "") -> None:
        self._flush()
        self.tell({"say": "finish", "summary": summary})

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one message. A parent that is gone hears nothing: `_listen` deals with that."""
        with contextlib.suppress(BrokenPipeError):
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()

    def _flush(self) -> None:
        if self._count or self._facts:
            self.tell({"say": "advance", "count": self._count, "facts": self._facts})
        self._count, self._facts = 0, {}


def run_cell(job: Mapping[str, Any], progress: Progress) -> None:
    """Run one cell. Raises as `pipeline.run_all`."""
    config = parse_config(job["config"])
    commons = Commons(Path(job["grid"]), job["account"])
    run_all(config, Path(job["place"]), progress, commons=commons)


def outcome(job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Run one cell and say how it ended."""
    try:
        run_cell(job, progress)
    except (Interrupted, KeyboardInterrupt):
        return {"say": "stopped"}
    except SymdistillError as error:
        return {"say": "failed", "message": error.message, "fix": error.fix}
    except Exception as error:
        detail = traceback.format_exc()
        return {"say": "failed", "message": f"{type(error).__name__}: {error}", "fix": "", "traceback": detail}
    return {"say": "done"}


def main() -> None:
    """Work until standard input ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it runs in the background ignore it
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(jobs, busy), daemon=True).start()
    reporting = Reporting(report)
    while True:
        try:
            job = jobs.get()
        except KeyboardInterrupt:
            continue
        if job is None:
            return
        busy.set()
        message = outcome(job, reporting)
        busy.clear()
        reporting.tell(message)


def _listen(jobs: queue.SimpleQueue[Mapping[str, Any] | None], busy: threading.Event) -> None:
    """Hand on what the parent writes; at its end see to it that this process ends too."""
    for line in sys.stdin:
        jobs.put(json.loads(line))
    jobs.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(GRACE_SECONDS)
        os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
