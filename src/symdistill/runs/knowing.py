"""The third stage of a method with knowledge: a first student's mistakes, and the items a teacher makes of them.

Methods of a run that ask for the same knowledge share one base, and the first student with everyone who is trained
alike. Every reply, the student's and the teacher's, is in the store: whenever the process ends, the same command finds
what was done and buys nothing twice. Items enter the base in one transaction; those that are there, and what people
made of them, stay. Refinement goes over the base whenever it has changed since; how far it came stands in
knowledge.json.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symdistill.content import canonical_json
from symdistill.errors import RunDirectoryError
from symdistill.evaluation.scoring import predict
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.building import (
    REPLY_WORDS,
    BuildReport,
    ErrorCase,
    analysis_requests,
    error_cases,
    items_from,
)
from symdistill.knowledge.retrieval import Retriever
from symdistill.methods import Method
from symdistill.methods.base import Knowledge
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.rl import Rl
from symdistill.methods.std_cot import StdCot, StdCotSettings
from symdistill.models.registry import load_teacher
from symdistill.models.settings import TeacherSettings
from symdistill.records import Example, Rationale, Request, Sampling
from symdistill.runs.noting import (
    BUILT_BY,
    Taken,
    analysis_sampling,
    ask_for_notes,
    asked_as,
    first_alike,
    named,
    put_in_order,
    say_what_came,
    taken_by,
    write_build_report,
)
from symdistill.runs.teaching import kept_for
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler
from symdistill.students.settings import StudentSettings
from symdistill.tasks.splitting import draw, with_twins


def knowledge_methods(work: Workspace) -> list[Nesycd]:
    """The methods of the run that learn from a student's mistakes, or have notes written about them for others."""
    return [m for m in work.involved if isinstance(m, Nesycd)]


def dev_questions(work: Workspace, method: Method) -> list[Example]:
    """The labelled training questions kept apart for calibration or audit, of each task the same share; none for a
    method that has neither."""
    share = dev_share(method)
    if share is None:
        return []
    labelled = [e for e in work.task.train if e.answer is not None]
    count = max(1, round(share * len(labelled)))
    return draw(labelled, count, work.config.seed, "dev")[0] if count < len(labelled) else []


def dev_share(method: Method) -> float | None:
    """The share of the labelled training questions that is kept apart for a method's gate or audit."""
    if isinstance(method, Rl):
        return method.settings.dev_fraction
    return method.gating.dev_fraction if method.gating else None


def learned_from(work: Workspace, method: Method) -> list[Example]:
    """The training questions a method learns from: all but its dev questions."""
    apart = with_twins(work.task.train, dev_questions(work, method))
    return [e for e in work.task.train if e.id not in apart]


def general_method(method: Nesycd) -> StdCot:
    """The method of the first student: std-cot, with nothing changed that the configuration does not change."""
    own = method.settings
    settings = StdCotSettings(
        name="std-cot",
        label=f"{method.label}-general",
        teacher=own.teacher,
        training=own.general,
        curation=own.curation,
        samples=own.samples,
    )
    return StdCot(settings, student_instruction=method.student_instruction)


def train_general(work: Workspace, method: Nesycd, rationales: Sequence[Rationale]) -> Path:
    """The first student, trained or found. Where S_E starts from it, it has not seen the dev questions either."""
    from symdistill.runs.learning import build_examples, material_for, train_student

    general = general_method(method)
    material = material_for(work, general, rationales)
    if method.settings.init_from == "general":
        known = {e.id for e in learned_from(work, method)}
        material = dataclasses.replace(
            material,
            examples=[e for e in material.examples if e.id in known],
            rationales=[r for r in material.rationales if r.example_id in known],
        )
    examples = build_examples(general, material)
    return train_student(work, general, material, examples, target=work.directory.general(method.label))


def general_student(work: Workspace, method: Nesycd) -> StudentSettings:
    """The first student as one that is trained further."""
    place = work.directory.general(maker_of(work, method).label)
    return work.config.student.model_copy(update={"model": str(place)})


def recipe(work: Workspace, method: Nesycd) -> dict[str, Any]:
    """What decides which knowledge a method asks for; methods with one recipe share a base."""
    settings = method.settings
    return {
        "training": work.config.training_for(general_method(method)).model_dump(mode="json"),
        "curation": work.config.curation_for(general_method(method)).model_dump(mode="json"),
        "general": {"samples": settings.samples, "dev_left_out": settings.init_from == "general"},
        **asked_as(work, method),
        "mistake_tokens": settings.mistake_tokens,
        "show_gold": settings.show_gold,
        "dev_fraction": settings.dev_fraction,
    }


def base_path(work: Workspace, method: Nesycd) -> Path:
    """The knowledge base of a method: the one that is given, the run's, or, where methods of one run ask for different
    knowledge, one named after the first that asks for it."""
    if work.config.knowledge.path is not None:
        return work.config.knowledge.path
    found = work.directory.knowledge
    maker = maker_of(work, method)
    return found if maker is makers(work)[0] else found.with_name(f"knowledge-{maker.label}.sqlite")


def maker_of(work: Workspace, method: Nesycd) -> Nesycd:
    """The first method of the run with the same recipe; it makes the knowledge for all of them."""
    return first_alike(method, knowledge_methods(work), lambda one: recipe(work, one))


def makers(work: Workspace) -> list[Nesycd]:
    """The methods that make knowledge, for themselves and for others of the run."""
    return [method for method in knowledge_methods(work) if maker_of(work, method) is method]


def ensure_knowledge(work: Workspace, method: Nesycd, rationales: Sequence[Rationale]) -> Path:
    """The knowledge base of one of the `makers`, built as far as it is not; returns its path.

    Raises:
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
        TrainingError, DataError: the first student cannot be trained.
    """
    given = work.config.knowledge.path is not None
    if not given or method.settings.init_from == "general":
        train_general(work, method, rationales)
    path = base_path(work, method)
    if given:
        with open_base(work, path):
            return path
    errors, silent = find_errors(work, method)
    with KnowledgeBase(path, report=work.progress.note) as base:
        report, taken = analyse(work, method, errors, base)
    told = {
        "asked": sum(e.answer is not None for e in learned_from(work, method)),
        "not_answered": silent,
        "errors": len(errors),
    }
    write_build_report(path, method, told, report, taken)
    if said := without_mistakes(work, method):
        work.progress.note(f"            {said}")
    return path


def without_mistakes(work: Workspace, method: Nesycd) -> str:
    """What to say of a method whose first student made no mistake and whose base is empty for that; "" of others."""
    path = base_path(work, method)
    right = answered_rightly(work, path)
    if right is None:
        return ""
    with open_base(work, path) as base:
        if base.items():
            return ""
    return (
        f"The first student of {method.label} got all {right:,} questions it was asked right. Without a mistake "
        "there are no notes: whoever was to learn from them learns what std-cot learns, and finds nothing to look up. "
        "More or harder training questions bring mistakes."
    )


def answered_rightly(work: Workspace, path: Path) -> int | None:
    """The questions that the first student behind a base of this run was asked, where it got every one right; None
    where it did not, or the base is from elsewhere."""
    report = path.with_suffix(".json")
    if work.config.knowledge.path is not None or not report.exists():
        return None
    told = work.directory.read_json(report)
    replies = told["asked"] - len(told["not_answered"])
    return replies if replies and not told["errors"] else None


def find_errors(work: Workspace, method: Nesycd) -> tuple[list[ErrorCase], list[str]]:
    """Step 2: the first student answers what it learned from, greedily; its mistakes, and the ids of the questions it
    could not be asked (too long for it)."""
    from symdistill.runs.judging import load_trained

    place = work.directory.general(method.label)
    model = load_trained(work, place)
    asked = [e for e in learned_from(work, method) if e.answer is not None]
    sampling = Sampling(max_tokens=method.settings.mistake_tokens, seed=work.config.seed)
    general = general_method(method)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:
        stage = f"mistakes {method.label}"
        rows = general.predict(lambda r: sampler.sample(r, stage=stage).completions, model.name, asked, sampling)
    predictions = [predict(e, row, general.label) for e, row in zip(asked, rows, strict=True)]
    silent = [example.id for example, row in zip(asked, rows, strict=True) if not row]
    if silent:
        work.progress.note(
            f" knowledge  {len(silent):,} of {len(asked):,} questions brought no reply of the first student and are "
            f"left out: {named(silent)}"
        )
    return error_cases(asked, predictions), silent


def analyse(
    work: Workspace, method: Nesycd, errors: Sequence[ErrorCase], base: KnowledgeBase
) -> tuple[BuildReport, Taken]:
    """Step 3: the teacher is asked about what it was not asked yet; its notes become items, and are put in order."""
    settings = work.config.analysis_for(method)
    show_gold = method.settings.show_gold
    model = load_teacher(settings, work.task.train)
    requests = analysis_requests(errors, model.name, analysis_sampling(work, method), show_gold=show_gold)
    asking = f" · asking {model.name}" if errors else ""
    work.progress.note(f" knowledge  {len(errors):,} mistakes{asking}")
    sampled = ask_for_notes(work, model, settings, requests)
    items, report = items_from(
        errors, requests, sampled.completions, sampled.failures, show_gold=show_gold, run=work.key
    )
    added = base.add(items, by=BUILT_BY, note=f"from {len(errors):,} mistakes of {method.label}")
    refined = put_in_order(work, base, new=bool(added))
    say_what_came(work, base, report, "no mistakes")
    return report, taken_by(sampled, refined)


def open_base(work: Workspace, path: Path) -> KnowledgeBase:
    """A base that has to be there. Raises RunDirectoryError or StoreError."""
    if not path.exists():
        raise RunDirectoryError(
            f"There is no knowledge base at {path}.", "Run `symdistill knowledge build` (or `run`) first."
        )
    return KnowledgeBase(path, create=False, report=work.progress.note)


def read_knowledge(work: Workspace, path: Path) -> Knowledge:
    """The active items of a base, and how they are found."""
    return LiveKnowledge(work, path).knowledge


def knowledge_for(work: Workspace, method: Nesycd) -> Knowledge:
    """What a method learns with."""
    path = base_path(work, method)
    no_mistakes = answered_rightly(work, path) is not None
    return dataclasses.replace(read_knowledge(work, path), no_mistakes=no_mistakes)


class LiveKnowledge:
    """The active items of a base, and how they are found; `knowledge.retriever` can follow what people change."""

    def __init__(self, work: Workspace, path: Path) -> None:
        self._work = work
        self._path = path
        with open_base(work, path) as base:
            self._revision = base.revision
            items = base.items()
        self.knowledge = Knowledge(tuple(items), Retriever(items, work.config.knowledge.retrieval))

    def take_in_edits(self) -> None:
        """Find items as they are now; costs work for those that have changed."""
        with open_base(self._work, self._path) as base:
            now = base.revision
            if now != self._revision:
                self.knowledge.retriever.update(base.changed_since(self._revision))
                self._revision = now


@dataclasses.dataclass(frozen=True, slots=True)
class Asking:
    """What a teacher may be asked at most about replies that nobody has yet. Runs with the same `about` would ask about
    the same replies, so that what both ask is bought once."""

    settings: TeacherSettings
    requests: Sequence[Request]
    about: str


def analyses_ahead(work: Workspace) -> list[Asking]:
    """The questions about mistakes for each base that is to be built, if every answer is wrong, and as long as is shown
    of one."""
    if work.config.knowledge.path is not None:
        return []
    found = []
    for method in makers(work):
        if base_path(work, method).with_suffix(".json").exists():
            continue
        settings = work.config.analysis_for(method)
        model = load_teacher(settings, work.task.train, to_ask=False)
        longest = " ".join(["multiplying"] * REPLY_WORDS)
        cases = [ErrorCase(e, longest, None) for e in learned_from(work, method) if e.answer is not None]
        sampling = analysis_sampling(work, method)
        requests = analysis_requests(cases, model.name, sampling, show_gold=method.settings.show_gold)
        first = [recipe(work, method), work.training_seed(general_method(method))]
        first += [section.model_dump(mode="json") for section in (work.config.student, work.config.task)]
        found.append(Asking(settings, requests, canonical_json(first)))
    return found


def keep_rationales(work: Workspace, method: Method, rationales: Sequence[Rationale]) -> list[Rationale]:
    """The rationales a method learns from: none of a dev question."""
    known = {e.id for e in learned_from(work, method)}
    return [r for r in kept_for(work, method, rationales) if r.example_id in known]
