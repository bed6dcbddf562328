"""Notes that a teacher writes: what asks for the same ones, how they are asked for, and how a base of them is kept in
order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from symdistill.errors import DataError
from symdistill.knowledge.base import Change, KnowledgeBase
from symdistill.knowledge.building import BuildReport
from symdistill.knowledge.dense import Embed, sentence_embedder
from symdistill.knowledge.instances import from_held_out
from symdistill.knowledge.refinement import refine
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.skintern import Skintern
from symdistill.models.base import LanguageModel
from symdistill.models.settings import TeacherSettings
from symdistill.records import Request, Sampling
from symdistill.runs.directory import write_json
from symdistill.runs.teaching import teacher_sampler
from symdistill.runs.workspace import Workspace
from symdistill.sampling.sampler import Sampled

M = TypeVar("M", Nesycd, Skintern)

BUILT_BY = "knowledge build"
_NAMED = 5
_ASKED = ("model", "temperature", "max_tokens", "top_p", "top_k", "stop")


def asked_as(work: Workspace, method: Nesycd | Skintern) -> dict[str, Any]:
    """What of the teacher decides which notes a method asks for: how its replies are drawn, and how the notes are."""
    teacher = work.config.analysis_for(method)
    return {
        "replies": work.config.teacher_for(method).model_dump(mode="json"),
        "teacher": {name: getattr(teacher, name) for name in _ASKED},
    }


def first_alike(method: M, among: Sequence[M], recipe: Callable[[M], Any]) -> M:
    """The first of the methods with the recipe of this one, which is one of them."""
    wanted = recipe(method)
    return next(other for other in among if recipe(other) == wanted)


def analysis_sampling(work: Workspace, method: Nesycd | Skintern) -> Sampling:
    """How the teacher's notes are drawn."""
    settings = work.config.analysis_for(method)
    return Sampling(
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        top_p=settings.top_p,
        top_k=settings.top_k,
        seed=work.config.seed,
        stop=settings.stop,
    )


def ask_for_notes(
    work: Workspace, model: LanguageModel, settings: TeacherSettings, requests: Sequence[Request]
) -> Sampled:
    """The teacher's notes, bought where nobody has them. Raises as `Sampler.sample`."""
    if not requests:
        return Sampled({}, {}, 0, 0, 0, 0.0, 0)
    with teacher_sampler(work, model, settings) as sampler:
        return sampler.sample(requests, stage="knowledge")


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """What the notes of a base took: replies of the teacher, whoever bought them, with their tokens and dollars.

    `refined` is the revision of the base up to which it was put in order.
    """

    replies: int
    tokens: int
    cost_usd: float
    refined: int


def taken_by(sampled: Sampled, refined: int) -> Taken:
    """What these replies took."""
    replies = sampled.completions.values()
    tokens = sum(reply.prompt_tokens + reply.completion_tokens for reply in replies)
    return Taken(len(replies), tokens, sum(reply.cost_usd for reply in replies), refined)


def put_in_order(work: Workspace, base: KnowledgeBase, *, new: bool) -> int:
    """Refine a base that has `new` items, or has changed since it was refined last.

    Returns the revision up to which it is in order. Whoever edits it at the same moment is waited for: nothing is
    written over, and the base is looked at again.
    """
    told = base.path.with_suffix(".json")
    known = work.directory.read_json(told) if told.exists() else {}
    new = _retire_held_out(work, base) or new
    if not new and isinstance(known, dict) and known.get("refined") == base.revision:
        return base.revision
    embed = embedder(work)
    questions = {e.id: e for e in work.task.train}
    while True:
        before = base.revision
        changes = refine(base.items(status=None), questions, embed=embed)
        try:
            base.apply(changes, by="refinement")
        except DataError:
            if base.revision == before:
                raise
        else:
            # Each change is a row of its own: what somebody else wrote in between is looked at the next time.
            return min(base.revision, before + len(changes))


def _retire_held_out(work: Workspace, base: KnowledgeBase) -> bool:
    """Take items out of use that came from nothing but questions which are held out by now: the file of questions has
    changed since. Whether there are any."""
    while gone := from_held_out(base.items(status=None), work.task.evaluation, work.task.train):
        before, why = base.revision, "the question it came from is held out"
        try:
            base.apply([Change(i.id, i.version, {"status": "retired"}, why) for i in gone], by="refinement")
        except DataError:
            if base.revision == before:
                raise
        else:
            work.progress.note(f" knowledge  {len(gone):,} items came from questions that are held out now: retired")
            return True
    return False


def embedder(work: Workspace) -> Embed | None:
    """The encoder of `knowledge.retrieval.embedding_model`, for duplicates in other words; None where none is named.

    Raises:
        ConfigError, PrerequisiteError: as `sentence_embedder`.
    """
    directory = work.config.knowledge.retrieval.embedding_model
    if directory is None:
        return None
    return sentence_embedder(directory)


def say_what_came(work: Workspace, base: KnowledgeBase, report: BuildReport, nothing: str) -> None:
    """The items of a base by their status, and what became of everything that the teacher was asked about."""
    outcomes = " · ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in report.counts.items())
    stats = base.stats()
    statuses = ", ".join(f"{count:,} {name}" for name, count in stats.statuses.items()) or "none"
    work.progress.note(f"            {stats.items:,} items ({statuses})   {outcomes or nothing}")


def write_build_report(
    path: Path, method: Nesycd | Skintern, told: dict[str, Any], report: BuildReport, taken: Taken
) -> None:
    """What became of everything the teacher was asked about, beside the base: knowledge.json. `told` counts what led to
    it."""
    write_json(
        path.with_suffix(".json"),
        {
            "method": method.label,
            "base": path.name,
            **told,
            "analysed": len(report.built) - len(report.without_items),
            "outcomes": report.counts,
            **dataclasses.asdict(taken),
            "built": [dataclasses.asdict(entry) for entry in report.built],
        },
    )


def named(ids: Sequence[str]) -> str:
    """The first few of some ids, and how many more there are."""
    return ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else "")
