"""Rules as data: what makes sense, what is one rule, and which one decides."""

from __future__ import annotations

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import SUBJECT, Literal, Rule, RuleSet, Source, Variable
from symdistill.knowledge.rules.text import parse_text

X, Y = Variable("X"), Variable("Y")
POSITIVE = Literal("label", (SUBJECT, "positive"))


@pytest.mark.parametrize("name", ["Acting", "9lives", "a__b", "a_", "_a", "", "not", "two words", "a" * 65, "é"])
def test_what_is_no_name_of_a_predicate(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Literal(name)


@pytest.mark.parametrize(
    "head, body, exceptions, problem",
    [
        (POSITIVE.opposite, (), (), "cannot be negated"),
        (Literal("input"), (Literal("a"),), (), "is given"),
        (Literal("p", (Y,)), (Literal("a"),), (), "what Y is"),
        (POSITIVE, (Literal("r", (X, Y), True),), (), "what Y is"),
        (POSITIVE, (Literal("a"),), ((),), "an exception is empty"),
        (POSITIVE, (Literal("a"),), ((Literal("r", (X, Y), True),),), "what Y is in an exception"),
        (POSITIVE, (Literal("a"),) * 201, (), "more than 200"),
    ],
)
def test_a_rule_that_says_nothing(head: Literal, body: tuple, exceptions: tuple, problem: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=problem):
        Rule(head, body, exceptions)


def test_more_right_than_there_were_is_impossible() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        Rule(POSITIVE, support=2, correct=3)


def test_a_rule_of_negations_alone_is_about_inputs() -> None:
    rule = Rule(POSITIVE, (Literal("boring", negated=True),))
    assert rule.premises[0] == Literal("input")
    assert Rule(POSITIVE, (Literal("acting"),)).premises == (Literal("acting"),)


def test_what_says_the_same_is_one_rule_with_both_sources() -> None:
    one = Rule(POSITIVE, (Literal("a"), Literal("b")), support=4, correct=3, sources=(Source("teacher", model="m"),))
    other = Rule(POSITIVE, (Literal("b"), Literal("a")), sources=(Source("person", "Ann"),))
    (found,) = RuleSet((one, other)).rules
    assert found.id == one.id == other.id
    assert (found.support, found.correct) == (4, 3)
    assert [source.kind for source in found.sources] == ["teacher", "person"]
    assert one.id != Rule(POSITIVE, (Literal("a"),)).id


def test_the_stronger_rule_decides_and_equals_as_they_stand() -> None:
    lucky = Rule(POSITIVE, (Literal("a"),), support=1, correct=1)
    proven = Rule(POSITIVE, (Literal("b"),), support=100, correct=95)
    unknown = Rule(POSITIVE, (Literal("c"),))
    alike = Rule(POSITIVE, (Literal("d"),))
    stated = Rule(POSITIVE, (Literal("e"),), stated=0.9)
    assert RuleSet((unknown, lucky, alike, proven, stated)).precedence == (3, 4, 1, 0, 2)
    assert lucky.confidence == 1.0
    assert unknown.confidence is None


@pytest.mark.parametrize(
    "text",
    [
        "IF NOT a THEN b\nIF b THEN a",
        "IF c THEN a UNLESS a",
        "IF c THEN a UNLESS b\nIF d AND a THEN b",
        "IF c AND NOT a THEN b1\nIF b1 THEN b2\nIF b2 THEN b3\nIF b3 THEN b4\nIF b4 THEN a",
    ],
)
def test_nothing_depends_on_its_own_negation(text: str) -> None:
    with pytest.raises(DataError, match="its own negation"):
        parse_text(text)


def test_layers_put_what_is_negated_first() -> None:
    rules = parse_text("IF NOT d THEN a\nIF c AND a THEN a\nIF e THEN d UNLESS f")
    assert rules.strata == (frozenset({"d"}), frozenset({"a"}))


def test_one_predicate_has_one_number_of_terms() -> None:
    with pytest.raises(DataError, match="`wants` has 2 terms in one rule and 1 in another"):
        parse_text("IF wants(X, Y) THEN a\nIF wants THEN b")
