"""What a method reads before a question: a corpus as passages, a trained reranker, and how much of what rationales find
their questions find.

The passages are built once and found again by the content of the corpus; the cells of a grid share them. A reranker is
found again by what it was trained on, and its training goes on from its last whole epoch. Nothing of this is bought.
"""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from symdistill.content import content_key
from symdistill.errors import ConfigError, UnusableModel
from symdistill.evaluation.recall import RankedCase, RecallRow, recall_rows
from symdistill.evaluation.report_data import RetrievalSummary
from symdistill.knowledge.corpus import corpus_files
from symdistill.knowledge.passages import (
    PassageIndex,
    Reading,
    check_corpus,
    passage_index,
    passage_query,
    ranking_case,
    rationale_query,
)
from symdistill.methods import Method
from symdistill.methods.base import Material
from symdistill.methods.kard import Kard
from symdistill.records import Example, Rationale
from symdistill.runs.directory import RunDirectory, write_json
from symdistill.tasks.splitting import draw, with_twins

if TYPE_CHECKING:
    from symdistill.runs.workspace import Workspace
    from symdistill.training.rankers import Reranker
    from symdistill.training.reranker import RankerBase

_SHOWN = (1, 10)
"""Depths of recall beside the number of passages that are read."""


def reading_methods(work: Workspace) -> list[Kard]:
    """The methods of the run that read passages."""
    return [m for m in work.methods if isinstance(m, Kard)]


def check_reading(work: Workspace) -> None:
    """What can be known to be wrong without reading a corpus.

    Raises:
        DataError: there is no corpus, or none of a known kind. ConfigError: the reranker's encoder cannot be used.
    """
    for method in reading_methods(work):
        corpus_files(method.settings.corpus, _key(work, method, "corpus"))
        if (encoder := method.settings.reranker_model) is not None:
            from symdistill.models.encoder import check_encoder

            try:
                check_encoder(encoder)
            except UnusableModel as problem:
                key = _key(work, method, "reranker_model")
                raise ConfigError(f"`{key}`: {problem.message}", problem.fix) from problem


def prepare_reading(work: Workspace, *, write: bool) -> None:
    """Read every corpus to its end, so that nothing is spent before one that cannot be used; with `write` its passages
    are built on the way. Raises DataError."""
    for method in reading_methods(work):
        if write:
            open_passages(work, method)
        else:
            corpus, key = method.settings.corpus, _key(work, method, "corpus")
            _check_once(corpus, key, tuple(_as_it_is(file) for file in corpus_files(corpus, key)))


def open_passages(work: Workspace, method: Kard) -> PassageIndex:
    """The passages of a method, built where they are not. Raises DataError where the corpus cannot be used."""
    place = (work.commons.directory if work.commons else work.directory.path) / "passages"
    settings = method.settings
    with work.alone("passages"):
        return passage_index(
            settings.corpus,
            place,
            settings.passage_words,
            key=_key(work, method, "corpus"),
            progress=work.progress,
        )


def with_reading(work: Workspace, method: Method, material: Material) -> Material:
    """The material of a method with its passages, its reranker trained and measured; any other method's as it is.

    Raises:
        DataError: the corpus cannot be used. TrainingError: the reranker cannot be trained.
    """
    if not isinstance(method, Kard):
        return material
    settings = method.settings
    index = open_passages(work, method)
    plain = Reading(index, passages=settings.passages, candidates=settings.candidates)
    held_out = _held_out(material, method, work.config.seed)
    ranker = _ensure_reranker(work, method, index, material, held_out) if settings.reranker != "none" else None
    reading = plain.ranked_by(ranker)
    _measure(work, method, plain, reading, material, held_out)
    return dataclasses.replace(material, reading=reading)


def finished_reading(directory: RunDirectory, method: Kard) -> Reading:
    """The passages and the reranker of a finished run. Raises RunDirectoryError or DataError where they are gone."""
    told = directory.read_json(directory.retrieval(method.label))
    index = PassageIndex.open(directory.path / told["index"])
    ranker = None
    if method.settings.reranker != "none":
        from symdistill.training.rankers import Reranker

        ranker = Reranker.load(directory.reranker(method.label))
    return Reading(index, passages=method.settings.passages, candidates=method.settings.candidates, ranker=ranker)


def retrieval_summaries(work: Workspace) -> list[RetrievalSummary]:
    """For the report."""
    found = []
    for method in reading_methods(work):
        path = work.directory.retrieval(method.label)
        if not path.exists():
            continue
        told = work.directory.read_json(path)
        found.append(
            RetrievalSummary(
                method=method.label,
                corpus=str(method.settings.corpus),
                passages=told["passages"],
                documents=told["documents"],
                words=told["words"],
                read=method.settings.passages,
                candidates=method.settings.candidates,
                reranker=told["reranker"],
                learned_from=told["learned_from"],
                rows=[RecallRow.from_dict(row, str(path)) for row in told["recall"]],
            )
        )
    return found


def _key(work: Workspace, method: Kard, name: str) -> str:
    """The dotted key of one of a method's settings."""
    if not work.config.methods:
        return f"method.{name}"
    return f"methods.{work.methods.index(method)}.{name}"


def _as_it_is(file: Path) -> tuple[str, int, int]:
    stat = file.stat()
    return str(file), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=16)
def _check_once(corpus: Path, key: str, _files: tuple[tuple[str, int, int], ...]) -> None:
    """The cells of a grid read the same corpus."""
    check_corpus(corpus, key)


def _held_out(material: Material, method: Kard, seed: int) -> set[str]:
    """The questions a reranker is measured on, and those that belong to them; none where there are too few."""
    solved = {r.example_id for r in material.rationales}
    questions = [e for e in material.examples if e.id in solved]
    count = max(1, round(method.settings.reranking.held_out * len(questions)))
    if count >= len(questions):
        return set()
    return with_twins(questions, draw(questions, count, seed, "reranker")[0])


def _ensure_reranker(
    work: Workspace, method: Kard, index: PassageIndex, material: Material, held_out: set[str]
) -> Reranker:
    """The reranker of a method, trained where it is not."""
    from symdistill.training.rankers import VERSION, Reranker, read_card
    from symdistill.training.reranker import train_reranker

    settings = method.settings
    interaction: Literal["bi-encoder", "late-interaction"] = (
        "bi-encoder" if settings.reranker == "bi-encoder" else "late-interaction"
    )
    by_id = {e.id: e for e in material.examples}
    learned = [(by_id[r.example_id], r.text) for r in _chosen(method, material) if r.example_id not in held_out]
    base, of_base = _base(work, method)
    fingerprint = content_key(
        "x1",
        {
            "learned": [[passage_query(e), rationale_query(text)] for e, text in learned],
            "passages": index.facts["key"],
            "interaction": interaction,
            "settings": settings.reranking.model_dump(mode="json", exclude={"held_out"}),
            "base": of_base,
            "seed": work.training_seed(method),
            "version": VERSION,
        },
    )
    target = work.directory.reranker(method.label)
    card = read_card(target)
    if card and card["fingerprint"] == fingerprint:
        work.progress.start("reranker")
        work.progress.finish(f"{method.label}   trained before ({card['steps']:,} steps)")
        return Reranker.load(target)
    work.progress.start("candidates", len(learned))
    cases = []
    for example, text in learned:
        cases.append(ranking_case(index, example, text, settings.reranking.each))
        work.progress.advance()
    trained = train_reranker(
        cases,
        index.__getitem__,
        base,
        interaction,
        settings.reranking,
        target,
        fingerprint=fingerprint,
        checkpoint=work.directory.checkpoints / f"{method.label}-reranker-{fingerprint[-8:]}.safetensors",
        seed=work.training_seed(method),
        progress=work.progress,
        label=method.label,
    )
    for left in work.directory.checkpoints.glob(f"{method.label}-reranker-*.safetensors"):
        left.unlink()  # those of trainings that were given up as well
    return trained


def _base(work: Workspace, method: Kard) -> tuple[RankerBase, str]:
    """What the reranker stands on, and its fingerprint."""
    from symdistill.models.encoder import check_encoder
    from symdistill.models.weights import directory_fingerprint
    from symdistill.students.loading import locate_student
    from symdistill.training.reranker import RankerBase

    encoder = method.settings.reranker_model
    if encoder is not None:
        weights, pooling = check_encoder(encoder)
        return RankerBase(encoder, is_encoder=True), f"{directory_fingerprint(weights)} {pooling}"
    student = locate_student(work.config.student)
    return RankerBase(student, is_encoder=False), directory_fingerprint(student)


def _chosen(method: Kard, material: Material) -> list[Rationale]:
    """The rationales a method learns from."""
    from symdistill.methods.std_cot import first_samples

    return first_samples(material.rationales, method.settings.samples)


def _measure(
    work: Workspace, method: Kard, plain: Reading, reading: Reading, material: Material, held_out: set[str]
) -> None:
    """Write retrieval-LABEL.json, unless it is there and says this."""
    settings = method.settings
    path = work.directory.retrieval(method.label)
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for rationale in _chosen(method, material):
        texts[rationale.example_id].append(rationale.text)
    questions = [e for e in material.examples if e.id in held_out and texts[e.id]]
    card = dict(reading.ranker.card) if reading.ranker is not None else None  # type: ignore[attr-defined]
    key = content_key(
        "x2",
        {
            "asked": [[passage_query(e), [rationale_query(t) for t in texts[e.id]]] for e in questions],
            "passages": plain.index.facts["key"],
            "reranker": card["fingerprint"] if card else None,
            "settings": [settings.passages, settings.candidates, work.config.evaluation.confidence],
            "seed": work.config.seed,
        },
    )
    if path.exists() and work.directory.read_json(path).get("key") == key:
        return
    depths = sorted({settings.passages, *(k for k in _SHOWN if k <= settings.candidates)})
    cases = [_case(plain, reading, e, texts[e.id], max(depths)) for e in questions]
    rows = recall_rows(cases, depths, confidence=work.config.evaluation.confidence, seed=work.config.seed)
    facts = plain.index.facts
    write_json(
        path,
        {
            "method": method.label,
            "key": key,
            "index": os.path.relpath(plain.index.directory, work.directory.path),
            **{name: facts[name] for name in ("passages", "documents", "words")},
            "read": settings.passages,
            "candidates": settings.candidates,
            "reranker": card,
            "learned_from": len({r.example_id for r in material.rationales} - held_out),
            "recall": [row.to_dict() for row in rows],
            "questions": [_as_written(plain.index, case) for case in cases],
        },
    )
    _say(work, method, rows)


def _case(plain: Reading, reading: Reading, example: Example, rationales: Sequence[str], depth: int) -> RankedCase:
    query = passage_query(example)
    index = plain.index
    return RankedCase(
        example.id,
        [[hit.index for hit in index.search(rationale_query(text), depth)] for text in rationales],
        plain.ranking(query, depth),
        reading.ranking(query, depth) if reading.ranker else None,
        plain.ranking(query, plain.candidates),
    )


def _as_written(index: PassageIndex, case: RankedCase) -> dict[str, Any]:
    def named(numbers: Sequence[int]) -> list[str]:
        return [index[number].id for number in numbers]

    return {
        "id": case.example_id,
        "wanted": [named(best) for best in case.wanted],
        "before": named(case.before),
        "after": None if case.after is None else named(case.after),
    }


def _say(work: Workspace, method: Kard, rows: Sequence[RecallRow]) -> None:
    row = next((r for r in rows if r.k == method.settings.passages), None)
    if row is None:
        work.progress.note(f" reading    {method.label}   no question was held out to measure retrieval on")
        return
    said = f"recall@{row.k} of what rationales find: {row.before.value:.0%} by BM25"
    if row.after is not None and row.gain is not None:
        gain = 100 * row.gain.value, 100 * row.gain.low, 100 * row.gain.high
        said += f", {row.after.value:.0%} reranked ({gain[0]:+.1f} points [{gain[1]:+.1f}, {gain[2]:+.1f}])"
    work.progress.note(f" reading    {method.label}   {said}, {row.n:,} questions")
    if row.gain is not None and row.gain.high < 0:
        work.progress.note(f"            {method.label}: the reranker finds less than BM25; see `reranker: none`")
