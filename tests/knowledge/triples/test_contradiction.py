"""What a text says in a graph's words, and whether that can hold beside the graph."""

from __future__ import annotations

import pytest

pytest.importorskip("clingo")

from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.contradiction import Contradictions
from symdistill.knowledge.triples.schema import parse_schema

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
"""
)
GRAPH = [
    Triple("apple", "keptIn", "pantry"),
    Triple("cup", "keptIn", "kitchen"),
    Triple("oven", "near", "sink"),
    Triple("soup", "isA", "hot"),
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


def test_a_long_text_takes_no_time_to_speak_of() -> None:
    assert Contradictions(SCHEMA, GRAPH).share("apple is kept in the " * 20_000) == 0.0
