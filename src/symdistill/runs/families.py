"""Runs of another shape than task and methods: the section of a configuration that names one, and what is done then.

A family is a module of this layer with three functions on a `Workspace` (its configuration, directory, store and
progress; `work.config.NAME` is its section). Each stage in it finds what it did before, as those of any run do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from symdistill.progress import Progress, Silent
from symdistill.runs.config import RunConfig
from symdistill.runs.direct import check_direct, price_direct, run_direct
from symdistill.runs.directory import RunDirectory
from symdistill.runs.multilevel import check_multilevel, price_multilevel, run_multilevel
from symdistill.runs.workspace import Workspace, workspace
from symdistill.sampling.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Family:
    """`check` raises what would stop the run later, writes nothing, asks nobody, and says in a line what is there.

    `run` does all of it, writes metrics.json and report.html, and returns what the terminal shows of them. `price` is
    what it may buy at most; None where no teacher is asked.
    """

    check: Callable[[Workspace], str]
    run: Callable[[Workspace], str]
    price: Callable[[Workspace], Estimate | None]


FAMILIES: Mapping[str, Family] = {
    "direct": Family(check_direct, run_direct, price_direct),
    "multilevel": Family(check_multilevel, run_multilevel, price_multilevel),
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


def price_family(config: RunConfig, path: Path, progress: Progress | None = None) -> Estimate | None:
    """What a run would buy, without asking anyone and without leaving a trace. None when no teacher is asked."""
    work = Workspace(config, RunDirectory(path), progress or Silent())
    try:
        check_family(work)
        return FAMILIES[str(config.family)].price(work)
    finally:
        if "store" in work.__dict__:
            work.store.close()
