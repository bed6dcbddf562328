"""Files of triples: what goes in comes out, in every format, whatever the texts hold."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symdistill.errors import DataError
from symdistill.knowledge.triples import Batch, Triple, canonical_hash, read_triples, write_triples
from symdistill.knowledge.triples.exchange import ENDINGS
from symdistill.knowledge.triples.store import TripleStore

HOSTILE = (
    'x" . <urn:evil> <urn:p> "owned',
    "'''\"\"\" ; a <urn:evil> ] }",
    "line\nbreak\r\ttab \\n \\ back\\slash",
    '</script><script>alert(1)</script>&amp;"',
    '"}]}, {"@id": "urn:evil"',
    "\x00\x1b[2J\x7f\u202eevil\u2028\ufeff",
    ":- evil. %* #script (python)",
    "naïve 日本 👩‍🔬 ___ {head} {tail} $1",
    "none",
    "t_0123",
)
RELATION = st.sampled_from(["xWant", "isBefore", "a b", "%7B", "été", ":"])
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: bool(text.strip())),
)
TRIPLE = st.builds(
    Triple,
    TEXT,
    RELATION,
    TEXT,
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.just(""), TEXT),
    st.one_of(st.just(""), TEXT),
)
BATCHES = (
    Batch("b/1 x_y", "teacher", "qwen: 1.5b", "triple-tails/1", "atomic", "run 1", "2026-11-22T08:00:00Z"),
    Batch("hand", "hand"),
)


@pytest.mark.parametrize("ending", [*ENDINGS, *(f"{e}.gz" for e in ENDINGS)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(triples=st.lists(TRIPLE, max_size=6))
def test_a_round_trip_keeps_the_hash(tmp_path: Path, ending: str, triples: list[Triple]) -> None:
    path = tmp_path / f"t{ending}"
    distinct = list({triple.id: triple for triple in triples}.values())
    assert write_triples(path, distinct, BATCHES) == len(distinct)
    found = read_triples(path)
    assert canonical_hash(found.triples) == canonical_hash(distinct)
    assert len(found.triples) == len(distinct)
    if not ending.startswith(".tsv"):
        assert sorted(found.batches, key=lambda b: b.id) == sorted(BATCHES, key=lambda b: b.id)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_triple_with_two_sources_is_written_twice_as_lines_and_once_as_rdf(tmp_path: Path, ending: str) -> None:
    one = Triple("a", "r", "b", 0.2, "x", "r1")
    given = [one, Triple("c", "r", "d", 0.5, "x"), replace(one, confidence=0.9, source="r2"), replace(one, batch="y")]
    merged = [replace(one, confidence=0.9), *given[1:2], given[3]]
    expected = given if ending in (".jsonl", ".tsv") else merged
    assert write_triples(tmp_path / f"t{ending}", given, [Batch("x", "hand")]) == len(expected)
    found = read_triples(tmp_path / f"t{ending}").triples
    assert len(found) == len(expected)
    assert canonical_hash(found) == canonical_hash(expected)


def test_rdf_and_a_graph_agree_about_a_triple_that_comes_again(tmp_path: Path) -> None:
    one = Triple("PersonX sings", "xWant", "to rest", 0.9, "x", "r1")
    given = [one, replace(one, confidence=0.2, source="r2"), replace(one, confidence=None, source="r3")]
    write_triples(tmp_path / "t.nq", given)
    store = TripleStore(tmp_path / "kg")
    store.add(given, [Batch("x", "hand")])
    assert list(read_triples(tmp_path / "t.nq").triples) == list(store.triples()) == [replace(one, confidence=0.2)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_hostile_text_stays_text(tmp_path: Path, ending: str) -> None:
    triples = [Triple(head, "xWant", tail, 0.5, "b", head) for head in HOSTILE for tail in HOSTILE]
    write_triples(tmp_path / f"t{ending}", triples)
    assert set(read_triples(tmp_path / f"t{ending}").triples) == set(triples)


def test_the_hash_is_of_the_set_and_of_every_field() -> None:
    one = Triple("a", "r", "b", 1, "x", "s")
    assert canonical_hash([one, Triple("c", "r", "d")]) == canonical_hash([Triple("c", "r", "d"), one, one])
    assert canonical_hash([one]) == canonical_hash([Triple("a", "r", "b", 1.0, "x", "s")])
    others = [
        *(Triple("A", "r", "b", 1, "x", "s"), Triple("a", "s", "b", 1, "x", "s"), Triple("a", "r", "c", 1, "x", "s")),
        *(Triple("a", "r", "b", None, "x", "s"), Triple("a", "r", "b", 1, "y", "s"), Triple("a", "r", "b", 1, "x", "")),
    ]
    assert len({canonical_hash([t]) for t in (one, *others)}) == 7


def test_the_same_triples_give_the_same_bytes(tmp_path: Path) -> None:
    triples = [Triple("a", "r", "b", 0.5), Triple("a", "r", "c")]
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_triples(tmp_path / name, triples, BATCHES)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


FOREIGN = {
    "several tails, some of them none": (
        "a.jsonl",
        '{"head": "PersonX sings", "relation": "xWant", "tails": ["to sing", "none", "N/A", "to stop"]}',
        [("PersonX sings", "xWant", "to sing"), ("PersonX sings", "xWant", "to stop")],
    ),
    "other names": (
        "a.jsonl",
        '{"subject": "apple", "predicate": "is", "object": "red", "score": 1}',
        [("apple", "is", "red")],
    ),
    "a tab-separated file without a head line": (
        "a.tsv",
        "PersonX eats\txWant\tto \\n rest\tx\nPersonX eats\txNeed\tnone\n\n",
        [("PersonX eats", "xWant", "to \\n rest")],
    ),
    "a tab-separated file with names of its own": (
        "a.tsv",
        "tail\thead\trelation\r\nred\tapple\tis\r\n",
        [("apple", "is", "red")],
    ),
    "edges with labels": (
        "a.ttl",
        "@prefix e: <http://e.org/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        'e:a1 rdfs:label "an apple" ; a e:Fruit ; e:kept_in e:cold_room ; e:colour "red" .',
        [("an apple", "kept_in", "cold room"), ("an apple", "colour", "red")],
    ),
    "a blank node with a label": (
        "a.nq",
        '_:a <http://e.org/p> "x" .\n_:a <http://www.w3.org/2000/01/rdf-schema#label> "it" .\n',
        [("it", "p", "x")],
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_files_of_other_programs_are_read(tmp_path: Path, case: str) -> None:
    name, text, expected = FOREIGN[case]
    (tmp_path / name).write_text(text)
    found = read_triples(tmp_path / name)
    assert sorted((t.head, t.relation, t.tail) for t in found.triples) == sorted(expected)


def test_what_was_left_out_is_counted_and_places_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('\n{"head": "a", "relation": "r", "tails": ["b", "none", "c"]}\n')
    found = read_triples(tmp_path / "a.jsonl")
    assert (found.nothing, list(found.places)) == (1, ["line 2", "line 2"])


DAMAGED = {
    "no json": ("a.jsonl", b'{"head": "a", "relation": "r", "tail": "b"}\n{oops', "line 2"),
    "no tail": ("a.jsonl", b'{"head": "a", "relation": "r"}', "line 1: there is no `tail`"),
    "blank tail": ("a.jsonl", b'{"head": "a", "relation": "r", "tail": " "}', "line 1: the tail is empty"),
    "a number for a head": ("a.jsonl", b'{"head": 3, "relation": "r", "tail": "b"}', "line 1: `head` is not text"),
    "half a surrogate": (
        "a.jsonl",
        b'{"head": "\\ud800", "relation": "r", "tail": "b"}',
        "line 1: half of a surrogate",
    ),
    "confidence above 1": (
        "a.jsonl",
        b'{"head": "a", "relation": "r", "tail": "b", "confidence": 1.5}',
        "line 1: a confidence of 1.5",
    ),
    "confidence of nothing": (
        "a.jsonl",
        b'{"head": "a", "relation": "r", "tail": "b", "confidence": NaN}',
        "line 1: a confidence of nan",
    ),
    "confidence in words": (
        "a.jsonl",
        b'{"head": "a", "relation": "r", "tail": "b", "confidence": "high"}',
        "line 1: `confidence` is not a number",
    ),
    "a passage": (
        "a.jsonl",
        b'{"head": "%s", "relation": "r", "tail": "b"}' % (b"a" * 2000),
        "line 1: the head has 2,000 characters",
    ),
    "tails that are no list": ("a.jsonl", b'{"head": "a", "relation": "r", "tails": "b"}', "line 1: `tails` is not a"),
    "a batch without an origin": ("a.jsonl", b'{"provenance": {"id": "b"}}', "line 1: unknown `origin`"),
    "a batch without an id": ("a.jsonl", b'{"provenance": {"origin": "hand"}}', "line 1: `provenance` is not a group"),
    "two cells": ("a.tsv", b"a\tr\tb\na\tr\n", "line 2: 2 cells"),
    "tsv confidence": ("a.tsv", b"head\trelation\ttail\tconfidence\na\tr\tb\tsure\n", "line 2: the confidence 'sure'"),
    "not utf-8": ("a.tsv", b"a\tr\tb\n\xff\tr\tb\n", "line 2: not UTF-8"),
    "not gzip": ("a.tsv.gz", b"a\tr\tb\n", "damaged after line 0"),
    "cut gzip": ("a.tsv.gz", gzip.compress(b"a\tr\tb\n" * 9)[:-9], "damaged after line"),
    "an endless line": ("a.tsv", b"a" * (1 << 20) + b"\tr\tb", "line 1: longer than a megabyte"),
    "cut n-quads": ("a.nq", b'<urn:a> <urn:r> <urn:b> .\n<urn:a> <urn:r> "b', "line 2: not valid nq"),
    "cut turtle": ("a.ttl", b"@prefix e: <urn:e> .\n e:a e:b ", "not valid ttl"),
    "cut json-ld": ("a.jsonld", b'[{"@id": "urn:a"', "not valid jsonld"),
    "a context on another machine": (
        "a.jsonld",
        b'{"@context": "http://127.0.0.1:9/context", "@id": "urn:a", "p": "b"}',
        "not valid jsonld",
    ),
    "a node without a name": ("a.nq", b'_:a <http://e.org/p> "x" .\n', "has no rdfs:label"),
    "half a statement": (
        "a.nq",
        b"<urn:s> <http://www.w3.org/1999/02/22-rdf-syntax-ns#subject> <urn:a> .\n",
        "has no rdf:predicate",
    ),
    "unknown ending": ("a.csv", b"", "is no format of triples"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    name, data, said = DAMAGED[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as raised:
        read_triples(tmp_path / name)
    assert said in str(raised.value)
    assert name in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_triples(tmp_path / "none.jsonl")


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_triples(path, [Triple("a", "r", "b")])

    def broken():
        yield Triple("c", "r", "d")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_triples(path, broken())
    assert [json.loads(line)["head"] for line in path.read_text().splitlines()] == ["a"]
    assert [p.name for p in tmp_path.iterdir()] == ["t.jsonl"]
