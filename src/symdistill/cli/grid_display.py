"""What a grid shows while it runs: a bar for each cell under way on a terminal, plain lines elsewhere; every line
begins with its cell."""

from __future__ import annotations

import sys
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from symdistill.cli.display import PLAIN_EVERY
from symdistill.progress import Progress as Seen


class GridDisplay:
    """Who sees what goes on in a grid (see `runs.grid_running.Watcher`). It writes to standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> GridDisplay:
        if self.console.is_terminal:
            self._bars = Progress(
                TextColumn(" {task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[facts]}", markup=False),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def cell(self, title: str) -> Seen:
        """The progress of one cell."""
        return _Cell(self, f"[{title}]" if title else "")

    def settled(self, title: str, how: str, done: int, total: int) -> None:
        """One more cell is finished, or has failed."""
        self.line(f"[{title}] {how}   ({done:,} of {total:,} runs)")

    def line(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            if self.console.is_terminal:
                (self._bars.console if self._bars else self.console).print(text, markup=False)
            else:
                print(text, file=self.console.file or sys.stderr, flush=True)

    @property
    def bars(self) -> Progress | None:
        return self._bars


class _Cell:
    """A `progress.Progress` whose every line names its cell."""

    def __init__(self, display: GridDisplay, prefix: str) -> None:
        self._display = display
        self._prefix = prefix
        self._stage = ""
        self._total: int | None = None
        self._done = 0
        self._shown = 0.0
        self._bar: TaskID | None = None

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self._close()
        self._stage, self._total, self._done, self._shown = stage, total, done, time.monotonic()
        if self._display.bars is not None and total:
            self._bar = self._display.bars.add_task(f"{self._prefix} {stage}", total=total, completed=done, facts="")

    def advance(self, count: int = 1, **facts: str) -> None:
        self._done += count
        shown = "  ".join(value if key == "left" else f"{key} {value}" for key, value in facts.items())
        if self._display.bars is not None and self._bar is not None:
            self._display.bars.update(self._bar, advance=count, facts=shown)
        elif time.monotonic() - self._shown >= PLAIN_EVERY:
            self._shown = time.monotonic()
            total = f" of {self._total:,}" if self._total else ""
            self._display.line(f"{self._prefix} {self._stage:<10} {self._done:,}{total}  {shown}")

    def note(self, text: str) -> None:
        """A line; what is longer stands in the cell's log."""
        if "\n" not in text.strip():
            self._display.line(f"{self._prefix}{'' if text.startswith(' ') else ' '}{text}")

    def finish(self, summary: str = "") -> None:
        self._close()
        if summary:
            self._display.line(f"{self._prefix} {self._stage:<10} {summary}")

    def _close(self) -> None:
        if self._bar is not None and self._display.bars is not None:
            self._display.bars.remove_task(self._bar)
        self._bar = None
