"""What a run shows: bars on a terminal, one plain line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from textwrap import wrap

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from symdistill.knowledge.visible import visible

__all__ = ["Display", "one_line", "padded", "visible", "wrapped"]

PLAIN_EVERY = 30.0  # seconds between two progress lines where there is no terminal


class Display:
    """A `Progress` for the command line. It writes to standard error; results go to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._stage = ""
        self._total: int | None = None
        self._done = 0
        self._since = 0.0
        self._shown = 0.0

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self._close()
        self._stage, self._total, self._done = stage, total, done
        self._since = self._shown = time.monotonic()
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn(" {task.description:<10}"),
                BarColumn(bar_width=30) if total else SpinnerColumn(),
                MofNCompleteColumn() if total else TextColumn(""),
                TextColumn("{task.fields[facts]}"),
                TimeRemainingColumn() if total else TextColumn(""),
                console=self.console,
                transient=True,
            )
            self._bar.add_task(stage, total=total, completed=done, facts="")
            self._bar.start()

    def advance(self, count: int = 1, **facts: str) -> None:
        self._done += count
        shown = "  ".join(f"{k} {v}" if k not in ("left",) else f"{v} left" for k, v in facts.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=count, facts=shown)
        elif time.monotonic() - self._shown >= PLAIN_EVERY:
            self._shown = time.monotonic()
            total = f" of {self._total:,}" if self._total else ""
            self._line(f" {self._stage:<10} {self._done:,}{total}  {shown}")

    def note(self, text: str) -> None:
        self._line(text)

    def finish(self, summary: str = "") -> None:
        stage = self._stage
        self._close()
        if summary:
            self._line(f" {stage:<10} {summary}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        elif self.console.is_terminal:
            self.console.print(text, markup=False)
        else:
            print(text, file=self.console.file or sys.stderr, flush=True)


def one_line(text: str, width: int) -> str:
    """`visible` text on one line of at most `width` columns of a terminal."""
    line = " ".join(visible(text).split())
    return line if cell_len(line) <= width else f"{set_cell_size(line, width - 1).rstrip()}…"


def padded(text: str, width: int) -> str:
    """A line with blanks behind it up to `width` columns of a terminal, where a Chinese character takes two."""
    return text + " " * max(width - cell_len(text), 0)


def wrapped(text: str, width: int) -> list[str]:
    """`visible` text in lines of at most `width` columns."""
    found: list[str] = []
    for line in visible(text).expandtabs(4).split("\n"):
        for part in wrap(line, width, drop_whitespace=False) or [""]:
            found += chop_cells(part, width) if cell_len(part) > width else [part]
    return found
