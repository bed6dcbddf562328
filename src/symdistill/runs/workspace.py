"""What the stages of a run share: its configuration, its directory, its questions and its store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from symdistill.errors import ConfigError
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd
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
        """The run's methods; none where only the teacher's part of a run is wanted and none is named."""
        return self.config.build_methods() if self.config.method is not None or self.config.methods else []

    @cached_property
    def learners(self) -> list[Method]:
        """The methods that use a teacher's rationales; few-shot does not where it has demonstrations to show."""
        shown = self.config.teacher.demonstrations is not None
        return [m for m in self.methods if m.needs == "rationales" and (m.trains or not shown)]

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
        return bool(self.learners) or not self.methods

    @property
    def key(self) -> str:
        """What replies bought for this run are booked under."""
        return identity_key(self.config, self.directory.path)

    def student_directory(self, method: Method) -> Path:
        return self.directory.student(method.label, alone=len(self.trained) == 1)

    def check(self) -> None:
        """What can be known to be wrong before anything is spent. Raises ConfigError."""
        for method in self.methods:
            if isinstance(method, Nesycd):
                self._check_knowledge(method)
        if self.config.evaluation.teacher and not self.config.teacher.model:
            raise ConfigError("`evaluation.teacher` is set, and no teacher is named.", "Set `teacher.model`.")
        if self.needs_teacher and not self.config.teacher.model:
            wanting = f"{self.learners[0].label} uses a teacher's rationales" if self.learners else "A teacher is asked"
            raise ConfigError(
                f"{wanting}, and no teacher is named.",
                "Set `teacher.model`, for example openai:gpt-4o-mini, or `dataset` for rationales the rows carry.",
            )

    def _check_knowledge(self, method: Nesycd) -> None:
        path = self.config.knowledge.path
        if path is not None and not path.exists():
            raise ConfigError(
                f"There is no knowledge base at {path} (`knowledge.path`).",
                "Correct the path, or leave it out to have the run build its own.",
            )
        if path is None and self.config.analysis_for(method).model in (None, "dataset"):
            raise ConfigError(
                f"{method.label} asks a teacher about the student's mistakes, and `dataset` cannot answer.",
                f"Name one that can: `analysis: {{model: openai:gpt-4o-mini}}` in the entry of {method.label}.",
            )


@contextlib.contextmanager
def workspace(
    config: RunConfig, path: Path, progress: Progress | None = None, *, needs_method: bool = True
) -> Iterator[Workspace]:
    """Claim a run directory for the length of the block.

    Sampling and curation need no method (`needs_method`): they then treat the replies as std-cot would.

    Raises:
        ConfigError: no method is named, or one is wrong. RunDirectoryError: the directory cannot be claimed.
    """
    if needs_method or config.method is not None or config.methods:
        config.build_methods()
    directory = RunDirectory(path)
    with directory.claimed(config):
        made = Workspace(config, directory, progress or Silent())
        try:
            yield made
        finally:
            if "store" in made.__dict__:
                made.store.close()
