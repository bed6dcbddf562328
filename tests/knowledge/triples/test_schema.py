"""Relation schemas: what a file may say, every way it may be wrong, and the one that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.triples import Triple, load_schema
from symdistill.knowledge.triples.schema import parse_schema

KITCHEN = """
name: kitchen
types:
  event: {contains: [PersonX]}
  thing: {without: [PersonX], most_words: 3}
  room: {values: [Kitchen, pantry]}
disjoint_types: [[event, thing]]
heads: [PersonX peels an apple]
relations:
  keptIn:
    domain: thing
    range: room
    functional: true
    verbalise: "{head} is kept in the {tail}"
    examples: [[apple, pantry]]
  holds: {inverse: keptIn, verbalise: "the {head} holds {tail}"}
  beside: {symmetric: true, disjoint: [touches], verbalise: "{head} is beside {tail}"}
  touches: {verbalise: "{head} touches {tail}."}
"""


def relations(text: str) -> str:
    return f"name: x\nrelations:\n{text}"


def test_a_schema_says_what_follows_from_it() -> None:
    schema = parse_schema(KITCHEN)
    kept, holds = schema.relations["keptIn"], schema.relations["holds"]
    assert (kept.inverse, holds.inverse) == ("holds", "keptIn")
    assert (holds.domain, holds.range) == ("room", "thing"), "an inverse takes over the types the other way round"
    assert schema.relations["touches"].disjoint == ("beside",), "what is disjoint is so from both sides"
    assert kept.examples == (("apple", "pantry"),)
    assert schema.heads == ("PersonX peels an apple",)
    assert parse_schema(schema.text) == schema


@pytest.mark.parametrize(
    "written, read", [("2", "2"), ("1.10", "1.1"), ('"1.10"', "1.10"), ("2026-11-22", "2026-11-22")]
)
def test_a_version_is_a_number_or_text(written: str, read: str) -> None:
    assert parse_schema(f"name: x\nversion: {written}\nrelations:\n{GOOD}").version == read


@pytest.mark.parametrize(
    "name, text, why",
    [
        ("event", "PersonX eats", ""),
        ("event", "person x eats", ""),
        ("event", "PersonXs eats", "contains none of PersonX"),
        ("thing", "a red apple", ""),
        ("thing", "a very red apple", "has 4 words, at most 3"),
        ("thing", "PersonX's apple", "contains PersonX"),
        ("room", "  KITCHEN. ", ""),
        ("room", "cellar", "is none of the 2 values"),
    ],
)
def test_types_are_told_by_their_texts(name: str, text: str, why: str) -> None:
    assert parse_schema(KITCHEN).types[name].misfit(text) == why


@pytest.mark.parametrize(
    "head, relation, tail, sentence",
    [
        ("apple", "keptIn", "pantry", "Apple is kept in the pantry"),
        ("{tail}", "keptIn", "{head}", "{tail} is kept in the {head}"),
        ("a", "touches", "b.", "A touches b."),
        ("\\1", "touches", "\\g<0>", "\\1 touches \\g<0>."),
    ],
)
def test_verbalisation_puts_texts_in_as_they_are(head: str, relation: str, tail: str, sentence: str) -> None:
    assert parse_schema(KITCHEN).verbalise(Triple(head, relation, tail)) == sentence


GOOD = '  r: {verbalise: "{head} r {tail}"}\n'


@pytest.mark.parametrize(
    "text, line, said",
    [
        ("", None, "is empty"),
        ("- a", 1, "a group of keys is wanted, not a list"),
        ("name: x", None, "has no `relations`"),
        (f"relations:\n{GOOD}", None, "has no `name`"),
        ("name: x\nrelations: {}", 2, "there is no relation in it"),
        (f"name: x\nrelatoins:\n{GOOD}", 2, "unknown key"),
        (relations("  r: {}"), 3, "there is no `verbalise`"),
        (relations('  r: {verbalise: "{head} only"}'), 3, "{head} and {tail} have to stand in it once each"),
        (relations('  r: {verbalise: "{head} {tail} {tail}"}'), 3, "once each"),
        (relations('  r: {verbalize: "{head} {tail}"}'), 3, "unknown key"),
        (relations('  r: {verbalise: "{head} {tail}", functional: 1}'), 3, "true or false is wanted, not 1"),
        (relations('  r: {verbalise: "{head} {tail}", domain: event}'), 3, "there is no type `event`"),
        (relations('  r: {verbalise: "{head} {tail}", inverse: s}'), 3, "there is no relation `s`"),
        (relations('  r: {verbalise: "{head} {tail}", inverse: r}'), 3, "it is its own inverse"),
        (relations('  r: {verbalise: "{head} {tail}", disjoint: [r]}'), 3, "nothing is disjoint with itself"),
        (relations('  r: {verbalise: "{head} {tail}", examples: [[a]]}'), 3, "a pair is wanted"),
        (relations('  "r s": {verbalise: "{head} {tail}"}'), 3, "an id is a letter"),
        (relations('  on: {verbalise: "{head} {tail}"}'), 3, "keys are words"),
        (relations(f"{GOOD}{GOOD}"), 4, "the key stands twice, first on line 3"),
        (relations('  r: {verbalise: "{head} {tail}"'), None, "not YAML"),
        ("name: &a x\nrelations: *a", 2, "an alias"),
        (relations("  r: &r\n    verbalise: x\n  s: *r"), 5, "an alias"),
        (f"name: x\nrelations:\n{GOOD}types:\n  t: {{most_words: 0}}", 5, "a whole number above 0"),
        (f"name: x\ntypes: {{a: {{}}}}\ndisjoint_types: [[a, a]]\nrelations:\n{GOOD}", 3, "nothing is disjoint"),
        (f"name: x\ntypes: {{a: {{}}}}\ndisjoint_types: [[a, b]]\nrelations:\n{GOOD}", 3, "there is no type `b`"),
        (f"name: x\nversion: [1]\nrelations:\n{GOOD}", 2, "`version`: text is wanted, not a list"),
        (f"name: x\nversion: {{a: 1}}\nrelations:\n{GOOD}", 2, "`version`: text is wanted, not a group of keys"),
        (f"name: x\nversion: true\nrelations:\n{GOOD}", 2, "`version`: text is wanted, not true"),
        (f"name: x\nversion:\nrelations:\n{GOOD}", 2, "`version`: text is wanted, not nothing"),
        (f"name: 2020-02-30\nrelations:\n{GOOD}", 1, "cannot be read"),
        (f"name: [x]\nrelations:\n{GOOD}", 1, "text is wanted, not a list"),
    ],
)
def test_a_malformed_schema_is_told_by_file_and_line(text: str, line: int | None, said: str) -> None:
    with pytest.raises(DataError) as raised:
        parse_schema(text, "mine.yaml")
    assert said in raised.value.message
    assert raised.value.message.startswith(f"mine.yaml, line {line}" if line else "mine.yaml")
    assert raised.value.fix


def test_where_no_type_is_defined_the_way_out_says_so() -> None:
    with pytest.raises(DataError) as raised:
        parse_schema(relations('  r: {verbalise: "{head} {tail}", domain: event}'), "mine.yaml")
    assert raised.value.fix == "None is defined there: define it, or take the name out."


CYCLES = {
    "a third one": ("inverse: b", "inverse: c", "inverse: a", "a → b → c → a"),
    "not back": ("inverse: b", "inverse: c", "functional: true", "a → b → c"),
    "two claim one": ("functional: true", "inverse: c", "inverse: a", "b → c → a"),
}


@pytest.mark.parametrize("case", CYCLES)
def test_an_inverse_that_does_not_come_back_is_refused(case: str) -> None:
    *given, chain = CYCLES[case]
    lines = [f'  {name}: {{verbalise: "{{head}} {{tail}}", {key}}}' for name, key in zip("abc", given, strict=True)]
    with pytest.raises(DataError, match=f"inverses go .*{chain[-1]}"):
        parse_schema(relations("\n".join(lines)))


@pytest.mark.parametrize(
    "first, second, said",
    [
        ("inverse: s, domain: a", "range: b", "the domain is a, and the range of `s` is b"),
        ("inverse: s", "symmetric: true", "`s` is symmetric, its own inverse"),
        ("inverse: s, symmetric: true", "domain: a", "a symmetric relation is its own inverse"),
        ("symmetric: true, domain: a", "domain: a", "one type on both sides"),
    ],
)
def test_inverse_and_symmetric_have_to_fit_the_types(first: str, second: str, said: str) -> None:
    lines = [f'  {name}: {{verbalise: "{{head}} {{tail}}", {key}}}' for name, key in (("r", first), ("s", second))]
    with pytest.raises(DataError, match=said):
        parse_schema("types: {a: {}, b: {}}\n" + relations("\n".join(lines)))


def test_an_unknown_relation_names_the_one_that_was_meant() -> None:
    with pytest.raises(DataError, match="line 3: the schema `kitchen` has no relation `keptin`") as raised:
        parse_schema(KITCHEN).relation("keptin", "line 3")
    assert "`keptIn`" in raised.value.fix


def test_the_relations_of_atomic_ship() -> None:
    schema = load_schema("atomic")
    assert len(schema.relations) == 23
    assert {"xAttr", "xWant", "xNeed", "xReact", "xEffect", "xIntent", "HinderedBy"} <= set(schema.relations)
    assert schema.relations["isAfter"].inverse == "isBefore"
    for relation in schema.relations.values():
        assert all((relation.description, relation.ask, relation.examples))
        for head, tail in relation.examples:
            for side, text in ((relation.domain, head), (relation.range, tail)):
                assert side is None or not schema.types[side].misfit(text), (relation.id, text)
    assert all(not schema.types["event"].misfit(head) for head in schema.heads)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no schema"):
        load_schema(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(DataError, match="not UTF-8"):
        load_schema(tmp_path / "latin.yaml")
    with pytest.raises(DataError, match="Cannot read"):
        load_schema(tmp_path)
