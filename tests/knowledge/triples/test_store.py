"""The graph on disk: what comes in, what comes out, several processes, and damage."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from symdistill.errors import DataError, StoreError
from symdistill.knowledge.triples import Batch, Triple, canonical_hash, load_schema, read_triples, write_triples
from symdistill.knowledge.triples.review import Decision
from symdistill.knowledge.triples.schema import parse_schema
from symdistill.knowledge.triples.store import TripleStore

B1, B2 = Batch("b1", "hand"), Batch("b 2/ü", "teacher", "qwen", "triple-tails/1", at="2026-11-22T08:00:00Z")
TRIPLES = [
    Triple("PersonX is late", "xWant", "to hurry", 0.9, "b1", "line 1"),
    Triple("personx is late.", "xWant", "to run", None, "b1"),
    Triple("PersonX is late", "xWant", "to hurry", 0.1, "b 2/ü", "r1_abc"),
    Triple('"quoted"\n\\', "HasProperty", "\x00odd\u2028", 5e-324, "b 2/ü"),
]


@pytest.fixture
def store(tmp_path: Path) -> TripleStore:
    made = TripleStore(tmp_path / "graph")
    made.add(TRIPLES, [B1, B2])
    return made


def test_what_goes_in_comes_out(store: TripleStore) -> None:
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES)
    assert store.batches() == [B2, B1]
    assert [t.tail for t in store.triples(batch="b 2/ü", relation="xWant")] == ["to hurry"]
    again = TripleStore(store.path, create=False)
    assert again.schema == load_schema("atomic")
    assert canonical_hash(again.triples()) == canonical_hash(TRIPLES)


@pytest.mark.parametrize("ending", [".jsonl", ".tsv.gz", ".nq", ".ttl", ".jsonld"])
def test_a_graph_travels_as_a_file(store: TripleStore, tmp_path: Path, ending: str) -> None:
    write_triples(tmp_path / f"t{ending}", store.triples(), store.batches())
    read = read_triples(tmp_path / f"t{ending}")
    other = TripleStore(tmp_path / "other")
    other.add(read.triples, read.batches or [B1, B2])
    assert canonical_hash(other.triples()) == canonical_hash(TRIPLES)
    assert other.batches() == store.batches()


def test_adding_again_changes_nothing_and_another_confidence_replaces_the_old_one(store: TripleStore) -> None:
    done = store.add(TRIPLES, [B1, replace(B2, at="2026-11-23T09:00:00Z")])
    assert store.batches() == [B2, B1], "the first description stands"
    assert (done.new, done.rescored, done.unchanged) == (0, 0, 4)
    scored = Triple("PersonX is late", "xWant", "to hurry", 0.25, "b1", "line 1")
    new = Triple("PersonX is late", "xNeed", "to oversleep", None, "b1")
    done = store.add([scored, new, new])
    assert (done.new, done.rescored, done.unchanged) == (1, 1, 1)
    assert canonical_hash(store.triples()) == canonical_hash([scored, *TRIPLES[1:], new])


def test_a_triple_without_confidence_leaves_the_known_one(store: TripleStore) -> None:
    store.add([Triple("PersonX is late", "xWant", "to hurry", None, "b1", "line 1")])
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES)


def test_of_two_sources_of_a_triple_the_first_stands(store: TripleStore) -> None:
    one, other = (Triple("PersonX sings", "xWant", "to rest", p, "b1", s) for p, s in ((0.5, "r1_a"), (0.75, "r0_b")))
    store.add([one, other])
    scored = replace(one, confidence=0.75)
    assert canonical_hash(store.triples(batch="b1")) == canonical_hash([*TRIPLES[:2], scored])
    done = store.add([other])
    assert (done.new, done.rescored, done.unchanged) == (0, 0, 1)
    done = store.add([replace(other, confidence=0.25)])
    assert (done.new, done.rescored, done.unchanged) == (0, 1, 0)
    assert set(store.triples(batch="b1")) == {*TRIPLES[:2], replace(one, confidence=0.25)}
    said = store.query(f"SELECT ?source {{ triple:{one.id} prov:wasDerivedFrom ?source }}").rows
    assert [row[0].value for row in said] == ["urn:symdistill:source:r1_a"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "bad, said",
    [
        (Triple("a", "xwant", "b", None, "b1"), "has no relation `xwant`"),
        (Triple("a", "xWant", "b", None, "b9"), "Nothing is said of the batch 'b9'"),
        (Triple("a", "xWant", "b"), "batch"),
        (Triple("", "xWant", "b", None, "b1"), "the head is empty"),
        (Triple("a", "xWant", "b", 2.0, "b1"), "a confidence of 2.0"),
    ],
)
def test_what_makes_no_sense_is_refused_whole(store: TripleStore, bad: Triple, said: str) -> None:
    with pytest.raises(DataError, match=said):
        store.add([Triple("new", "xWant", "new", None, "b1"), bad])
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES)


def test_many_are_added_in_parts(store: TripleStore) -> None:
    many = [Triple(f"PersonX counts to {n}", "xWant", "to rest", 0.5, "b1") for n in range(6_000)]
    assert store.add(many).new == 6_000
    assert sum(1 for _ in store.triples()) == 6_004


def test_an_empty_graph(tmp_path: Path) -> None:
    store = TripleStore(tmp_path / "graph", parse_schema('name: x\nrelations: {r: {verbalise: "{head} {tail}"}}'))
    assert (list(store.triples()), store.batches(), store.decisions()) == ([], [], [])
    assert store.query("SELECT * { ?s ?p ?o }").rows == ()
    assert store.schema.name == "x"


def test_an_import_that_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    store = TripleStore(tmp_path / "graph")
    (store.path / "graph.part").mkdir()
    (store.path / "graph.part" / "half").write_text("written")
    assert list(store.triples()) == []
    store.add(TRIPLES, [B1, B2])
    assert canonical_hash(store.triples()) == canonical_hash(TRIPLES)
    assert not (store.path / "graph.part").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_a_process_that_is_killed_while_adding_leaves_whole_triples(tmp_path: Path, seconds: float) -> None:
    many = [Triple(f"PersonX counts to {n}", "xWant", f"to rest {n}", 0.5, "b1", "s") for n in range(6_000)]
    write_triples(tmp_path / "t.jsonl", many)
    store = TripleStore(tmp_path / "graph")
    store.add(many[:1], [B1])
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from symdistill.knowledge.triples import read_triples\n"
        "from symdistill.knowledge.triples.store import TripleStore\n"
        f"read = read_triples(Path({str(tmp_path / 't.jsonl')!r}))\n"
        f"store = TripleStore({str(store.path)!r})\n"
        "print('adding', flush=True)\nstore.add(read.triples)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
    there = list(store.triples())
    assert set(there) <= set(many)
    done = store.add(many)
    assert done.new == len(many) - len(there)
    assert canonical_hash(store.triples()) == canonical_hash(many)


def test_another_schema_is_refused(store: TripleStore) -> None:
    with pytest.raises(DataError, match="follows another schema"):
        TripleStore(store.path, parse_schema('name: x\nrelations: {r: {verbalise: "{head} {tail}"}}'))


def test_where_nothing_was_added_another_schema_is_taken(tmp_path: Path) -> None:
    TripleStore(tmp_path / "graph")
    mine = parse_schema('name: x\nrelations: {r: {verbalise: "{head} {tail}"}}')
    assert TripleStore(tmp_path / "graph", mine).schema == mine
    again = TripleStore(tmp_path / "graph")
    assert again.schema == mine
    again.add([Triple("a", "r", "b", None, "b1")], [B1])
    with pytest.raises(DataError, match="follows another schema"):
        TripleStore(tmp_path / "graph", load_schema("atomic"))


def test_no_graph_and_none_to_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no graph"):
        TripleStore(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_damaged_graph_is_told(store: TripleStore) -> None:
    for file in (store.path / "graph").glob("CURRENT"):
        file.write_text("damaged")
    with pytest.raises(StoreError, match="Cannot use the graph"):
        list(store.triples())


def test_a_process_that_writes_keeps_others_out(store: TripleStore) -> None:
    hold = (
        "import fcntl, sys, time\n"
        f"lock = open({str(store.path / '.lock')!r}, 'a')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for use in (lambda: list(store.triples()), lambda: store.add([]), lambda: store.query("ASK { ?s ?p ?o }")):
            with pytest.raises(StoreError, match="Another process uses the graph"):
                use()
        process.communicate()
    assert len(list(store.triples())) == 4


def test_readers_do_not_keep_each_other_out(store: TripleStore) -> None:
    reading = store.triples()
    next(reading)
    assert store.query("ASK { ?s rel:xWant ?o }").answer is True
    assert len(list(store.triples())) == 4


def test_decisions_are_appended(store: TripleStore) -> None:
    first = [
        Decision("t_1", "accept", "ann"),
        Decision("t_2", "reject", "ann", "2026-11-22T08:00:00Z", "no\nsense", "audit"),
    ]
    store.decide(first)
    store.decide([Decision("t_1", "unsure", "bob")])
    assert store.decisions() == [*first, Decision("t_1", "unsure", "bob")]
