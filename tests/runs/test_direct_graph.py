"""What of a graph passes, and what is kept of it: a critic of words, a few triples, people who know better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from labelled import BAD, GOOD, heads, rows, write_rows
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.triples import Batch, Triple, load_schema, read_triples
from symdistill.knowledge.triples.review import Decision
from symdistill.knowledge.triples.store import TripleStore
from symdistill.runs.config import parse_config
from symdistill.runs.direct_graph import Graph, choose, divided, is_learned, keep_knowledge
from symdistill.runs.directory import RunDirectory
from symdistill.runs.workspace import Workspace
from symdistill.training.critic_labels import read_triple_labels, split_labels
from symdistill.training.settings import CriticSettings

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


def test_what_is_not_asked_for_any_more_is_left_out(tmp_path: Path) -> None:
    triples = [Triple(head, "xWant", "to sleep") for head in UNSEEN] + [Triple(UNSEEN[0], "xReact", "happy")]
    work, store = place_of(tmp_path, rows(), triples)
    (store.path / "heads.txt").write_text("".join(f"{head}\n" for head in UNSEEN[:2]))
    work = replace_direct(work, relations=["xWant"])
    graph = choose(work, store)
    assert [(t.head, t.relation) for t in graph.written] == [(head, "xWant") for head in UNSEEN[:2]]
    assert "5 triples in graph/ are about heads or relations that are not asked for any more." in graph.notes


def replace_direct(work: Workspace, **direct: Any) -> Workspace:
    section = {**work.config.model_dump(mode="json")["direct"], **direct}
    return Workspace(parse_config({"direct": section}), work.directory)


def judged(store: TripleStore, good: Sequence[str], slice_: Any = "audit") -> None:
    """People judge every triple, drawn at random."""
    decided = [Decision(t.id, "accept" if t.tail in good else "reject", "ann", slice=slice_) for t in store.triples()]
    store.decide(decided)


def test_the_critic_is_measured_on_a_random_slice_of_the_graph_itself(tmp_path: Path) -> None:
    tails = (*GOOD[:2], *BAD[:2])
    many = [f"PersonX {verb} the {thing}" for verb in ("eats", "sees", "draws") for thing in ("moon", "soup", "door")]
    triples = [Triple(head, "xWant", tail) for head in [*many, *UNSEEN] for tail in tails]
    work, store = place_of(tmp_path, rows(), triples)
    assert choose(work, store).reviewed is None
    judged(store, GOOD, "queue")
    assert choose(work, store).reviewed is None, "what was doubtful is no fair sample"
    judged(store, GOOD[1:])
    graph = choose(work, store)
    found = graph.reviewed
    assert found is not None
    assert (found["n"], found["before"]["count"], found["known"]) == (60, 15, 0)
    assert (found["chosen"]["kept"]["count"], found["chosen"]["precision"]["count"]) == (30, 15), (
        "the critic's own word counts, although what people rejected does not pass"
    )
    assert len(graph.accepted) == 15


def test_what_people_rejected_stays_in_what_their_slice_says(tmp_path: Path) -> None:
    """A rejected triple loses to what contradicts it; among what is left of the slice all would be good."""
    labels = [
        {"head": head, "relation": "xWant", "tail": tail, "label": good}
        for head in heads()
        for tail, good in ((GOOD[0], True), (f"not {GOOD[0]}", False))
    ]
    both = [Triple(head, "xWant", tail) for head in UNSEEN for tail in (GOOD[0], f"not {GOOD[0]}")]
    work, store = place_of(tmp_path, labels, both)
    judged(store, GOOD)
    graph = choose(work, store)
    assert {t.tail for t in graph.triples} == {GOOD[0]}
    assert graph.reviewed is not None
    assert (graph.reviewed["n"], graph.reviewed["before"]["count"]) == (12, 6)


def test_heads_that_the_critic_learned_about_say_nothing_of_the_graph(tmp_path: Path) -> None:
    own = heads()
    work, store = place_of(tmp_path, rows(), [Triple(head, "xWant", GOOD[0]) for head in [*own, *UNSEEN]])
    judged(store, GOOD)
    graph = choose(work, store)
    sides = graph.critic.report["sides"]
    assert graph.reviewed is not None
    assert graph.reviewed["known"] == sides["train"]["heads"] + sides["validation"]["heads"]
    assert graph.reviewed["n"] == len(UNSEEN) + sides["held_out"]["heads"]


def test_the_part_of_a_head_in_the_critic_says_nothing_about_its_side_for_students(tmp_path: Path) -> None:
    many = [f"PersonX does thing {n}" for n in range(600)]
    labels = [{"head": h, "relation": "xWant", "tail": t, "label": t in GOOD} for h in many for t in (GOOD[0], BAD[0])]
    work, _ = place_of(tmp_path, labels, [])
    read = read_triple_labels(tmp_path / "labels.jsonl", load_schema("atomic"))
    own, judges = divided(replace_direct(work, judge={"share": 0.4}), read, load_schema("atomic"))
    sides = {"judge": judges, **split_labels(own, CriticSettings())}
    for name, labelled in sides.items():
        found = {one.group for one in labelled}
        assert 0.68 < sum(is_learned(head, work) for head in found) / len(found) < 0.92, name
