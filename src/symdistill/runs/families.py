"""Runs of another shape than task and methods: the section of a configuration that names one, and what is done then.

A family is a module of this layer with three functions on a `Workspace` (its configuration, directory, store and
progress; `work.config.NAME` is its section). Each stage in it finds what it did before, as those of any run do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from symdistill.models.settings import TeacherSettings
from symdistill.progress import Progress
from symdistill.runs.config import RunConfig
from symdistill.runs.direct import check_direct, price_direct, run_direct
from symdistill.runs.multilevel import check_multilevel, price_multilevel, run_multilevel, teachers_of_rounds
from symdistill.runs.quoting import Quote
from symdistill.runs.workspace import Workspace, look_at, workspace


@dataclass(frozen=True, slots=True)
class Family:
    """`check` raises what would stop the run later, writes nothing, asks nobody, and says in a line what is there.

    `run` does all of it, writes metrics.json and report.html, and returns what the terminal shows of them. `price` is
    what it may buy at most; None where no teacher is asked. `teachers` are those it may ask, by the section that their
    keys stand in.
    """

    check: Callable[[Workspace], str]
    run: Callable[[Workspace], str]
    price: Callable[[Workspace], Quote | None]
    teachers: Callable[[Workspace], dict[str, TeacherSettings]]


FAMILIES: Mapping[str, Family] = {
    "direct": Family(check_direct, run_direct, price_direct, lambda work: {"teacher": work.config.teacher}),
    "multilevel": Family(check_multilevel, run_multilevel, price_multilevel, teachers_of_rounds),
}
"""By the name of their section, as in `config.FAMILIES`."""


def run_family(config: RunConfig, path: Path, progress: Progress | None = None) -> str:
    """Run the family of a configuration in the directory `path`, or go on there; what the terminal shows of it.

    Raises:
        SymdistillError: whatever stops a stage; what earlier stages did is kept, and the same call goes on.
    """
    with workspace(config, path, progress, needs_method=False) as work:
        work.progress.note(f" {config.family:<10} {check_family(work)}")
        return FAMILIES[str(config.family)].run(work)


def check_family(work: Workspace) -> str:
    """What is there for the family of a configuration, in a line. Raises what would stop the run later."""
    return FAMILIES[str(work.config.family)].check(work)


def teachers_of_family(work: Workspace) -> dict[str, TeacherSettings]:
    """The models that a run of a family may ask, by the section that their keys stand in."""
    return FAMILIES[str(work.config.family)].teachers(work)


def price_family(config: RunConfig, path: Path, progress: Progress | None = None) -> Quote | None:
    """What a run would buy, without asking anyone and without leaving a trace. None when no teacher is asked.

    Raises:
        SymdistillError: what would stop the run before it asks anybody.
    """
    with look_at(config, path, progress) as work:
        check_family(work)
        return FAMILIES[str(config.family)].price(work)
