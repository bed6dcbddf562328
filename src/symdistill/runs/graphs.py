"""The knowledge graph of a run: what the teacher is asked for it, through the run's store, and what comes of it.

graph/                the triples (see `knowledge.triples.store`)
graph/heads.txt       the heads that were asked about, one a line
graph/asked.jsonl     what became of every request, with what was not taken of its reply and why

Every stage finds what was bought before: the same command again costs nothing, and goes on where the last one stopped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from symdistill.curation import read_rationales
from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.triples import Batch, Contents, Schema, Triple
from symdistill.knowledge.triples.asking import (
    Answered,
    Asked,
    batch_for,
    extracted_from,
    extraction_requests,
    head_requests,
    heads_from,
    tail_requests,
    tails_from,
)
from symdistill.knowledge.triples.review import now
from symdistill.knowledge.triples.store import Added, TripleStore, schema_at
from symdistill.models.base import LanguageModel
from symdistill.models.registry import load_teacher
from symdistill.records import Request, Sampling
from symdistill.runs.directory import RunDirectory, write_rows, write_text
from symdistill.runs.quoting import Quote
from symdistill.runs.teaching import quoted, teacher_sampler
from symdistill.runs.workspace import Workspace
from symdistill.sampling.store import ResponseStore
from symdistill.tasks.files import read_rows, read_text


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be generated: tails of `heads`, and of `new_heads` heads that the teacher adds to them.

    Of `relations`, or all of the schema, each head gets those that may begin at it; every question is put `samples`
    times for `tails` tails.
    """

    heads: tuple[str, ...] = ()
    new_heads: int = 0
    relations: tuple[str, ...] = ()
    tails: int = 5
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking: the heads, what was added to the graph, and what became of every request."""

    heads: tuple[str, ...]
    added: Added
    answered: tuple[Answered, ...]


def graph_of(work: Workspace, schema: Schema | None = None) -> TripleStore:
    """The run's graph, made with `schema` where it is not there. Raises as `TripleStore`."""
    return TripleStore(work.directory.path / "graph", schema)


def schema_of_graph(work: Workspace, schema: Schema | None = None, relations: Sequence[str] = ()) -> Schema:
    """The schema of the run's graph, or the one it would be made with. Nothing is made.

    Raises:
        DataError: the graph follows another schema than the one given, or the schema has not all of `relations`.
    """
    return _with_relations(schema_at(work.directory.path / "graph", schema), relations)


def store_of_graph(path: Path) -> Path | None:
    """The store with the replies of the run whose graph is at `path`; None where it is no run's, or has none."""
    run = RunDirectory(path.absolute().parent)
    if path.name != "graph" or not run.config.exists():
        return None
    store = run.load_config().store or run.store
    return store if store.exists() else None


def stored_replies(store: Path, contents: Contents) -> frozenset[str]:
    """Of the requests that triples name, those whose replies are in a store. Raises StoreError."""
    named = {t.source for t in contents.triples if t.source}
    with ResponseStore(store) as opened:
        return frozenset(named.difference(opened.missing(named)))


def generate(work: Workspace, store: TripleStore, wanted: Wanted) -> Outcome:
    """Ask for heads, then for tails of all heads, and add what comes of it to the graph.

    Raises:
        ConfigError: no teacher is named. DataError: there is no head to ask about, or no such relation.
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
    """
    _with_relations(store.schema, wanted.relations)
    model = _teacher(work)
    sampling = _sampling(work)
    heads = list(dict.fromkeys(wanted.heads))
    answered: list[Answered] = []
    with teacher_sampler(work, model) as sampler:
        if wanted.new_heads:
            requests = _head_requests(work, store.schema, model, wanted)
            sampled = sampler.sample(requests, stage="heads")
            found, answered = heads_from(
                requests, sampled.completions, sampled.failures, known=heads, schema=store.schema
            )
            heads += found[: wanted.new_heads]
        asked = tail_requests(
            store.schema,
            heads,
            model.name,
            sampling,
            relations=wanted.relations,
            tails=wanted.tails,
            samples=wanted.samples,
        )
        if not asked:
            raise _no_head(len(heads))
        sampled = sampler.sample([one.request for one in asked], stage="tails")
    batch = _described(work, batch_for("tails", store.schema, model.name, sampling))
    triples, batches, report = tails_from(
        asked, sampled.completions, sampled.failures, schema=store.schema, batch=batch
    )
    return _kept(store, heads, triples, batches, [*answered, *report])


def extract(
    work: Workspace, store: TripleStore, texts: Mapping[str, str], relations: Sequence[str] = (), *, used: str = ""
) -> Outcome:
    """Ask for the facts that texts (by their ids) state, and add them to the graph. `used` names where they are from.

    Raises as `generate`; DataError where there is no text.
    """
    if not texts:
        raise _no_text()
    model, sampling = _teacher(work), _sampling(work)
    asked = extraction_requests(store.schema, texts, model.name, sampling, relations=relations)
    with teacher_sampler(work, model) as sampler:
        sampled = sampler.sample([one.request for one in asked], stage="extraction")
    batch = _described(work, batch_for("extraction", store.schema, model.name, sampling, used=used))
    triples, report = extracted_from(asked, sampled.completions, sampled.failures, schema=store.schema, batch=batch)
    return _kept(store, (), triples, [batch], report)


def price_generation(work: Workspace, schema: Schema, wanted: Wanted) -> Quote:
    """What `generate` may cost at most; heads that nobody knows yet count as long as the longest known one.

    Raises as `generate`, but for what comes of asking; RecordingMissing as `quote`.
    """
    model = _teacher(work, to_ask=False)
    known = [*wanted.heads, *schema.heads]
    longest = max(known, key=len, default="")
    unknown = [f"{longest} {number}" for number in range(wanted.new_heads)]
    tails = tail_requests(
        schema,
        [*wanted.heads, *unknown],
        model.name,
        _sampling(work),
        relations=wanted.relations,
        tails=wanted.tails,
        samples=wanted.samples,
    )
    if not tails:
        raise _no_head(len(wanted.heads))
    heads = _head_requests(work, schema, model, wanted) if wanted.new_heads else []
    guessed = {one.request.key for one in tails if one.head in unknown}
    return quoted(work, model, [*heads, *(one.request for one in tails)], guessed=guessed)


def price_extraction(work: Workspace, schema: Schema, texts: Mapping[str, str], relations: Sequence[str] = ()) -> Quote:
    """What `extract` may cost at most. Raises as `price_generation`."""
    if not texts:
        raise _no_text()
    model = _teacher(work, to_ask=False)
    asked: list[Asked] = extraction_requests(schema, texts, model.name, _sampling(work), relations=relations)
    return quoted(work, model, [one.request for one in asked])


def _with_relations(schema: Schema, relations: Sequence[str]) -> Schema:
    for name in relations:
        schema.relation(name)
    return schema


def _no_head(heads: int) -> DataError:
    return DataError(
        f"There is no head to ask about ({heads:,} heads, none of which a relation may begin at).",
        "Give --heads FILE or --new-heads N (`direct.heads` is for `symdistill run`), and look at the `domain` of the "
        "schema's relations.",
    )


def _no_text() -> DataError:
    return DataError("There is no text to take triples out of.", "Give --text FILE with some.")


def rationale_texts(work: Workspace) -> dict[str, str]:
    """The rationales of the run, by example and sample. Raises DataError where there are none yet."""
    path = work.directory.rationales
    if not path.exists():
        raise DataError(f"There are no rationales in {work.directory.path}.", "Run `symdistill curate` first.")
    return {f"{r.example_id}#{r.sample_index}": r.text for r in read_rationales(path)}


def read_texts(path: Path, key: str | None = None) -> dict[str, str]:
    """The texts of a file: rows with `text` (and `id`), or the paragraphs of a .txt file. `key` is the setting or
    option that names it. Raises DataError."""
    if path.suffix.lower() == ".txt":
        return {f"paragraph {n}": text for n, text in enumerate(_paragraphs(path, key), 1)}
    found: dict[str, str] = {}
    for place, row in read_rows(path, key):
        text = row.get("text")
        if not isinstance(text, str):
            raise DataError(f"{place}: there is no `text`.", 'A row looks like {"id": "p1", "text": "…"}.')
        found[str(row.get("id") or place.rpartition(", ")[2])] = text
    return found


def read_heads(path: Path, key: str | None = None) -> tuple[str, ...]:
    """The heads of a file, one a line. `key` is the setting or option that names it. Raises DataError."""
    return tuple(dict.fromkeys(line.strip() for line in read_text(path, key).splitlines() if line.strip()))


def _paragraphs(path: Path, key: str | None) -> list[str]:
    return [part.strip() for part in read_text(path, key).replace("\r\n", "\n").split("\n\n") if part.strip()]


def _teacher(work: Workspace, *, to_ask: bool = True) -> LanguageModel:
    if work.config.teacher.model in (None, "dataset"):
        raise ConfigError(
            "No teacher is named that can write triples.", "Set `teacher.model`, for example openai:gpt-4o-mini."
        )
    return load_teacher(work.config.teacher, to_ask=to_ask)


def _sampling(work: Workspace) -> Sampling:
    teacher = work.config.teacher
    return Sampling(
        temperature=teacher.temperature,
        max_tokens=teacher.max_tokens,
        top_p=teacher.top_p,
        top_k=teacher.top_k,
        seed=work.config.seed,
        stop=teacher.stop,
    )


def _head_requests(work: Workspace, schema: Schema, model: LanguageModel, wanted: Wanted) -> list[Request]:
    return head_requests(schema, model.name, _sampling(work), count=wanted.new_heads, seeds=wanted.heads)


def _described(work: Workspace, batch: Batch) -> Batch:
    """The batch with its time, and with the name of the run's directory, of which its id is not made."""
    return dataclasses.replace(batch, run=work.directory.path.resolve().name, at=now())


def _kept(
    store: TripleStore,
    heads: Sequence[str],
    triples: Sequence[Triple],
    batches: Sequence[Batch],
    answered: Sequence[Answered],
) -> Outcome:
    added = store.add(triples, batches)
    if heads:
        write_text(store.path / "heads.txt", "".join(f"{' '.join(head.split())}\n" for head in heads))
    write_rows(store.path / "asked.jsonl", (dataclasses.asdict(entry) for entry in answered))
    return Outcome(tuple(heads), added, tuple(answered))
