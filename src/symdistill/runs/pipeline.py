"""The whole run, stage after stage. Each stage finds what it did before and goes on from there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.progress import Progress
from symdistill.runs.api import FinishedRun, open_run
from symdistill.runs.bases import check_gates
from symdistill.runs.beforehand import check_lengths
from symdistill.runs.commons import Commons
from symdistill.runs.config import RunConfig
from symdistill.runs.engines import prepare_engine
from symdistill.runs.families import run_family
from symdistill.runs.internalising import ensure_notes, note_makers, note_takers
from symdistill.runs.judging import evaluate_students, held_out
from symdistill.runs.knowing import ensure_knowledge, knowledge_methods, makers
from symdistill.runs.learning import train_students
from symdistill.runs.pricing import with_later
from symdistill.runs.quoting import Quote, summed
from symdistill.runs.reading import prepare_reading
from symdistill.runs.reinforcing import check_audits
from symdistill.runs.reporting import report_run
from symdistill.runs.symbols import check_symbolic_task, ensure_features, price_features
from symdistill.runs.teaching import curate_pool, edited_by_hand, pool, pools, price_teacher, sample_teacher
from symdistill.runs.workspace import Workspace, look_at, workspace


def run_all(
    config: RunConfig, path: Path, progress: Progress | None = None, *, commons: Commons | None = None
) -> FinishedRun:
    """Sample, curate, train, evaluate, report; as a cell of a grid with what its cells share. A family has stages of
    its own.

    Raises:
        SymdistillError: whatever stops a stage; what earlier stages did is kept, and the same call goes on.
    """
    if config.family is not None:
        run_family(config, path, progress)
        return open_run(path)
    with workspace(config, path, progress, commons=commons) as work:
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
    for own in pools(work) if work.needs_teacher else ():
        if edited_by_hand(work, own):
            work.progress.note(
                f" curation   {own.rationales.name} was edited by hand and is kept; `symdistill curate` writes it anew"
            )
        else:
            curate_pool(work, own)
    ensure_features(work)


def build_knowledge(work: Workspace) -> list[Path]:
    """The knowledge bases of a run, built up to date. Raises ConfigError where no method asks for one."""
    if not knowledge_methods(work) and not note_takers(work):
        raise ConfigError(
            "No method of this configuration has knowledge made.", "Add `nesycd` or `skintern` to `methods`."
        )
    collect(work)
    rationales = pool(work)
    noted = [ensure_notes(work, method, rationales) for method in note_makers(work)]
    return noted + [ensure_knowledge(work, method, rationales) for method in makers(work)]


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
    wanting = [m.label for m in work.methods if m.needs == "answers" or m.learns_answers]
    if wanting and not any(e.answer is not None for e in task.train):
        raise DataError(
            f"{wanting[0]} learns from answers, and no training question has one.",
            "Map the column in `task.columns`, or leave this method out.",
        )
    check_audits(work)
    check_gates(work)
    check_symbolic_task(work)
    if work.config.teacher.model == "dataset" and work.needs_teacher and not any(e.rationales for e in task.train):
        wanting = [m.label for m in work.learners]
        raise DataError(
            f"{wanting[0] if wanting else 'Sampling'} needs rationales, and no training question brings one.",
            "Name a teacher in `teacher.model`, or map their column: `task.columns: {rationales: …}`.",
        )
    if any(m.asks_student for m in work.methods):
        from symdistill.students.loading import check_student, locate_student

        (locate_student if fetch else check_student)(work.config.student)
        if fetch:
            prepare_engine(work)
        check_lengths(work)
        prepare_reading(work, write=fetch)
    counts = Counter(e.task for e in task.train)
    names = ", ".join(sorted(counts)[:4]) + (" …" if len(counts) > 4 else "")
    removed = f"   ({len(task.removed):,} dropped: test questions found in train)" if task.removed else ""
    work.progress.note(f" task       {names}   {len(task.train):,} train · {len(task.evaluation):,} test{removed}")
    for note in task.notes:
        work.progress.note(f"            {note}")
    for method in work.involved:
        work.demonstrations_of(work.config.teacher_for(method))  # says which of them are held-out questions


def price(
    config: RunConfig, path: Path, progress: Progress | None = None, *, needs_method: bool = True
) -> Quote | None:
    """What a run would buy, without asking anyone and without leaving a trace. None when no teacher is asked.

    Raises:
        SymdistillError: what would stop the run before it asks anybody.
    """
    if needs_method:
        config.build_methods()
    with look_at(config, path, progress) as work:
        preflight(work, fetch=False)
        found, features = price_teacher(work), price_features(work)
        if found and features:
            found = summed(found, features)
        there = (config.store or work.directory.store).exists()
        return with_later(found, [work], work.store if there else None) if found else None
