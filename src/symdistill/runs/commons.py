"""What the cells of a grid have in common: one purse for the teacher, and the students that any of them has trained.

A lock is a file that the system releases when its holder ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symdistill.runs.directory import cannot_write


@dataclass(frozen=True, slots=True)
class Commons:
    """A grid as its cells see it: its directory, and what the teacher's replies are booked under."""

    directory: Path
    account: str

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other cell does `name`, and let none begin it inside the block. Raises RunDirectoryError."""
        path = self.directory / "locks" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a")
        except OSError as error:
            raise cannot_write(path, error, "Choose another --output.") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def student_places(self) -> Iterator[Path]:
        """Where the grid's cells keep students."""
        for cell in sorted((self.directory / "cells").glob("*/")):
            yield cell / "student"
            for kind in ("students", "general", "rounds"):
                yield from sorted((cell / kind).glob("*/"))

    def reranker_places(self) -> Iterator[Path]:
        """Where the grid's cells keep rerankers."""
        yield from sorted((self.directory / "cells").glob("*/rerankers/*/"))
