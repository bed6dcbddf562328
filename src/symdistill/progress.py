"""How long work reports itself: a stage, a total, and facts worth showing. The command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One stage of work at a time. `facts` are short texts such as rate, cost or loss."""

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None: ...

    def advance(self, count: int = 1, **facts: str) -> None: ...

    def note(self, text: str) -> None:
        """A line that stays: a finding, a warning."""

    def finish(self, summary: str = "") -> None: ...


class Silent:
    """Reports nothing."""

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None: ...

    def advance(self, count: int = 1, **facts: str) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self, summary: str = "") -> None: ...
