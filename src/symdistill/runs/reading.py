"""What a method reads before a question: a corpus as passages, and what chooses among them.

The passages are built once and found again by the content of the corpus; the cells of a grid share them. Nothing of
this is bought.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from symdistill.content import content_key
from symdistill.errors import ConfigError, DataError, UnusableModel
from symdistill.evaluation.recall import RecallRow
from symdistill.evaluation.report_data import RetrievalSummary
from symdistill.knowledge.corpus import corpus_files
from symdistill.knowledge.passages import PassageIndex, Reading, check_corpus, passage_index, passage_query
from symdistill.methods import Method
from symdistill.methods.base import Material
from symdistill.methods.gate import WithKnowledge
from symdistill.methods.kard import Kard
from symdistill.records import Example
from symdistill.runs.apart import set_apart
from symdistill.runs.directory import RunDirectory, write_json
from symdistill.runs.reranking import ensure_reranker, measure_retrieval, parts_of

if TYPE_CHECKING:
    from symdistill.runs.workspace import Workspace


_LOOKED_UP = 100


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
    are built on the way, and some training questions looked up in them. Raises DataError."""
    for method in reading_methods(work):
        if write:
            index, asked = open_passages(work, method), work.task.train[:_LOOKED_UP]
            if asked and not any(index.search(passage_query(question), 1) for question in asked):
                raise DataError(
                    f"No passage of {method.settings.corpus} (`{_key(work, method, 'corpus')}`) shares a word with any "
                    f"of the first {len(asked)} training questions.",
                    "Give a corpus that is about the questions, in their language.",
                )
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
    parts = parts_of(material, method, work.config.seed, set_apart(work, method, material))
    ranker = ensure_reranker(work, method, plain, material, parts) if settings.reranker != "none" else None
    reading = plain.ranked_by(ranker)
    measure_retrieval(work, method, plain, reading, material, parts)
    return dataclasses.replace(material, reading=reading)


def search_seconds(work: Workspace, method: Method, questions: Sequence[Example], measured: float) -> float:
    """The seconds in which a method that reads found what stands before these questions: as first `measured`, so that
    a run that goes on, and asks no student again, reports what it did."""
    reader = method.inner if isinstance(method, WithKnowledge) else method
    if not isinstance(reader, Kard):
        return measured
    path = work.directory.retrieval(reader.label)
    told, key = work.directory.read_json(path), content_key("x3", [passage_query(question) for question in questions])
    if (known := told.get("searched")) is not None and known["key"] == key:
        return float(known["seconds"])
    write_json(path, {**told, "searched": {"key": key, "seconds": measured}})
    return measured


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
                chosen_on=told["chosen_on"],
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
