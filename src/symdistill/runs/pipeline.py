"""The whole run, stage after stage. Each stage finds what it did before and goes on from there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.progress import Progress, Silent
from symdistill.runs.api import FinishedRun, open_run
from symdistill.runs.config import RunConfig
from symdistill.runs.directory import RunDirectory
from symdistill.runs.judging import evaluate_students, held_out
from symdistill.runs.knowing import ensure_knowledge, knowledge_methods, makers, price_analyses
from symdistill.runs.learning import train_students
from symdistill.runs.reporting import report_run
from symdistill.runs.teaching import curate_replies, edited_by_hand, pool, price_teacher, sample_teacher
from symdistill.runs.workspace import Workspace, workspace
from symdistill.sampling.estimate import Estimate


def run_all(config: RunConfig, path: Path, progress: Progress | None = None) -> FinishedRun:
    """Sample, curate, train, evaluate, report.

    Raises:
        SymdistillError: whatever stops a stage; what earlier stages did is kept, and the same call goes on.
    """
    with workspace(config, path, progress) as work:
        collect(work)
        train_students(work)
        evidence = evaluate_students(work)
        report_run(work, evidence, command=work.directory.command)
    return open_run(path)


def collect(work: Workspace) -> None:
    """The teacher's replies, bought and curated. Raises as `run_all`."""
    preflight(work, fetch=True)
    if work.needs_teacher or work.config.evaluation.teacher:
        sample_teacher(work)
    if work.needs_teacher and edited_by_hand(work):
        work.progress.note(
            " curation   rationales.jsonl was edited by hand and is kept; `symdistill curate` writes it anew"
        )
    elif work.needs_teacher:
        curate_replies(work)


def build_knowledge(work: Workspace) -> list[Path]:
    """The knowledge bases of a run, built up to date. Raises ConfigError where no method asks for one."""
    if not knowledge_methods(work):
        raise ConfigError("No method of this configuration learns from mistakes.", "Add `nesycd` to `methods`.")
    collect(work)
    rationales = pool(work)
    return [ensure_knowledge(work, method, rationales) for method in makers(work)]


def preflight(work: Workspace, *, fetch: bool) -> None:
    """Find what would stop the run later, before anything is bought or computed; with `fetch` the student is also
    downloaded or dequantised, so that this cannot fail later either.

    Raises:
        ConfigError, DataError, PrerequisiteError: as the stage would have raised.
    """
    work.check()
    task = work.task
    held_out(work)
    if not task.train:
        raise DataError("There is no question to train on.", "Check `task.path` and the rows' `split`.")
    if any(m.needs == "answers" for m in work.methods) and not any(e.answer is not None for e in task.train):
        wanting = next(m.label for m in work.methods if m.needs == "answers")
        raise DataError(
            f"{wanting} learns from answers, and no training question has one.",
            "Map the column in `task.columns`, or leave this method out.",
        )
    if work.methods:
        from symdistill.students.loading import check_student, locate_student

        (locate_student if fetch else check_student)(work.config.student)
    counts = Counter(e.task for e in task.train)
    names = ", ".join(sorted(counts)[:4]) + (" …" if len(counts) > 4 else "")
    removed = f"   ({len(task.removed):,} dropped: test questions found in train)" if task.removed else ""
    work.progress.note(f" task       {names}   {len(task.train):,} train · {len(task.evaluation):,} test{removed}")
    for note in task.notes:
        work.progress.note(f"            {note}")


def price(
    config: RunConfig, path: Path, progress: Progress | None = None, *, needs_method: bool = True
) -> Estimate | None:
    """What a run would buy, without asking anyone and without leaving a trace. None when no teacher is asked."""
    if needs_method:
        config.build_methods()
    work = Workspace(config, RunDirectory(path), progress or Silent())
    try:
        preflight(work, fetch=False)
        found = price_teacher(work)
        return replace(found, later=price_analyses(work)) if found else None
    finally:
        if "store" in work.__dict__:
            work.store.close()
