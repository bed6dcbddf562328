"""What the stages of a run share: its configuration, its directory, its questions and its store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.skintern import Skintern
from symdistill.models.llmlingua import check_llmlingua
from symdistill.models.settings import TeacherSettings
from symdistill.progress import Progress, Silent
from symdistill.prompts import Demonstration, question_text, read_demonstrations
from symdistill.records import Completion, Example
from symdistill.runs.commons import Commons
from symdistill.runs.config import RunConfig
from symdistill.runs.directory import RunDirectory, identity_key
from symdistill.runs.gates import makes_notes, source_of
from symdistill.sampling.store import ResponseStore
from symdistill.students.settings import Engine
from symdistill.tasks.decontamination import decontaminate
from symdistill.tasks.files import no_file
from symdistill.tasks.loading import Task, load_task


@dataclass
class Workspace:
    """One claimed run. Everything costly in it is made on first use.

    `commons` is what it shares with others as a cell of a grid.
    """

    config: RunConfig
    directory: RunDirectory
    progress: Progress = field(default_factory=Silent)
    commons: Commons | None = None
    replies: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Dollars and tokens of every reply of a teacher that this process has looked at, by request key."""
    shown: dict[Path, tuple[Demonstration, ...]] = field(default_factory=dict)
    """The demonstrations of each file that was read, without held-out questions."""

    @cached_property
    def methods(self) -> list[Method]:
        """The run's methods; none where only the teacher's part of a run is wanted and none is named."""
        return self.config.build_methods() if self.config.method is not None or self.config.methods else []

    @cached_property
    def involved(self) -> list[Method]:
        """The run's methods, and those that have notes written for the gates of others and do nothing else."""
        return [*self.methods, *(self.config.build_providers() if self.methods else ())]

    @cached_property
    def learners(self) -> list[Method]:
        """The methods that use a teacher's rationales; few-shot does not where it has demonstrations to show."""

        def shown(method: Method) -> bool:
            return self.config.teacher_for(method).demonstrations is not None

        wanting = [m for m in self.involved if m.needs == "rationales"]
        return [m for m in wanting if m.trains or not m.asks_student or not shown(m)]

    @cached_property
    def trained(self) -> list[Method]:
        return [m for m in self.methods if m.trains]

    @cached_property
    def task(self) -> Task:
        return load_task(self.config.task, seed=self.config.seed)

    @cached_property
    def store(self) -> ResponseStore:
        return ResponseStore(self.config.store or self.directory.store)

    @property
    def demonstrations(self) -> tuple[Demonstration, ...]:
        return self.demonstrations_of(self.config.teacher)

    def demonstrations_of(self, teacher: TeacherSettings) -> tuple[Demonstration, ...]:
        """The worked examples a teacher is shown. Those that give held-out questions away are left out, and counted, as
        training questions that do are (`task.decontaminate`).

        Raises:
            DataError: the file cannot be used, or nothing is left of it.
        """
        path = teacher.demonstrations
        if path is None:
            return ()
        if path not in self.shown:
            self.shown[path] = self._read_shown(path)
        return self.shown[path]

    def _read_shown(self, path: Path) -> tuple[Demonstration, ...]:
        if not path.exists():
            raise no_file(path, "teacher.demonstrations")
        found = read_demonstrations(path)
        if not self.config.task.decontaminate:
            return found
        kept = not_held_out(found, self.task.evaluation)
        if not kept:
            raise DataError(
                f"All {len(found):,} demonstrations of {path} are held-out questions (`teacher.demonstrations`).",
                "Show others, or keep them with `task.decontaminate: false`.",
            )
        if lost := len(found) - len(kept):
            self.progress.note(
                f"            {lost:,} of {len(found):,} demonstrations {'is a' if lost == 1 else 'are'} held-out "
                f"question{'s' * (lost > 1)}, and left out"
            )
        return kept

    @property
    def needs_teacher(self) -> bool:
        return bool(self.learners) or not self.methods

    @property
    def key(self) -> str:
        """The content key of the run's configuration."""
        return identity_key(self.config, self.directory.path)

    @property
    def account(self) -> str:
        """What the teacher's replies are booked under, and so count against one budget."""
        return self.commons.account if self.commons else self.key

    def count_replies(self, completions: Mapping[str, Completion]) -> None:
        """Remember what replies of a teacher have cost, whoever bought them."""
        for key, reply in completions.items():
            self.replies[key] = (reply.cost_usd, reply.prompt_tokens + reply.completion_tokens)

    def alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """A block that no other cell of the grid is in at the same time."""
        return self.commons.alone(name) if self.commons else contextlib.nullcontext()

    def training_seed(self, method: Method) -> int:
        """The seed of what a method trains."""
        seed = self.config.training_for(method).seed
        return self.config.seed if seed is None else seed

    def student_directory(self, method: Method) -> Path:
        return self.directory.student(method.label, alone=len(self.trained) == 1)

    @cached_property
    def engine(self) -> Engine:
        """What answers for this run's students: PyTorch until another is named, or chosen for an evaluation."""
        return "ctranslate2" if self.config.student.engine == "ctranslate2" else "torch"

    def behind_gate(self, method: Method) -> str | Path | None:
        """What stands behind the gate of a method (see `gates.source_of`)."""
        labels = [maker.label for maker in self.involved if makes_notes(maker)]
        return source_of(method, labels, self.config.knowledge.path)

    def check(self) -> None:
        """What can be known to be wrong before anything is spent.

        Raises:
            ConfigError: keys do not fit together. PrerequisiteError: the engine is not installed.
            DataError: a corpus is not there.
        """
        from symdistill.runs.beforehand import check_beforehand
        from symdistill.runs.engines import check_engine
        from symdistill.runs.reading import check_reading
        from symdistill.runs.reinforcing import check_rewards
        from symdistill.runs.symbols import check_symbolic

        check_engine(self.config, self.methods)
        check_reading(self)
        check_rewards(self)
        check_symbolic(self)
        for method in self.involved:
            if isinstance(method, Nesycd):
                self._check_knowledge(method, "the student's mistakes")
            if isinstance(method, Skintern):
                self._check_scaffold(method)
        if self.config.evaluation.teacher and not self.config.teacher.model:
            raise ConfigError("`evaluation.teacher` is set, and no teacher is named.", "Set `teacher.model`.")
        if self.needs_teacher and not self.config.teacher.model:
            wanting = f"{self.learners[0].label} uses a teacher's rationales" if self.learners else "A teacher is asked"
            raise ConfigError(
                f"{wanting}, and no teacher is named.",
                "Set `teacher.model`, for example openai:gpt-4o-mini, or `dataset` for rationales the rows carry.",
            )
        check_beforehand(self)

    def _check_scaffold(self, method: Skintern) -> None:
        settings = method.settings
        if method.kinds:
            self._check_knowledge(method, "every question")
            if settings.compressor_model is not None and settings.compressor == "llmlingua2":
                check_llmlingua(settings.compressor_model)
        if settings.examples and settings.embedding_model is not None and not settings.embedding_model.is_dir():
            raise ConfigError(
                f"There is no directory {settings.embedding_model} (`embedding_model` of {method.label}).",
                "Name a sentence-transformers directory, or leave it out to compare words.",
            )

    def _check_knowledge(self, method: Nesycd | Skintern, about: str) -> None:
        path = self.config.knowledge.path
        if path is not None and not path.exists():
            raise ConfigError(
                f"There is no knowledge base at {path} (`knowledge.path`).",
                "Correct the path, or leave it out to have the run build its own.",
            )
        if path is None and self.config.analysis_for(method).model in (None, "dataset"):
            raise ConfigError(
                f"{method.label} asks a teacher about {about}, and `dataset` cannot answer.",
                f"Name one that can: `analysis: {{model: openai:gpt-4o-mini}}` in `{self.config.where_of(method)}`.",
            )


def not_held_out(shown: Sequence[Demonstration], held_out: Sequence[Example]) -> tuple[Demonstration, ...]:
    """The demonstrations that give no held-out question away, with or without its options and instruction."""
    drafts = [Example(str(at), one.question, task=one.task or "") for at, one in enumerate(shown)]
    asked = [
        Example(f"{example.id}/{form}", text, task=example.task, contrast_of=example.contrast_of or example.id)
        for example in held_out
        for form, text in enumerate(dict.fromkeys((example.question, question_text(example))))
    ]
    kept, _ = decontaminate(drafts, asked)
    return tuple(shown[int(example.id)] for example in kept)


def base_at(path: Path) -> Path:
    """The knowledge base of a path, which may be a run directory that holds one."""
    return path / "knowledge.sqlite" if path.is_dir() else path


@contextlib.contextmanager
def look_at(config: RunConfig, path: Path, progress: Progress | None = None) -> Iterator[Workspace]:
    """A run to look at, with nothing made or written.

    Raises:
        RunDirectoryError: the directory holds a run of another configuration.
    """
    made = Workspace(config, RunDirectory(path), progress or Silent())
    made.directory.check(config)
    try:
        yield made
    finally:
        if "store" in made.__dict__:
            made.store.close()


@contextlib.contextmanager
def workspace(
    config: RunConfig,
    path: Path,
    progress: Progress | None = None,
    *,
    needs_method: bool = True,
    commons: Commons | None = None,
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
        made = Workspace(config, directory, progress or Silent(), commons)
        try:
            yield made
        finally:
            if "store" in made.__dict__:
                made.store.close()
