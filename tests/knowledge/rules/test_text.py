"""Rules as people write them: what is read, what is written, and what a mistake is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rule_cases import fact_sets, rule_sets
from symdistill.errors import DataError
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.logic import SUBJECT, Fact, Literal, Rule, RuleSet, Variable
from symdistill.knowledge.rules.text import in_words, parse_rule, parse_text, rule_text, rules_text

LABEL = Literal("label", (SUBJECT, "positive"))


def test_a_whole_file() -> None:
    rules = parse_text(
        "# by hand\n\n"
        "IF acting AND NOT boring THEN label = positive UNLESS sarcastic OR long AND NOT funny  # surest\n"
        "if causes(X, Y) and wants(Y, Z) then wants(X, Z)\n"
        "IF a OR b THEN label = negative\n"
        "IF TRUE THEN seen\n"
        "OTHERWISE label = negative\n"
    )
    first, horn, one, other, always = rules.rules
    assert first.body == (Literal("acting"), Literal("boring", negated=True))
    assert first.exceptions == ((Literal("sarcastic"),), (Literal("long"), Literal("funny", negated=True)))
    assert horn.head == Literal("wants", (Variable("X"), Variable("Z")))
    assert (one.body, other.body) == ((Literal("a"),), (Literal("b"),))
    assert always.body == ()
    assert (rules.target, rules.default) == ("label", "negative")


@pytest.mark.parametrize(
    "line, problem",
    [
        ("acting THEN label = positive", "does not begin with IF"),
        ("IF acting", "THEN is missing"),
        ("IF acting AND THEN label = positive", "stands where a condition should"),
        ("IF acting THEN label =", "the line ends where a value"),
        ("IF acting THEN label = positive negative", "'negative' does not belong there"),
        ("IF Acting THEN label = positive", "'Acting' stands where a condition should"),
        ("IF r(X, THEN label = positive", "a comma or a closing bracket is missing"),
        ("IF r() THEN label = positive", "stands where a term should"),
        ('IF r(X, "open) THEN label = positive', "cannot be read"),
        ("IF NOT r(X, Y) THEN label = positive", "nothing without NOT says what Y is"),
        ("IF a THEN NOT b", "what follows cannot be negated"),
        ("OTHERWISE positive", "OTHERWISE takes one"),
        ("IF " + "a " * 6000 + "THEN b", "longer than"),
    ],
)
def test_a_mistake_is_named_with_its_line(line: str, problem: str) -> None:
    with pytest.raises(DataError) as raised:
        parse_text(f"IF a THEN b\n{line}\n", "my.rules")
    assert raised.value.message.startswith("my.rules, line 2: ")
    assert problem in raised.value.message


def test_a_second_otherwise_is_a_mistake() -> None:
    with pytest.raises(DataError, match="second OTHERWISE"):
        parse_text("OTHERWISE label = a\nOTHERWISE label = b")


@pytest.mark.parametrize(
    "constant",
    ["positive", "Positive", "can wait", 'a "b" \\c', "x,y(z)=#", "and", "a\nb\tc", "☃ é", "", "\u2028", "\ud800"],
)
def test_any_constant_survives(constant: str) -> None:
    rule = Rule(Literal("label", (SUBJECT, constant)), (Literal("r", (SUBJECT, constant, Variable("Y"))),))
    line = rule_text(rule)
    assert "\n" not in line
    assert parse_rule(line) == [rule]


@given(st.text())
def test_text_never_breaks_the_reader(text: str) -> None:
    try:
        rules = parse_text(text)
    except DataError:
        return
    assert [rule.id for rule in parse_text(rules_text(rules)).rules] == [rule.id for rule in rules.rules]


@given(rule_sets())
def test_what_is_written_is_read_back(rules: RuleSet) -> None:
    for rule in rules.rules:
        (back,) = parse_rule(rule_text(rule))
        assert back.id == rule.id


@given(rule_sets(), fact_sets())
def test_a_file_read_back_decides_alike_without_its_records(rules: RuleSet, facts: list[Fact]) -> None:
    back = parse_text(rules_text(rules))
    inputs = sorted({row[0] for _, row in facts})
    if back.target != rules.target:  # nothing in the file says what it is about
        return
    before, after = (decide(each, facts, inputs) for each in (rules, back))
    assert [one.label for one in before] == [one.label for one in after]


def test_a_rule_in_words() -> None:
    (rule,) = parse_rule("IF acting AND NOT boring THEN label = positive UNLESS wants(X, rest)")
    said = in_words(rule, {"acting": "Is the acting praised?", "boring": "Is it boring?"})
    assert said == (
        "If the answer to “Is the acting praised?” is yes and the answer to “Is it boring?” is not yes, then "
        "label = positive, unless wants = rest."
    )
