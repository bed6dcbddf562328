"""What the stages of a run share: its configuration, its directory, its questions and its store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from symdistill.errors import ConfigError
from symdistill.methods import Method
from symdistill.progress import Progress, Silent
from symdistill.prompts import Demonstration, read_demonstrations
from symdistill.runs.config import RunConfig
from symdistill.runs.directory import RunDirectory, identity_key
from symdistill.sampling.store import ResponseStore
from symdistill.tasks.loading import Task, load_task


@dataclass
class Workspace:
    """One claimed run. Everything costly in it is made on first use."""

    config: RunConfig
    directory: RunDirectory
    progress: Progress = field(default_factory=Silent)

    @cached_property
    def methods(self) -> list[Method]:
        return self.config.build_methods()

    @cached_property
    def trained(self) -> list[Method]:
        return [m for m in self.methods if m.trains]

    @cached_property
    def task(self) -> Task:
        return load_task(self.config.task, seed=self.config.seed)

    @cached_property
    def store(self) -> ResponseStore:
        return ResponseStore(self.config.store or self.directory.store)

    @cached_property
    def demonstrations(self) -> tuple[Demonstration, ...]:
        path = self.config.teacher.demonstrations
        return read_demonstrations(path) if path else ()

    @property
    def needs_teacher(self) -> bool:
        return any(m.needs == "rationales" for m in self.methods)

    @property
    def key(self) -> str:
        """What replies bought for this run are booked under."""
        return identity_key(self.config)

    def student_directory(self, method: Method) -> Path:
        return self.directory.student(method.label, alone=len(self.trained) == 1)

    def check(self) -> None:
        """What can be known to be wrong before anything is spent. Raises ConfigError."""
        if self.config.evaluation.teacher and not self.config.teacher.model:
            raise ConfigError("`evaluation.teacher` is set, and no teacher is named.", "Set `teacher.model`.")
        if self.needs_teacher and not self.config.teacher.model:
            wanting = next(m.label for m in self.methods if m.needs == "rationales")
            raise ConfigError(
                f"{wanting} learns from a teacher's rationales, and no teacher is named.",
                "Set `teacher.model`, for example openai:gpt-4o-mini, or `dataset` for rationales the rows carry.",
            )


@contextlib.contextmanager
def workspace(config: RunConfig, path: Path, progress: Progress | None = None) -> Iterator[Workspace]:
    """Claim a run directory for the length of the block. Raises RunDirectoryError."""
    config.build_methods()
    directory = RunDirectory(path)
    with directory.claimed(config):
        made = Workspace(config, directory, progress or Silent())
        try:
            yield made
        finally:
            if "store" in made.__dict__:
                made.store.close()
