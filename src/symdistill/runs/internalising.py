"""What a method that internalises knowledge has before its questions at first: notes, neighbours, a compressor.

The teacher writes its notes about every training question with a kept rationale (SKIntern, section 3.1); no student
answers first. Methods of a run that ask for the same notes share one base, which is not that of a method that learns
from mistakes. Every reply is in the store, so whenever the process ends nothing is bought twice; and what the student
makes of each note is written down (compression.jsonl) and not computed again.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from symdistill.content import canonical_json, content_key
from symdistill.curation.files import read_rationales
from symdistill.curation.neighbours import neighbours
from symdistill.curation.selection import SEEDED
from symdistill.errors import DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.compression import Compress, Unit, compressed, measured
from symdistill.knowledge.dense import sentence_embedder
from symdistill.knowledge.instances import SolvedCase, items_from_notes, notes_requests, own_items, solved_cases
from symdistill.knowledge.items import KnowledgeItem
from symdistill.methods import Method
from symdistill.methods.base import Material, Scaffold
from symdistill.methods.skintern import Skintern, schedule_shares
from symdistill.models.registry import load_teacher
from symdistill.prompts import question_text
from symdistill.records import Example, Rationale
from symdistill.runs.knowing import Asking, knowledge_methods, open_base
from symdistill.runs.noting import (
    BUILT_BY,
    analysis_sampling,
    ask_for_notes,
    asked_as,
    first_alike,
    put_in_order,
    say_what_came,
    taken_by,
    write_build_report,
)
from symdistill.runs.remembering import remembered
from symdistill.runs.teaching import kept_for, pool_of
from symdistill.runs.workspace import Workspace

_TEXTS_AT_A_TIME = 128


def note_takers(work: Workspace) -> list[Skintern]:
    """The methods of the run that train with notes about every question, or have them written for others."""
    return [m for m in work.involved if isinstance(m, Skintern) and m.kinds]


def note_makers(work: Workspace) -> list[Skintern]:
    """Those that have notes made, for themselves and for others of the run."""
    return [method for method in note_takers(work) if maker_of(work, method) is method]


def maker_of(work: Workspace, method: Skintern) -> Skintern:
    """The first method of the run that asks for the same notes; it has them made for all of them."""
    return first_alike(method, note_takers(work), lambda one: recipe(work, one))


def recipe(work: Workspace, method: Skintern) -> dict[str, Any]:
    """What decides which notes a method asks for. Which of them it uses does not: one reply brings both."""
    return {"curation": work.config.curation_for(method).model_dump(mode="json"), **asked_as(work, method)}


def notes_path(work: Workspace, method: Skintern) -> Path:
    """The base of a method's notes: the one that is given, the run's own, or, where that is taken, one of its name."""
    if work.config.knowledge.path is not None:
        return work.config.knowledge.path
    maker, found = maker_of(work, method), work.directory.knowledge
    first = not knowledge_methods(work) and maker is note_makers(work)[0]
    return found if first else found.with_name(f"knowledge-{maker.label}.sqlite")


def ensure_notes(work: Workspace, method: Skintern, rationales: Sequence[Rationale]) -> Path:
    """The base of one of the `note_makers`, built as far as it is not; returns its path.

    Raises:
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
    """
    path = notes_path(work, method)
    if work.config.knowledge.path is not None:
        with open_base(work, path):
            return path
    cases = solved_cases(work.task.train, kept_for(work, method, rationales))
    settings = work.config.analysis_for(method)
    model = load_teacher(settings, work.task.train)
    requests = notes_requests(cases, model.name, analysis_sampling(work, method))
    work.progress.note(f" knowledge  {len(cases):,} questions with a solution · asking {model.name}")
    sampled = ask_for_notes(work, model, settings, requests)
    items, report = items_from_notes(cases, requests, sampled.completions, sampled.failures, run=work.key)
    with KnowledgeBase(path, report=work.progress.note) as base:
        added = base.add(items, by=BUILT_BY, note=f"from {len(cases):,} solved questions for {method.label}")
        taken = taken_by(sampled, put_in_order(work, base, new=bool(added)))
        say_what_came(work, base, report, "no questions")
    write_build_report(path, method, {"asked": len(cases)}, report, taken)
    return path


def with_scaffold(work: Workspace, method: Method, material: Material, apart: Iterable[str] = ()) -> Material:
    """The material of a method with what it takes away step by step; any other method's as it is.

    Questions set `apart` are shown to no other question. Raises DataError where no question has notes.
    """
    if not isinstance(method, Skintern):
        return material
    solved = {r.example_id for r in material.rationales}
    questions = [e for e in material.examples if e.id in solved]
    notes = own_notes(work, method, questions) if method.kinds and questions else {}
    texts = [item.text.strip() for own in notes.values() for item in own]
    scaffold = Scaffold(
        notes=notes,
        neighbours=near_questions(method, [e for e in questions if e.id not in set(apart)], questions),
        compress=compressor(work, method, texts),
    )
    return dataclasses.replace(material, scaffold=scaffold)


def own_notes(work: Workspace, method: Skintern, questions: Sequence[Example]) -> dict[str, list[KnowledgeItem]]:
    """The active notes of each question, by its id. A question without any is trained without, and that is said."""
    retrieval = work.config.knowledge.retrieval
    path = notes_path(work, method)
    with open_base(work, path) as base:
        found = own_items(base.items(), questions, method.kinds, leaking=not retrieval.exclude_leaking)
    if not found:
        raise DataError(
            f"{method.label} has no notes to train with: no active item in {path} came from a training question.",
            "Look at `symdistill knowledge list`; items are matched by the text of the question they came from.",
        )
    if missing := len(questions) - len(found):
        work.progress.note(
            f"            {method.label}: {missing:,} of {len(questions):,} questions train without notes "
            "(none was read, or it leaks the answer or waits for review)"
        )
    return found


def near_questions(method: Skintern, shown: Sequence[Example], asked: Sequence[Example]) -> dict[str, list[str]]:
    """For each question of `asked` the ids of the most similar ones of `shown`, most similar first."""
    count, directory = method.settings.examples, method.settings.embedding_model
    if not count:
        return {}
    embed = sentence_embedder(directory, key=f"{method.label}.embedding_model") if directory else None
    known = {e.id for e in shown}
    others = [e for e in asked if e.id not in known]
    ordered = [*shown, *others]
    texts = [question_text(dataclasses.replace(e, instruction=None)) for e in ordered]
    found = neighbours(texts, count, embed, among=len(shown))
    return {e.id: [ordered[i].id for i in near] for e, near in zip(ordered, found, strict=True)}


def compressor(work: Workspace, method: Skintern, texts: Sequence[str]) -> Compress:
    """What makes a question's notes shorter; it knows `texts` and no others, and holds no model any more.

    Raises:
        PrerequisiteError, ConfigError: as `load_llmlingua`. UnusableModel: as `token_information`.
    """
    settings = method.settings
    rates = [s for s in schedule_shares(settings.schedule, settings.steps) if 0 < s < 1]
    asked = sorted(set(texts), key=lambda text: (len(text), text)) if rates else []
    if settings.compressor == "self-information":
        units = _read_by_the_student(work, asked)
        return lambda together, rate: compressed(together, [units[text] for text in together], rate)
    directory = settings.compressor_model
    assert directory is not None
    short = _compressed_by_llmlingua(work, directory, asked, rates)
    return lambda together, rate: [short[text, rate] for text in together]


def _read_by_the_student(work: Workspace, texts: Sequence[str]) -> dict[str, tuple[Unit, ...]]:
    """The units of each text, with their self-information under the run's untrained student."""
    from symdistill.models.weights import directory_fingerprint, resolved_dtype
    from symdistill.students.loading import load_student, locate_student

    settings = work.config.student
    by = f"{directory_fingerprint(locate_student(settings))} {resolved_dtype(settings.dtype)}" if texts else ""

    def read(missing: Sequence[str]) -> Iterable[list[list[Any]]]:
        from symdistill.students.information import token_information

        student = load_student(settings, for_training=False)
        for begin in range(0, len(missing), _TEXTS_AT_A_TIME):
            part = missing[begin : begin + _TEXTS_AT_A_TIME]
            for text, tokens in zip(part, token_information(student, part), strict=True):
                yield [[u.start, u.end, u.tokens, round(u.information, 4)] for u in measured(text, tokens)]
        del student
        gc.collect()

    keys = {text: content_key("u1", {"by": by, "text": text}) for text in texts}
    found = remembered(work, "compression", keys, read, "notes read")
    return {text: tuple(Unit(*values) for values in found[text]) for text in texts}


def _compressed_by_llmlingua(
    work: Workspace, directory: Path, texts: Sequence[str], rates: Sequence[float]
) -> dict[tuple[str, float], str]:
    """What LLMLingua-2 leaves of each text at each rate."""
    from symdistill.models.llmlingua import load_llmlingua
    from symdistill.models.weights import directory_fingerprint

    by = f"llmlingua2 {directory_fingerprint(directory)}"

    def compress(missing: Sequence[tuple[str, float]]) -> Iterable[str]:
        model = load_llmlingua(directory)
        for text, rate in missing:
            yield model([text], rate)[0]

    keys = {(t, r): content_key("u1", {"by": by, "text": t, "rate": round(r, 9)}) for t in texts for r in rates}
    return remembered(work, "compression", keys, compress, "notes read")


def notes_ahead(work: Workspace) -> list[Asking]:
    """The questions about solutions for each base that is to be built: about every question, with the kept rationales
    where curation has been, else with ones as long as the teacher may make them."""
    if work.config.knowledge.path is not None:
        return []
    found = []
    for method in note_makers(work):
        if notes_path(work, method).with_suffix(".json").exists():
            continue
        settings = work.config.analysis_for(method)
        model = load_teacher(settings, work.task.train, to_ask=False)
        requests = notes_requests(_cases_to_price(work, method), model.name, analysis_sampling(work, method))
        made = recipe(work, method)
        if made["curation"]["select"] not in SEEDED:
            made["curation"] = {key: value for key, value in made["curation"].items() if key != "seed"}
        found.append(Asking(settings, requests, canonical_json(made)))
    return found


def _cases_to_price(work: Workspace, method: Skintern) -> list[SolvedCase]:
    own = pool_of(work, method)
    if own is not None and own.rationales.exists():
        return solved_cases(work.task.train, kept_for(work, method, list(read_rationales(own.rationales))))
    longest = "word " * work.config.teacher_for(method).max_tokens
    return [SolvedCase(e, e.answer, max(e.rationales, key=len, default=longest)) for e in work.task.train]
