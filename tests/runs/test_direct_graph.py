"""What of a graph passes, and what is kept of it: a critic of words, a few triples, people who know better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from labelled import GOOD, heads, rows, write_rows
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.triples import Batch, Triple, load_schema, read_triples
from symdistill.knowledge.triples.review import Decision
from symdistill.knowledge.triples.store import TripleStore
from symdistill.runs.config import parse_config
from symdistill.runs.direct_graph import Graph, choose, keep_knowledge
from symdistill.runs.directory import RunDirectory
from symdistill.runs.workspace import Workspace

UNSEEN = heads(66)[60:]


def place_of(tmp_path: Path, labels: list[dict[str, Any]], triples: Sequence[Triple]) -> tuple[Workspace, TripleStore]:
    """A run whose teacher has written these triples."""
    section = {"labels": str(write_rows(tmp_path / "labels.jsonl", labels)), "critic": {"threshold": 0.5}}
    work = Workspace(parse_config({"direct": section}), RunDirectory(tmp_path / "run"))
    store = TripleStore(tmp_path / "run" / "graph", load_schema("atomic"))
    store.add([replace(t, batch="b") for t in triples], [Batch("b", "hand")])
    return work, store


def said(graph: Graph) -> list[tuple[str, str]]:
    return sorted((t.head, t.tail) for t in graph.accepted)


def test_of_what_contradicts_itself_the_critic_keeps_the_better_one(tmp_path: Path) -> None:
    labels = [
        {"head": head, "relation": "xWant", "tail": tail, "label": good}
        for head in heads()
        for wish in GOOD[:2]
        for tail, good in ((wish, True), (f"not {wish}", False))
    ]
    wishes = [(head, GOOD[n % 2]) for n, head in enumerate(UNSEEN)]
    both = [Triple(head, "xWant", tail) for head, wish in wishes for tail in (wish, f"not {wish}")]
    graph = choose(*place_of(tmp_path, labels, both))
    assert graph.lost["in a conflict"] == len(UNSEEN)
    assert said(graph) == sorted(wishes)


def test_what_people_rejected_does_not_pass(tmp_path: Path) -> None:
    wrong = {"head": UNSEEN[0], "relation": "xWant", "tail": "to sleep", "label": False}
    triples = [Triple(head, "xWant", "to sleep") for head in UNSEEN[:3]]
    work, store = place_of(tmp_path, [*rows(), wrong], triples)
    asked = {t.head: t.id for t in store.triples()}
    store.decide([Decision(asked[UNSEEN[1]], "reject", "ann")])
    graph = choose(work, store)
    assert said(graph) == [(UNSEEN[2], "to sleep")]
    assert graph.rejected == {asked[head] for head in UNSEEN[:2]}
    assert len(graph.triples) == 3, "they stay in the arm that learns everything"
    assert read_triples(work.directory.path / "direct" / "accepted.jsonl").triples == tuple(graph.accepted)
    store.decide([Decision(asked[UNSEEN[1]], "accept", "ann")])
    again = choose(work, store)
    assert said(again) == [(UNSEEN[1], "to sleep"), (UNSEEN[2], "to sleep")], "a decision counts without a new critic"


def test_what_passes_again_is_in_use_again(tmp_path: Path) -> None:
    work, store = place_of(tmp_path, rows(), [Triple(head, "xWant", "to sleep") for head in UNSEEN[:3]])
    graph = choose(work, store)
    assert len(graph.accepted) == 3

    def kept(heads: Sequence[str]) -> tuple[int, list[str]]:
        count = keep_knowledge(work, replace(graph, accepted=[t for t in graph.accepted if t.head in heads]))
        with KnowledgeBase(work.directory.knowledge, create=False) as base:
            return count, sorted(item.title for item in base.items(kind="triple"))

    assert kept(UNSEEN[:3]) == (3, sorted(UNSEEN[:3]))
    assert kept(UNSEEN[:1]) == (1, UNSEEN[:1])
    assert kept(UNSEEN[:2]) == (2, sorted(UNSEEN[:2]))
    with KnowledgeBase(work.directory.knowledge, create=False) as base:
        mine = next(item for item in base.items(kind="triple") if item.title == UNSEEN[0])
        base.edit(mine.id, by="ann", status="retired")
    assert kept(UNSEEN[:2]) == (1, UNSEEN[1:2]), "what a person took out stays out"
