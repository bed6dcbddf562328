"""symdistill from Python: run a configuration, open a finished run, ask its student."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from symdistill import content
from symdistill.errors import CallFailed, ConfigError, RunDirectoryError
from symdistill.evaluation.comparison import Comparison, compare
from symdistill.evaluation.evidence import read_run
from symdistill.evaluation.metrics import MetricRow, row_from_dict
from symdistill.evaluation.scoring import whole_text
from symdistill.knowledge.corpus import Passage
from symdistill.knowledge.items import KnowledgeItem
from symdistill.methods import Material, Method
from symdistill.methods.gate import gated
from symdistill.methods.kard import Kard
from symdistill.progress import Progress
from symdistill.records import AnswerType, Completion, Example, Request, Sampling
from symdistill.runs.config import RunConfig, load_config
from symdistill.runs.directory import RunDirectory, default_run_directory
from symdistill.runs.engines import chosen_engine
from symdistill.runs.gates import looks_up
from symdistill.runs.validation import nearest
from symdistill.sampling.loops import ask, outside_loops
from symdistill.students.settings import Engine
from symdistill.tasks import parse_answer

if TYPE_CHECKING:
    from symdistill.models.base import LocalModel
    from symdistill.runs.grid_pipeline import FinishedGrid


@dataclass(frozen=True)
class Answer:
    """A student's reply to one question: the whole text, and the answer parsed out of it.

    `confidence` (0 to 100) is what a gate measured before it decided, `knowledge` and `passages` what stood in the
    prompt.
    """

    text: str
    answer: str | None
    confidence: float | None = None
    knowledge: tuple[KnowledgeItem, ...] = ()
    passages: tuple[Passage, ...] = ()


class FinishedStudent:
    """A trained student, ready to be asked."""

    def __init__(
        self,
        path: Path,
        method: Method,
        config: RunConfig,
        engine: Engine = "torch",
        *,
        before: Callable[[], None] | None = None,
    ) -> None:
        """`before` is called before each question."""
        self.path = path
        self._before = before
        self._method = method
        self._config = config
        self._engine: Engine = engine

    @cached_property
    def model(self) -> LocalModel:
        """The student's weights, loaded on first use, by the engine that answered at evaluation."""
        from symdistill.students.answering import open_for_answering

        return open_for_answering(self._config.student, self.path, self._engine, trained=True)

    def answer(self, question: str, *, choices: Mapping[str, str] | None = None, answer_type: str = "text") -> Answer:
        """Answer one question, greedily, as at evaluation: with a gate and knowledge where the method has them.

        `answer_type` is choice, number, label or text; with `choices`, letters and their texts, it is choice. An item
        that was edited since the last question counts as it is now.

        Raises:
            ConfigError: the question is empty, there is no such type of answer, or a choice has no choices.
            ModelError: the student cannot be asked. DataError: its gate was not calibrated yet.
            RunDirectoryError, StoreError: the knowledge base cannot be read any more.
        """
        kind: Any = "choice" if choices else answer_type
        _check_question(question, kind, choices)
        if self._before:
            self._before()
        example = Example("question", question, answer_type=kind, choices=choices)
        limit = self._config.evaluation_for(self._method).max_new_tokens
        sampling = Sampling(max_tokens=limit, seed=self._config.seed)

        failed: list[CallFailed] = []

        def asking(requests: Sequence[Request]) -> dict[str, Completion]:
            found = {}
            for request, reply in zip(requests, ask(self.model, requests), strict=True):
                if isinstance(reply, CallFailed):
                    failed.append(reply)
                else:
                    found[request.key] = reply
            return found

        [reply] = self._method.answer(asking, self.model.name, [example], sampling)
        if not reply.completions:
            raise failed[-1]
        said = reply.completions[0]
        answer = parse_answer(said.text, kind, choices)
        return Answer(whole_text(said), answer, reply.confidence, tuple(reply.knowledge), tuple(reply.passages))


class FinishedRun:
    """A run directory with its evidence."""

    def __init__(self, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.config = self.directory.load_config()

    @property
    def report(self) -> Path:
        return self.directory.report

    @cached_property
    def metrics(self) -> Any:
        """What is in metrics.json: a list of rows, one a method; of a family (`direct`, …), a mapping.

        Raises:
            RunDirectoryError: the run is not finished.
        """
        return self.directory.read_json(self.directory.metrics)

    @property
    def metric_rows(self) -> list[MetricRow]:
        """The rows as records; a family has none."""
        if self.config.family is not None:
            return []
        return [row_from_dict(row, str(self.directory.metrics)) for row in self.metrics]

    @cached_property
    def comparison(self) -> Comparison | None:
        """The methods of this run on the same questions; None when there is only one, or none."""
        if self.config.family is not None:
            return None
        found = read_run(self.directory.path)
        if len(found) < 2:
            return None
        return compare(found, confidence=self.config.evaluation.confidence, seed=self.config.seed)

    def student(self, label: str | None = None) -> FinishedStudent:
        """A trained student, by its method's label where the run has several.

        Raises:
            ConfigError: no such method. RunDirectoryError: it has not been trained.
        """
        trained = [m for m in self.config.build_methods() if m.trains]
        chosen = [m for m in trained if label in (None, m.label)]
        if not chosen or (label is None and len(chosen) > 1):
            names = ", ".join(m.label for m in trained) or "none"
            raise ConfigError(f"The run has no single student `{label or ''}`.", f"Name one of: {names}.")
        path = self.directory.student(chosen[0].label, alone=len(trained) == 1)
        if not path.is_dir():
            raise RunDirectoryError(
                f"{chosen[0].label} has not been trained in {self.directory.path}.", "Run it first."
            )
        method, before = chosen[0], None
        if isinstance(method, Kard):
            from symdistill.runs.reading import finished_reading

            method.prepare(Material((), reading=finished_reading(self.directory, method)))
        if looks_up(method):
            material, before = self._material(method)
            method = gated(method, material)
        engine = chosen_engine(self.config, self.directory)
        return FinishedStudent(path, method, self.config, engine, before=before)

    def _material(self, method: Method) -> tuple[Material, Callable[[], None]]:
        """The knowledge of a method as it is now, with the threshold that was found for it; and what takes in the edits
        made since."""
        from symdistill.runs.bases import gate_base
        from symdistill.runs.knowing import LiveKnowledge
        from symdistill.runs.measuring import read_threshold
        from symdistill.runs.workspace import Workspace

        work = Workspace(self.config, self.directory)
        live = LiveKnowledge(work, gate_base(work, method))
        path = self.directory.calibration(method.label)
        threshold = read_threshold(path, self.directory.read_json(path)) if path.exists() else None
        return Material((), knowledge=replace(live.knowledge, threshold=threshold)), live.take_in_edits


def run(
    config: str | Path,
    overrides: Mapping[str, Any] | None = None,
    run_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> FinishedRun:
    """Run a configuration, or go on with it, and return the finished run.

    `overrides` maps dotted keys to values, as `key=value` on the command line does.

    Raises:
        ConfigError: `overrides` is no mapping. SymdistillError: whatever else stops the run.
    """
    from symdistill.runs.pipeline import run_all

    path = Path(config)
    settings = load_config(path, _as_words(overrides))
    directory = Path(run_dir) if run_dir else default_run_directory(path)
    return outside_loops(lambda: run_all(settings, directory, progress))


def compare_grid(
    config: str | Path,
    overrides: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    workers: int | None = None,
) -> FinishedGrid:
    """Run a grid, or go on with it, as `symdistill compare` does, and return its results and where they are written.

    Runs that failed are in the result (`failed`), and run again by the same call.

    Raises:
        SymdistillError: nothing was started, since something would have stopped a run; or the budget is used up.
    """
    from symdistill.runs.grid import load_grid
    from symdistill.runs.grid_crew import Unwatched
    from symdistill.runs.grid_pipeline import run_grid

    path = Path(config)
    grid = load_grid(path, _as_words(overrides), Path(output) if output else default_run_directory(path))
    return outside_loops(lambda: run_grid(grid, Unwatched(), workers=workers))


def _check_question(question: str, kind: str, choices: Mapping[str, str] | None) -> None:
    """Raises ConfigError where what is asked cannot be answered."""
    if not question.strip():
        raise ConfigError("The question is empty.", "Ask one.")
    if kind not in (known := get_args(AnswerType)):
        raise ConfigError(f"`{kind}` is no `answer_type`.", nearest(str(kind), known))
    if kind == "choice" and not choices:
        raise ConfigError(
            "A question of the `answer_type` choice needs its choices.",
            'Add choices={"A": "…", "B": "…"}, or take another type.',
        )


def _as_words(overrides: Mapping[str, Any] | None) -> list[str]:
    """Changes by dotted key as `key=value` on a command line. Raises ConfigError for anything but a mapping."""
    if not isinstance(overrides, Mapping | None):
        raise ConfigError(
            f"`overrides` is a {type(overrides).__name__}; it must map dotted keys to values.",
            'Write overrides={"training.max_steps": 10}.',
        )
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in (overrides or {}).items()}
    return [f"{key}={content.canonical_json(value)}" for key, value in plain.items()]


def open_run(path: str | Path) -> FinishedRun:
    """A run directory that `symdistill run` made. Raises RunDirectoryError."""
    return FinishedRun(Path(path))
