"""Replies of teachers, in the forms real models give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.triples import load_schema
from symdistill.knowledge.triples.parsing import Part, parse_list, parse_triples

SCHEMA = load_schema("atomic")
WANT = SCHEMA.relations["xWant"]

LISTS = {
    "numbered": (
        "1. to rest\n2. to eat soup.\n3) to call **PersonY**",
        "list",
        ["to rest", "to eat soup", "to call PersonY"],
    ),
    "bulleted": ("- to rest\n* to eat\n• to sleep", "list", ["to rest", "to eat", "to sleep"]),
    "with words around": (
        "Sure! Here are some answers:\n\n1. to rest\n2. to eat\n\nI hope this helps!",
        "list",
        ["to rest", "to eat"],
    ),
    "bare lines": ("to rest\nto eat\n", "lines", ["to rest", "to eat"]),
    "one line": ("To rest.", "lines", ["To rest"]),
    "on one line": ("1. to rest 2. to eat 3. to go to 10 shops", "list", ["to rest", "to eat", "to go to 10 shops"]),
    "json": ('["to rest", "to eat"]', "json", ["to rest", "to eat"]),
    "json in a fence": ('```json\n{"answers": ["to rest", "to eat"]}\n```', "json", ["to rest", "to eat"]),
    "json of objects": (
        '[{"id": "1", "answer": "to rest"}, {"id": "2", "answer": "to eat"}]',
        "json",
        ["to rest", "to eat"],
    ),
    "quoted": ('1. "to rest"\n2. “to eat”', "list", ["to rest", "to eat"]),
    "windows line ends": ("1. to rest\r\n2. to eat\r\n", "list", ["to rest", "to eat"]),
    "thinking before": ("<think>Hm.\n1. no</think>\n1. to rest", "list", ["to rest"]),
    "words of the question": ("1. PersonX wants to rest\n2. wants to eat", "list", ["to rest", "wants to eat"]),
    "the same twice": ("1. to rest\n2. To rest.\n3. rest", "list", ["to rest", "rest"]),
    "nothing": ("None.", "nothing", []),
    "nothing, numbered": ("1. none\n2. N/A", "nothing", []),
    "no text": ("  \n ", "empty", []),
    "a refusal": ("I'm sorry, but I can't help with that.", "refusal", []),
    "prose": (
        "In such a case there are very many things that a person might want to do, and which of them comes first "
        "depends on the person and on the day, so there is no answer that holds for all.",
        "unstructured",
        [],
    ),
    "placeholders": ("1. ...\n2. [answer]\n3. to rest", "list", ["to rest"]),
    "the head again": ("1. PersonX is tired\n2. to rest", "list", ["to rest"]),
    "broken json": ('["to rest", "to eat', "lines", None),
    "a long explanation": ("1. to rest\n2. " + "because " * 40, "list", ["to rest"]),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_are_read(case: str) -> None:
    text, form, items = LISTS[case]
    reply = parse_list(text, head="PersonX is tired", relation=WANT)
    assert reply.form == form
    if items is not None:
        assert list(reply.items) == items


@pytest.mark.parametrize(
    "text, dropped",
    [
        ("Sure:\n1. to rest\n2. none\n3. to rest\n4. ...", ["not_listed", "nothing", "repeated", "placeholder"]),
        ("1. PersonX is tired\n2. to hum", ["repeats_head", "copied_example"]),
    ],
)
def test_what_is_not_taken_is_told_with_the_reason(text: str, dropped: list[str]) -> None:
    reply = parse_list(text, head="PersonX is tired", examples=["To hum"])
    assert [reason for _, reason in reply.dropped] == dropped


def test_the_last_phrase_of_a_cut_reply_is_not_believed() -> None:
    reply = parse_list("1. to rest\n2. to call the fire", truncated=True)
    assert reply.items == ("to rest",)
    assert reply.dropped[-1][1] == "cut"
    assert reply.truncated


TRIPLES = {
    "pipes": ("PersonX is late | xWant | to hurry\nrain | Causes | wet streets", "table", 2),
    "numbered": ("1. PersonX is late | xWant | to hurry\n2. rain | causes | wet streets", "table", 2),
    "a table": (
        "| head | relation | tail |\n|---|:---:|---|\n| PersonX is late | xWant | to hurry |\n"
        "| rain | Causes | wet streets |",
        "table",
        2,
    ),
    "brackets": ("(PersonX is late, xWant, to hurry)\n<rain | Causes | wet streets>", "table", 2),
    "arrows": ("PersonX is late → xWant → to hurry\nrain -> Causes -> wet streets", "table", 2),
    "tabs": ("PersonX is late\txWant\tto hurry\nrain\tCauses\twet streets", "table", 2),
    "objects": (
        '[{"head": "PersonX is late", "relation": "xWant", "tail": "to hurry"}, '
        '{"subject": "rain", "predicate": "CAUSES", "object": "wet streets"}]',
        "json",
        2,
    ),
    "an object around": (
        '{"triples": [["PersonX is late", "xWant", "to hurry"], ["rain", "Causes", "wet streets"]]}',
        "json",
        2,
    ),
    "lists": (
        '```json\n[["PersonX is late", "x_want", "to hurry"], ["rain", "Causes", "wet streets"]]\n```',
        "json",
        2,
    ),
    "one list": ('["PersonX is late", "xWant", "to hurry"]', "json", 1),
    "words around": ("Here are the facts:\nPersonX is late | xWant | to hurry\nThat is all.", "table", 1),
    "nothing": ("none", "nothing", 0),
    "no text": ("", "empty", 0),
    "a refusal": ("I cannot do that.", "refusal", 0),
    "prose": ("There are many facts here.", "unstructured", 0),
}
EXPECTED = [Part("PersonX is late", "xWant", "to hurry"), Part("rain", "Causes", "wet streets")]


@pytest.mark.parametrize("case", TRIPLES)
def test_triples_are_read(case: str) -> None:
    text, form, count = TRIPLES[case]
    reply = parse_triples(text, SCHEMA)
    assert reply.form == form
    assert list(reply.parts) == EXPECTED[:count]


@pytest.mark.parametrize(
    "line, reason",
    [
        ("rain | makes | wet streets", "unknown_relation"),
        ("rain | Causes", "not_three_parts"),
        ("a | Causes | b | c | d", "not_three_parts"),
        ("rain | Causes | none", "nothing"),
        ("rain | Causes | Rain.", "repeats_head"),
        ("rain | Causes | ...", "placeholder"),
        ("rain | Causes | " + "very " * 40 + "wet", "too_long"),
    ],
)
def test_lines_that_are_no_triples_are_told(line: str, reason: str) -> None:
    reply = parse_triples(f"{line}\nPersonX is late | xWant | to hurry", SCHEMA)
    assert list(reply.parts) == EXPECTED[:1]
    assert [why for _, why in reply.dropped] == [reason]


def test_confidence_is_taken_where_it_is_one() -> None:
    reply = parse_triples("a | Causes | b | 0.7\na | Causes | c | 7\na | Causes | d | sure", SCHEMA)
    assert [part.confidence for part in reply.parts] == [0.7, None, None]


def test_a_cut_reply_of_triples() -> None:
    reply = parse_triples("rain | Causes | wet streets\nPersonX is late | xWant | to hur", SCHEMA, truncated=True)
    assert list(reply.parts) == EXPECTED[1:]
    assert [why for _, why in reply.dropped] == ["cut"]


LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["1. a", "a | xWant | b", "- ", "```json", "[", '["a"]', "<think>", "|||", "1. " * 50, '{"a":' * 30]
        ),
    ),
    max_size=6,
).map("\n".join)


@given(text=LINES, truncated=st.booleans())
def test_no_reply_is_too_odd_to_be_read(text: str, truncated: bool) -> None:
    items = parse_list(text, truncated=truncated, relation=WANT, head="a")
    assert all(item.strip() and "\n" not in item for item in items.items)
    triples = parse_triples(text, SCHEMA, truncated=truncated)
    assert all(part.relation in SCHEMA.relations for part in triples.parts)


@pytest.mark.parametrize(
    "piece", ["1. " * 40_000, "[" * 100_000, "|" * 100_000, '{"a":' * 20_000, "a" * 1_000_000, "* \n" * 40_000]
)
def test_long_replies_are_read_in_bounded_time(piece: str) -> None:
    assert all(len(item) <= len(piece) for item in parse_list(piece).items)
    assert not parse_triples(piece, SCHEMA).parts, "none of them names a relation"
