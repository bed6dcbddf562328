"""What a text says in a graph's words, and whether that can hold beside the graph."""

from __future__ import annotations

import pytest

pytest.importorskip("clingo")

from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.contradiction import Contradictions
from symdistill.knowledge.triples.schema import Relation, load_schema, parse_schema

SCHEMA = parse_schema(
    """
name: kitchen
relations:
  keptIn: {functional: true, verbalise: "{head} is kept in the {tail}", inverse: holds}
  holds: {verbalise: "the {head} holds {tail}"}
  near: {symmetric: true, disjoint: [farFrom], verbalise: "{head} stands near {tail}"}
  farFrom: {symmetric: true, verbalise: "{head} stands far from {tail}"}
  isA: {verbalise: "{head} is {tail}"}
  long: {verbalise: "{head}. That is {tail}."}
  then: {verbalise: "{head}. So now, it is {tail}."}
  fills: {functional: true, verbalise: 'In "{head}" the hole can be filled by {tail}'}
"""
)
GRAPH = [
    Triple("apple", "keptIn", "pantry"),
    Triple("cup", "keptIn", "kitchen"),
    Triple("oven", "near", "sink"),
    Triple("soup", "isA", "hot"),
    Triple("the glass falls", "then", "broken"),
    Triple("the ___ is full", "fills", "fork"),
]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("An apple is kept in the pantry.", 0.0),
        ("An apple is kept in the cellar.", 1.0),
        ("So the apple is kept in the cellar.\nThe cup is kept in the kitchen.", 0.5),
        ("the cellar holds apple", 1.0),
        ("the pantry holds apple", 0.0),
        ("oven stands far from sink", 1.0),
        ("sink stands far from oven", 1.0),
        ("oven stands far from table", 0.0),
        ("soup is not hot", 1.0),
        ("soup is hot", 0.0),
        ("pear is kept in the cellar", 0.0),
        ("2 + 3 = 5. Therefore, the answer is 5.", 0.0),
        ("apple. That is kept.", 0.0),
        ("The glass falls. So now, it is broken.", 0.0),
        ("The glass falls. So now, it is not broken.", 1.0),
        ("Then the glass falls, so now, it is not broken. It is whole.", 1.0),
        ("The glass falls. Then it rests. So now, it is not broken.", 0.0),
        ('In "the ___ is full" the hole can be filled by spoon.', 1.0),
        ('In "the ___ is full" the hole can be filled by fork.', 0.0),
        ("", 0.0),
        ("( .* [ {head} is kept in the {tail}", 0.0),
    ],
)
def test_the_share_of_checkable_statements_that_conflict(text: str, share: float) -> None:
    assert Contradictions(SCHEMA, GRAPH).share(text) == share


def test_statements_are_about_what_the_graph_knows_and_stand_once() -> None:
    text = "Apple is kept in the cellar; the apple is kept in the cellar! A pear is kept in the cellar. Apples are red."
    assert Contradictions(SCHEMA, GRAPH).statements(text) == [Triple("apple", "keptIn", "cellar")]


def test_what_a_graph_does_not_say_is_no_contradiction() -> None:
    assert Contradictions(SCHEMA, []).share("an apple is kept in the cellar") == 0.0
    assert Contradictions(SCHEMA, GRAPH).share("apple stands near sink. apple stands far from sink") == 0.0


ATOMIC = load_schema("atomic")


@pytest.mark.parametrize("relation", ATOMIC.relations.values(), ids=lambda relation: relation.id)
def test_every_relation_of_the_schema_that_is_shipped_can_be_read(relation: Relation) -> None:
    triples = [Triple(head, relation.id, tail) for head, tail in relation.examples]
    graph = Contradictions(ATOMIC, triples)
    for triple in triples:
        text = f"Well. {relation.sentence(triple.head, triple.tail)}"
        assert triple.fact in [statement.fact for statement in graph.statements(text)]
        assert graph.checkable(text)
        assert graph.share(text) == 0
    assert (graph.unread(), graph.blind()) == ([], False)


def test_a_wording_that_cannot_be_told_is_named() -> None:
    schema = parse_schema(
        """
name: kitchen
relations:
  one: {verbalise: "{head} is with {tail}"}
  other: {verbalise: "{head} is with {tail}"}
  holds: {verbalise: "{head} holds {tail}"}
"""
    )
    pan = Triple("pan", "other", "lid")
    assert Contradictions(schema, [pan]).unread() == ["other"]
    assert Contradictions(schema, [pan]).blind(), "what it holds cannot be told in a text"
    assert not Contradictions(schema, [pan, Triple("pan", "holds", "soup")]).blind()
    assert Contradictions(schema, []).blind()


def test_a_long_text_takes_no_time_to_speak_of() -> None:
    assert Contradictions(SCHEMA, GRAPH).share("apple is kept in the " * 20_000) == 0.0
