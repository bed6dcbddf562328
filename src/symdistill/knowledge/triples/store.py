"""A graph kept on disk: triples in pyoxigraph, the schema they follow, and what reviewers decided.

    DIRECTORY/schema.yaml       the relation schema, as it was given
    DIRECTORY/graph/            the triples, one named graph a batch, and the batches' provenance (RocksDB)
    DIRECTORY/decisions.jsonl   reviewers' decisions, one a line, only ever appended to

Only triples that follow the schema's relations and name a batch that is described come in. Adding is safe to stop: what
is in is whole, and adding the same again completes it and doubles nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from symdistill.errors import DataError, StoreError
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples.exchange import Contents, write_triples
from symdistill.knowledge.triples.query import MOST_ROWS, QueryResult, ask
from symdistill.knowledge.triples.records import Batch, Triple, checked, each_once
from symdistill.knowledge.triples.review import Decision, append_decisions, read_decisions
from symdistill.knowledge.triples.schema import Schema, load_schema

if TYPE_CHECKING:
    from symdistill.knowledge.triples.oxigraph import ox

_CHUNK = 2_000
"""Triples of one transaction."""


@dataclass(frozen=True, slots=True)
class Added:
    """What adding did: `new` triples came in, `rescored` have another confidence now, the others were there."""

    new: int
    rescored: int
    unchanged: int


class TripleStore:
    """The graph in a directory, made when it is not there (`create`), then with `schema` (None: ATOMIC's).

    Where nothing was ever added another schema takes the place of the one there.

    Several processes may read it at once; one may write while nobody reads. Nothing is kept open between calls.

    Raises:
        StoreError: there is no graph and none is to be made, or the directory cannot be used.
        DataError: the schema that is given is not the one the graph follows.
    """

    def __init__(self, path: str | Path, schema: Schema | None = None, *, create: bool = True) -> None:
        self.path = Path(path)
        self._graph = self.path / "graph"
        self._decisions = self.path / "decisions.jsonl"
        kept = self.path / "schema.yaml"
        if not create and not kept.exists():
            raise StoreError(f"There is no graph in {self.path}.", "Make one with `symdistill triples import`.")
        wanted = schema_at(self.path, schema)
        if not kept.exists() or wanted != load_schema(kept):
            self._make(kept, wanted)
        self.schema = load_schema(kept)

    def add(self, triples: Iterable[Triple], batches: Iterable[Batch] = ()) -> Added:
        """Add triples and describe the batches they come in.

        A triple that is there with another confidence takes the new one; nothing else ever changes: of two sources of
        one triple, and of two descriptions of one batch, the first stands.

        Raises:
            DataError: a triple has a relation the schema does not have, names a batch that nobody describes, or is no
                triple (`records.checked`). Nothing was added.
            StoreError: another process uses the graph, or it cannot be written.
        """
        given = list(triples)
        for triple in given:
            self.schema.relation(checked(triple).relation, f"({triple.head[:60]} | … | {triple.tail[:60]})")
        described = list(batches)
        with self._locked(fcntl.LOCK_EX), self._errors():
            there = {batch.id for batch in self._batches()}
            known = there | {batch.id for batch in described}
            if stray := next((t.batch for t in given if t.batch not in known), None):
                raise DataError(f"Nothing is said of the batch {stray!r}.", "Give a `Batch` with that id.")
            if any(not t.batch for t in given):
                raise DataError("A triple is in no batch.", "Give it one, so that its origin can be told.")
            return self._add(given, [batch for batch in described if batch.id not in there])

    def triples(self, *, batch: str | None = None, relation: str | None = None) -> Iterator[Triple]:
        """The triples, or those of a batch or a relation, batch by batch. Raises StoreError."""
        from symdistill.knowledge.triples import rdf

        with self._reading() as store:
            if store is None:
                return
            for graph in store.named_graphs():
                if batch is not None and rdf.text_of(graph, "batch") != batch:
                    continue
                for triple in _statements(store, graph):
                    if relation is None or triple.relation == relation:
                        yield triple

    def batches(self) -> list[Batch]:
        """What is known of the batches, by id. Raises StoreError."""
        with self._locked(fcntl.LOCK_SH), self._errors():
            return self._batches()

    def contents(self) -> Contents:
        """All triples and batches, as a file holds them."""
        found = tuple(self.triples())
        return Contents(found, tuple(self.batches()), [""] * len(found))

    def query(self, query: str, *, rows: int = MOST_ROWS, bounds: Bounds | None = None) -> QueryResult:
        """The answer to a SPARQL query (see `query.ask`); `rdf.PREFIXES` need not be declared. Raises as `ask`."""
        from symdistill.knowledge.triples import rdf

        with self._locked(fcntl.LOCK_SH):
            there = self._graph.exists()
            return ask(
                query,
                prefixes=rdf.PREFIXES,
                directory=self._graph if there else None,
                file=None if there else Path(os.devnull),
                rows=rows,
                bounds=bounds,
            )

    def decisions(self) -> list[Decision]:
        """What reviewers decided, in the order of time. Raises DataError."""
        return read_decisions(self._decisions)

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Write decisions down. Raises DataError."""
        append_decisions(self._decisions, decisions)

    def _make(self, kept: Path, schema: Schema) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            part = kept.with_name(".schema.yaml.part")
            part.write_text(schema.text, encoding="utf-8")
            part.replace(kept)
        except OSError as error:
            raise self._unusable(error) from error

    def _add(self, given: Sequence[Triple], described: Sequence[Batch]) -> Added:
        from symdistill.knowledge.triples import prov, rdf
        from symdistill.knowledge.triples.oxigraph import ox

        distinct = each_once(given)
        quads = [quad for batch in described for quad in prov.batch_quads(batch)]
        if not self._graph.exists():
            part = self.path / "graph.part"
            shutil.rmtree(part, ignore_errors=True)
            store = ox.Store(str(part))
            store.bulk_extend(quads)
            store.bulk_extend(quad for triple in distinct for quad in rdf.quads_of(triple))
            store.flush()
            del store
            part.replace(self._graph)
            return Added(len(distinct), 0, len(given) - len(distinct))
        store = ox.Store(str(self._graph))
        store.extend(quads)
        new = rescored = 0
        rest = iter(distinct)
        while chunk := list(islice(rest, _CHUNK)):
            old: list[ox.Quad] = []
            fresh: list[ox.Quad] = []
            for triple in chunk:
                there, outdated = _state(store, triple)
                new += not there
                rescored += bool(outdated)
                old += outdated
                fresh += [q for q in rdf.quads_of(triple) if not there or q.predicate == rdf.CONFIDENCE]
            store.extend(fresh)
            for quad in old:
                store.remove(quad)
        store.flush()
        return Added(new, rescored, len(given) - new - rescored)

    def _batches(self) -> list[Batch]:
        from symdistill.knowledge.triples import prov
        from symdistill.knowledge.triples.oxigraph import ox

        if not self._graph.exists():
            return []
        store = ox.Store.read_only(str(self._graph))
        return prov.batches_of(store.quads_for_pattern(None, None, None, ox.DefaultGraph()), str(self.path))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[ox.Store | None]:
        from symdistill.knowledge.triples.oxigraph import ox

        with self._locked(fcntl.LOCK_SH), self._errors():
            yield ox.Store.read_only(str(self._graph)) if self._graph.exists() else None

    @contextlib.contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        try:
            lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise self._unusable(error) from error
        with lock:
            try:
                fcntl.flock(lock, how | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise self._unusable(error) from error
                raise StoreError(
                    f"Another process uses the graph in {self.path}.", "Wait for it to end, then run again."
                ) from None
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # the second is what pyoxigraph makes of a damaged file
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"Cannot use the graph in {self.path} ({getattr(error, 'strerror', None) or error}).",
            "Check the directory and its rights; an export can be imported into a new one.",
        )


def schema_at(path: str | Path, schema: Schema | None = None) -> Schema:
    """The schema that the graph in a directory follows, or would be made with: `schema`, or ATOMIC's.

    Raises:
        DataError: `schema` is not the one that the graph follows.
    """
    kept = Path(path) / "schema.yaml"
    own = load_schema(kept) if kept.exists() else None
    if schema is None or schema == own:
        return own or load_schema("atomic")
    if own is not None and (Path(path) / "graph").exists():
        raise DataError(
            f"The graph in {path} follows another schema (`{own.name}`) than the one given.",
            "Leave the schema out, or name another directory.",
        )
    return schema


def query_contents(
    contents: Contents, query: str, *, rows: int = MOST_ROWS, bounds: Bounds | None = None
) -> QueryResult:
    """The answer to a SPARQL query about the triples of a file. Raises as `query.ask`."""
    from symdistill.knowledge.triples import rdf

    with tempfile.TemporaryDirectory(prefix="symdistill-") as folder:
        file = Path(folder) / "triples.nq"
        write_triples(file, contents.triples, contents.batches)
        return ask(query, prefixes=rdf.PREFIXES, file=file, rows=rows, bounds=bounds)


def _statements(store: ox.Store, graph: ox.NamedNode | ox.BlankNode) -> Iterator[Triple]:
    """The triples of a graph. Its quads come sorted by subject, so each statement's stand together."""
    from symdistill.knowledge.triples import rdf

    place = f"the batch {rdf.text_of(graph, 'batch')!r}"
    for subject, quads in groupby(store.quads_for_pattern(None, None, None, graph), key=lambda q: q.subject):
        facts = {quad.predicate: quad.object for quad in quads}
        if rdf.SUBJECT in facts:
            yield rdf.triple_of(subject, facts, graph, place)


def _state(store: ox.Store, triple: Triple) -> tuple[bool, list[ox.Quad]]:
    """Whether a triple is there, and its confidences that are not the one it has now."""
    from symdistill.knowledge.triples import rdf

    about, graph = rdf.statement(triple), rdf.graph_of(triple.batch)
    known = list(store.quads_for_pattern(about, None, None, graph))
    if not known or triple.confidence is None:
        return bool(known), []
    old = [q for q in known if q.predicate == rdf.CONFIDENCE and rdf.number(q.object) != triple.confidence]
    return True, old
