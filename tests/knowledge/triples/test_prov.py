"""Provenance as W3C PROV: what is said, in which words, and that nothing in a name breaks out."""

from __future__ import annotations

from pathlib import Path

import pyoxigraph as ox
import pytest

from symdistill.errors import DataError
from symdistill.knowledge.triples import Batch, Triple
from symdistill.knowledge.triples.exchange import read_triples, write_provenance
from symdistill.knowledge.triples.rdf import PREFIXES
from symdistill.knowledge.triples.review import Decision

HOSTILE = 'ann> . <urn:evil> a <urn:x> . "\n\\'
TRIPLES = [
    Triple("PersonX sings", "xWant", "to rest", 0.5, "t-1", "r1_abc"),
    Triple("PersonX sings", "xWant", "to fly", 0.5, "h"),
]
BATCHES = [
    Batch("t-1", "teacher", "qwen", "triple-tails/1", "atomic", "run 7", "2026-11-22T08:00:00Z"),
    Batch("h", "hand"),
]
DECISIONS = [
    Decision(TRIPLES[0].id, "accept", HOSTILE, "2026-11-22T09:00:00Z"),
    Decision(TRIPLES[1].id, "reject", "bob", "", "no <wings>", "audit"),
    Decision("t_elsewhere", "reject", "bob"),
]
FORMATS = {".ttl": ox.RdfFormat.TURTLE, ".nq": ox.RdfFormat.N_QUADS, ".jsonld": ox.RdfFormat.JSON_LD}


@pytest.fixture(params=FORMATS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ox.Store:
    path = tmp_path / f"p{request.param}"
    write_provenance(path, TRIPLES, BATCHES, DECISIONS)
    found = ox.Store()
    found.load(path=path, format=FORMATS[request.param])
    return found


def rows(store: ox.Store, query: str) -> list[tuple[str, ...]]:
    found = store.query(query, prefixes=PREFIXES)
    assert isinstance(found, ox.QuerySolutions)
    return sorted(tuple(term.value for term in row) for row in found)


def test_a_triple_leads_to_its_model_prompt_and_request(store: ox.Store) -> None:
    query = (
        f"SELECT ?model ?prompt ?source ?at {{ triple:{TRIPLES[0].id} prov:wasGeneratedBy ?a ; "
        "prov:wasDerivedFrom ?source . ?a prov:wasAssociatedWith ?model ; prov:used ?prompt ; prov:endedAtTime ?at . "
        "?model a prov:SoftwareAgent . ?prompt a prov:Plan }"
    )
    assert rows(store, query) == [
        (
            "urn:symdistill:model:qwen",
            "urn:symdistill:prompt:triple-tails%2F1",
            "urn:symdistill:source:r1_abc",
            "2026-11-22T08:00:00Z",
        )
    ]


def test_a_rejected_triple_is_invalidated_by_its_review(store: ox.Store) -> None:
    query = (
        "SELECT ?t ?person ?note { ?t prov:wasInvalidatedBy ?r . ?r prov:wasAssociatedWith ?person ; sd:note ?note . "
        "?person a prov:Person }"
    )
    assert rows(store, query) == [
        (f"urn:symdistill:triple:{TRIPLES[1].id}", "urn:symdistill:person:bob", "no <wings>"),
    ]
    assert len(rows(store, "SELECT ?r { ?r sd:verdict ?v }")) == 2, "decisions on other triples are left out"


REVERSALS = {
    "all took it back": (("ann reject", "bob reject", "ann accept", "bob accept"), []),
    "one took it back": (("ann reject", "bob reject", "ann accept"), []),
    "one is not sure any more": (("ann reject", "bob reject", "ann unsure"), ["review:2"]),
    "rejected in the end": (("ann reject", "ann accept", "ann reject", "bob reject"), ["review:3", "review:4"]),
}


@pytest.mark.parametrize("case", REVERSALS)
def test_only_what_stands_as_rejected_is_invalidated_by_the_last_decision_of_each(tmp_path: Path, case: str) -> None:
    made, expected = REVERSALS[case]
    decisions = [Decision(TRIPLES[0].id, verdict, who) for who, verdict in (one.split() for one in made)]  # type: ignore[arg-type]
    write_provenance(tmp_path / "p.nq", TRIPLES, BATCHES, decisions)
    store = ox.Store()
    store.load(path=tmp_path / "p.nq", format=ox.RdfFormat.N_QUADS)
    found = rows(store, "SELECT ?r { ?t prov:wasInvalidatedBy ?r }")
    assert [review.removeprefix("urn:symdistill:") for (review,) in found] == expected
    assert len(rows(store, "SELECT ?r { ?r sd:verdict ?v }")) == len(decisions), "every decision is written down"


def test_names_stay_names(store: ox.Store) -> None:
    assert not rows(store, "SELECT ?o { <urn:evil> ?p ?o }")
    (person, *_) = rows(store, 'SELECT ?p { ?r sd:verdict "accept" ; prov:wasAssociatedWith ?p }')[0]
    assert person.startswith("urn:symdistill:person:ann%3E")


def test_provenance_alone_holds_no_triples(tmp_path: Path) -> None:
    write_provenance(tmp_path / "p.ttl", TRIPLES, BATCHES, DECISIONS)
    found = read_triples(tmp_path / "p.ttl")
    assert found.triples == ()
    assert {b.id for b in found.batches} == {"t-1", "h"}
    with pytest.raises(DataError, match="cannot hold PROV"):
        write_provenance(tmp_path / "p.tsv", TRIPLES, BATCHES, DECISIONS)
