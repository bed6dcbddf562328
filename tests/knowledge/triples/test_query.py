"""SPARQL within limits: what it answers, and that nothing it does lasts for ever or leaves the machine."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from symdistill.errors import DataError, LimitReached, SymdistillError
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import Batch, Contents, Triple, canonical_hash
from symdistill.knowledge.triples.query import Cell, calls_elsewhere
from symdistill.knowledge.triples.store import TripleStore, query_contents

TRIPLES = (
    Triple("PersonX oversleeps", "xEffect", "misses the train", 0.9, "b1", "r1_a"),
    Triple("misses the train", "Causes", "a bad mood", 0.4, "b1", "r1_b"),
    Triple("PersonX oversleeps", "xReact", "annoyed", None, "b2"),
)
CONTENTS = Contents(TRIPLES, (Batch("b1", "teacher", "qwen"), Batch("b2", "hand")))
EXPLODES = "SELECT (COUNT(*) AS ?n) { " + " ".join(f"?a{i} ?b{i} ?c{i} ." for i in range(9)) + " }"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TripleStore:
    made = TripleStore(tmp_path_factory.mktemp("query") / "graph")
    made.add(TRIPLES, CONTENTS.batches)
    return made


def values(result) -> list[tuple[str | None, ...]]:
    return [tuple(cell and cell.value for cell in row) for row in result.rows]


@pytest.mark.parametrize(
    "query, expected",
    [
        (
            'SELECT ?tail { ?t sd:headText "PersonX oversleeps" ; sd:tailText ?tail } ORDER BY ?tail',
            [("annoyed",), ("misses the train",)],
        ),
        ("SELECT ?b { node:personx_oversleeps rel:xEffect/rel:Causes ?b }", [("urn:symdistill:node:a_bad_mood",)]),
        ("SELECT ?tail { ?t sd:confidence ?c ; sd:tailText ?tail FILTER(?c > 0.5) }", [("misses the train",)]),
        ("SELECT ?h { GRAPH batch:b2 { ?h rel:xReact ?t } }", [("urn:symdistill:node:personx_oversleeps",)]),
        ("SELECT ?o { ?a sd:origin ?o ; prov:wasAssociatedWith <urn:symdistill:model:qwen> }", [("teacher",)]),
        ("SELECT ?x ?y { VALUES (?x ?y) { (1 UNDEF) } }", [("1", None)]),
    ],
)
def test_queries_are_answered_from_a_store_and_from_a_file(
    store: TripleStore, query: str, expected: list[tuple[str | None, ...]]
) -> None:
    for result in (store.query(query), query_contents(CONTENTS, query)):
        assert values(result) == expected
        assert result.complete
        assert result.form == "select"


def test_ask_and_construct(store: TripleStore) -> None:
    assert store.query("ASK { ?s rel:xReact ?o }").answer is True
    assert store.query("ASK { ?s rel:xAttr ?o }").answer is False
    built = store.query("CONSTRUCT { ?o rel:Causes ?s } WHERE { ?s rel:xEffect ?o }")
    assert built.form == "construct"
    assert built.columns == ("subject", "predicate", "object")
    assert values(built) == [
        (
            "urn:symdistill:node:misses_the_train",
            "urn:symdistill:relation:Causes",
            "urn:symdistill:node:personx_oversleeps",
        )
    ]


def test_cells_say_what_they_are(store: TripleStore) -> None:
    query = (
        "SELECT ?c ?l ?i ?b { ?t sd:confidence ?c . FILTER(?c > 0.5) "
        'BIND("chat"@fr AS ?l) BIND(rel:r AS ?i) BIND(BNODE() AS ?b) }'
    )
    (row,) = store.query(query).rows
    assert row[0] == Cell("literal", "0.9", "http://www.w3.org/2001/XMLSchema#double")
    assert row[1] == Cell("literal", "chat", "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString", "fr")
    assert [cell and cell.kind for cell in row] == ["literal", "literal", "iri", "blank"]


def test_rows_are_limited_and_that_is_said(store: TripleStore) -> None:
    limited = store.query("SELECT * { ?s ?p ?o }", rows=3)
    assert (len(limited.rows), limited.complete) == (3, False)
    exact = store.query("SELECT * { ?s rel:xReact|rel:xEffect|rel:Causes ?o }", rows=3)
    assert (len(exact.rows), exact.complete) == (3, True)


@pytest.mark.parametrize("query", ["SELEC ?x", "", "DELETE WHERE { ?s ?p ?o }", "SELECT * { ?s no:such ?o }"])
def test_what_is_no_query_is_told(store: TripleStore, query: str) -> None:
    with pytest.raises(DataError, match="The query cannot be answered"):
        store.query(query)
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES)


def test_a_query_that_never_ends_is_ended(store: TripleStore) -> None:
    started = time.monotonic()
    with pytest.raises(LimitReached, match="ran for more than 1 seconds and was ended"):
        store.query(EXPLODES, bounds=Bounds(seconds=1))
    assert time.monotonic() - started < 30
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES), "and the graph is as it was"


def test_a_query_that_is_nested_too_deeply_is_not_called_hungry(store: TripleStore) -> None:
    with pytest.raises(SymdistillError) as told:
        store.query("SELECT * " + "{" * 20_000 + "}" * 20_000)
    assert "needed more than" not in told.value.message
    assert "nested too deeply" in told.value.message


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the limit of memory is Linux's")
def test_a_query_that_takes_all_memory_is_ended(store: TripleStore) -> None:
    hungry = EXPLODES.replace("(COUNT(*) AS ?n)", "*") + " ORDER BY ?a0"
    with pytest.raises(LimitReached, match="needed more than 300 MB of memory"):
        store.query(hungry, bounds=Bounds(seconds=120, megabytes=300))


@pytest.mark.parametrize(
    "query, calls",
    [
        ("SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }", True),
        ("SELECT*{service SILENT<http://127.0.0.1:1/>{?s ?p ?o}}", True),
        ("SELECT * { \\u0053ERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }", True),
        ('SELECT * { ?s ?p "a" } # "\nVALUES ?x { 1 } SERVICE <x:> { }', True),
        ("SELECT * { ?s e:a\\' ?o . SERVICE <x:y> { ?s ?p e:b\\' } }", True),
        ("SELECT * { ?a ?b ?c FILTER(?a <?b) SERVICE <x:y> {} FILTER(?c>?a) }", True),
        ('SELECT * { ?s ?p """a " b""" . SERVICE <x:y> { ?s ?p """c""" } }', True),
        ("SELECT ?service { ?service e:service 'SERVICE' ; service:x <urn:SERVICE> } # SERVICE <x:>", False),
        ('SELECT * { ?s ?p "a \\" SERVICE <x:> {} " }', False),
    ],
)
def test_federation_is_recognised(query: str, calls: bool) -> None:
    assert calls_elsewhere(query) is calls


def test_no_query_asks_another_machine(store: TripleStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for query in (
            f"SELECT * {{ SERVICE <{address}> {{ ?s ?p ?o }} }}",
            f"SELECT * {{ \\u0053ERVICE <{address}> {{ ?s ?p ?o }} }}",
        ):
            with pytest.raises(DataError, match="SERVICE"):
                store.query(query)
        store.query(f"SELECT * FROM <{address}> {{ ?s ?p ?o }}")
        with pytest.raises(BlockingIOError):  # nobody has called
            server.accept()
