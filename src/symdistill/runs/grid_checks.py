"""What can be known to be wrong with a grid before anything is spent, and what it would buy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from symdistill.content import canonical_json, content_key
from symdistill.errors import ConfigError, RunDirectoryError, SymdistillError
from symdistill.models.base import LanguageModel
from symdistill.progress import Progress, Silent
from symdistill.prompts import Demonstration
from symdistill.records import Request
from symdistill.runs.commons import Commons
from symdistill.runs.directory import RunDirectory
from symdistill.runs.grid import Cell, Grid
from symdistill.runs.grid_crew import corrected
from symdistill.runs.grid_keys import in_own_keys
from symdistill.runs.grid_state import examples_key
from symdistill.runs.judging import held_out
from symdistill.runs.pipeline import preflight
from symdistill.runs.pricing import with_later
from symdistill.runs.quoting import Quote, quote, summed
from symdistill.runs.symbols import feature_requests, needs_features
from symdistill.runs.teaching import all_requests, open_teacher
from symdistill.runs.teaching import pools as pools_of
from symdistill.runs.workspace import Workspace
from symdistill.sampling.store import ResponseStore
from symdistill.tasks.loading import Task

Shown = dict[Path, tuple[Demonstration, ...]]


@dataclass(frozen=True)
class Checked:
    """A grid that can be started. `questions` is, for each cell's name, the content key of what it learns from and is
    asked; `tasks` holds the questions of each distinct task, by the configuration that names them, and `shown` the
    demonstrations that were read for it."""

    grid: Grid
    questions: Mapping[str, str]
    tasks: Mapping[str, Task]
    shown: Mapping[str, Shown]

    def workspace(self, cell: Cell, progress: Progress | None = None) -> Workspace:
        """The cell's workspace, unclaimed, with its questions read already."""
        work = unclaimed(self.grid, cell, progress)
        work.task, work.shown = self.tasks[_task_key(cell)], self.shown[_task_key(cell)]
        return work


def unclaimed(grid: Grid, cell: Cell, progress: Progress | None = None) -> Workspace:
    """The cell's workspace, to look at."""
    directory = RunDirectory(grid.place(cell))
    return Workspace(cell.config, directory, progress or Silent(), Commons(grid.directory, grid.account))


def check_grid(grid: Grid, progress: Progress | None = None) -> Checked:
    """Look at every cell as a run looks at itself before it starts; each distinct task is read once.

    Raises:
        ConfigError: two cells would be judged on other questions.
        RunDirectoryError: the grid's directory is that of a run, or a cell's directory holds a run of another
            configuration that has not failed.
        SymdistillError: what would stop a cell; the message names it.
    """
    if RunDirectory(grid.directory).config.exists():
        raise RunDirectoryError(f"{grid.directory} holds a run, and no grid.", "Choose another --output.")
    tasks: dict[str, Task] = {}
    shown: dict[str, Shown] = {}
    learned: dict[str, str] = {}
    questions: dict[str, str] = {}
    asked: dict[str, Cell] = {}
    for cell in grid.cells:
        key, new = _task_key(cell), _task_key(cell) not in tasks
        work = unclaimed(grid, cell, progress if new else None)
        try:
            if not new:
                work.task, work.shown = tasks[key], shown[key]
            corrected(cell, grid.place(cell))
            preflight(work, fetch=False)
            tasks[key], shown[key] = work.task, work.shown
            held = held_out(work)
            judged = content_key("q1", [[e.id, e.question, e.answer] for e in held])
        except RunDirectoryError as error:
            raise RunDirectoryError(
                in_own_keys(error, cell.keys).message,
                "Choose another --output, undo the change, or delete that directory.",
            ) from error
        except SymdistillError as error:
            in_own_keys(error, cell.keys)
            if len(grid.cells) > 1:
                error.message = f"{cell.title}: {error.message}"
            raise
        asked.setdefault(judged, cell)
        if len(asked) > 1:
            first, other = list(asked.values())[:2]
            raise ConfigError(
                f"`{first.title}` and `{other.title}` would be judged on different questions.",
                "Take out of `grid.vary` what changes the held-out questions.",
            )
        if key not in learned:
            learned[key] = examples_key(work.task.train)
        questions[cell.name] = content_key("q3", [examples_key(held), learned[key]])
    return Checked(grid, questions, tasks, shown)


def pools(checked: Checked) -> Iterator[tuple[Workspace, list[Cell]]]:
    """The distinct sets of replies that cells want from a teacher, each with the cells that want it; the largest
    number of samples first, so that what is a part of it is there already."""
    groups: dict[str, list[Cell]] = {}
    for cell in checked.grid.cells:
        work = checked.workspace(cell)
        if work.needs_teacher or cell.config.evaluation.teacher:
            config = cell.config
            told = [config.task, config.teacher, config.evaluation, *(own.teacher for own in pools_of(work))]
            key = canonical_json([section.model_dump(mode="json") for section in told] + [work.needs_teacher])
            groups.setdefault(key, []).append(cell)
    ordered = sorted(groups.values(), key=lambda cells: -_size(checked.workspace(cells[0])))
    for cells in ordered:
        yield checked.workspace(cells[0]), cells


def price_grid(checked: Checked) -> Quote | None:
    """What the whole grid would buy, replies that cells share counted once; None when no teacher is asked.

    Where cells have different teachers, the sums are over all of them.

    Raises as `quote`.
    """
    found: dict[str, tuple[Workspace, dict[str, Request]]] = {}
    guessed: set[str] = set()

    def wants(work: Workspace, model: LanguageModel, requests: Sequence[Request]) -> None:
        teacher = work.config.teacher
        key = canonical_json([model.name, teacher.base_url, teacher.model_dump(mode="json")["price"]])
        _, wanted = found.setdefault(key, (work, {}))
        wanted |= {request.key: request for request in requests}

    for work, _ in pools(checked):
        if work.config.teacher.model:
            model = open_teacher(work, to_ask=False)
            wants(work, model, all_requests(work, model.name))
    for work in filter(needs_features, map(checked.workspace, checked.grid.cells)):
        model = open_teacher(work, to_ask=False)
        certain, unsure = feature_requests(work, model)
        guessed |= {request.key for request in unsure}
        wants(work, model, [*certain, *unsure])
    if not found:
        return None
    store = ResponseStore(checked.grid.store) if checked.grid.store.exists() else None
    try:
        priced = [
            quote(
                list(wanted.values()),
                store,
                open_teacher(work, to_ask=False),
                work.config.teacher,
                account=work.account,
                guessed=guessed,
            )
            for work, wanted in found.values()
        ]
        return with_later(reduce(summed, priced), [checked.workspace(cell) for cell in checked.grid.cells], store)
    finally:
        if store:
            store.close()


def _size(work: Workspace) -> float:
    return max(own.teacher.samples or 1 for own in pools_of(work)) * work.config.task.fraction


def _task_key(cell: Cell) -> str:
    return canonical_json([cell.config.task.model_dump(mode="json"), cell.config.seed])
