"""What follows: by hand, by Python and by clingo."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rule_cases import INPUTS, fact_sets, rule_sets
from symdistill.errors import DataError, LimitReached
from symdistill.knowledge.bounded import Bounds as TimeBounds
from symdistill.knowledge.rules.asp_program import (
    consequences_by_clingo,
    decide_by_clingo,
    measured_by_clingo,
    spelled_out,
    to_asp,
)
from symdistill.knowledge.rules.decisions import decide, measured_on_facts
from symdistill.knowledge.rules.inference import Bounds, FactBase
from symdistill.knowledge.rules.logic import Fact, RuleSet
from symdistill.knowledge.rules.text import parse_text


def following(rules: str, *facts: Fact) -> set[Fact]:
    base = FactBase(facts)
    base.derive(parse_text(rules))
    return set(base) - set(facts)


def test_a_chain_is_followed_to_its_end() -> None:
    links: list[Fact] = [("next", (str(n), str(n + 1))) for n in range(30)]
    found = following("IF next(X, Y) THEN before(X, Y)\nIF next(X, Y) AND before(Y, Z) THEN before(X, Z)", *links)
    assert len(found) == 30 * 31 // 2
    assert ("before", ("0", "30")) in found


def test_a_negation_waits_until_everything_is_known() -> None:
    rules = "IF person AND NOT loved THEN lonely\nIF likes(Y, X) THEN loved\nIF likes(X, Y) THEN likes(Y, X)"
    facts: list[Fact] = [("person", (name,)) for name in ("ann", "bob", "cat")] + [("likes", ("ann", "bob"))]
    assert {row for name, row in following(rules, *facts) if name == "lonely"} == {("cat",)}


def test_an_exception_holds_where_any_value_makes_it_hold() -> None:
    rules = "IF bird THEN flies UNLESS has(X, Y) AND broken(Y)"
    facts: list[Fact] = [
        *(("bird", (name,)) for name in ("tweety", "polly")),
        *(("has", ("polly", part)) for part in ("wing", "beak")),
        ("broken", ("wing",)),
    ]
    assert following(rules, *facts) == {("flies", ("tweety",))}


def test_a_constant_in_a_rule_is_only_itself() -> None:
    facts: list[Fact] = [("kind", ("a", "film")), ("kind", ("b", "book"))]
    assert following("IF kind(X, film) THEN ok", *facts) == {("ok", ("a",))}


def test_the_same_variable_twice_is_the_same_value() -> None:
    assert following("IF r(X, X) THEN loop", ("r", ("a", "a")), ("r", ("a", "b"))) == {("loop", ("a",))}


def test_an_explosion_is_stopped() -> None:
    facts: list[Fact] = [("a", (str(n),)) for n in range(60)]
    rules = parse_text("IF a AND a(Y) AND a(Z) THEN r(X, Y, Z)")
    with pytest.raises(DataError, match="More than 1,000 facts follow, the last ones for `IF a AND a"):
        FactBase(facts, Bounds(facts=1000)).derive(rules)
    with pytest.raises(DataError, match="More than 5,600 combinations"):  # 10 more for each fact and rule
        FactBase(facts, Bounds(rows=5000)).derive(rules)
    with pytest.raises(DataError, match="More than 1,000 facts follow"):
        FactBase(facts, Bounds(facts=1000)).heads(rules.rules[0])


@pytest.mark.parametrize(
    "rules, said",
    [
        ("IF a AND a(Y) AND a(Z) AND a(V) THEN r(X, Y, Z, V)", "More than 500,000 facts follow"),
        pytest.param(
            "IF a AND a(Y) AND a(Z) AND a(V) THEN b", "More than 3,003,000 combinations", marks=pytest.mark.slow
        ),
    ],
)
def test_an_explosion_is_stopped_by_the_usual_bounds(rules: str, said: str) -> None:
    base = FactBase([("a", (str(n),)) for n in range(300)])
    with pytest.raises(DataError, match=said) as stopped:
        base.derive(parse_text(rules))
    assert len(base) == 300, "nothing is added that the bound was to keep out"
    assert "--engine clingo" in stopped.value.fix


def test_many_facts_are_no_explosion() -> None:
    facts: list[Fact] = [("a", (str(n),)) for n in range(2_000)]
    rules = parse_text("".join(f"IF a AND NOT b{n} THEN c{n}\n" for n in range(20)))
    base = FactBase(facts, Bounds(rows=1))
    base.derive(rules)
    assert len(base) == 21 * 2_000


@given(rule_sets(), fact_sets())
def test_what_follows_is_closed_and_in_no_other_order(rules: RuleSet, facts: list[Fact]) -> None:
    base = FactBase(facts)
    base.derive(rules)
    again = FactBase(base)
    again.derive(rules)
    assert set(again) == set(base)
    backwards = FactBase(reversed(facts))
    backwards.derive(rules)
    assert set(backwards) == set(base)


# A process for every case: few of them.
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule_sets(), fact_sets())
def test_clingo_finds_the_same(rules: RuleSet, facts: list[Fact]) -> None:
    pytest.importorskip("clingo")
    base = FactBase(facts)
    base.derive(rules)
    assert consequences_by_clingo(rules, facts) == set(base)
    assert decide_by_clingo(rules, facts, INPUTS) == decide(rules, facts, INPUTS)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule_sets(), fact_sets())
def test_clingo_measures_the_same(rules: RuleSet, facts: list[Fact]) -> None:
    pytest.importorskip("clingo")
    assert measured_by_clingo(rules, facts) == measured_on_facts(rules, facts)


def test_clingo_measures_rules_between_and_exceptions_as_python_does() -> None:
    pytest.importorskip("clingo")
    rules = parse_text(
        "IF r(X, Y) AND r(Y, Z) THEN way(X, Z)\n"
        "IF way(X, Y) THEN r(X, Y) UNLESS bad(Y)\n"
        "IF r(X, Y) AND NOT bad THEN r(Y, X)\n"
    )
    links = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "c"), ("100%\n", "a"), ("a", "100%\n")]
    facts: list[Fact] = [*(("r", link) for link in links), ("bad", ("d",))]
    found = measured_by_clingo(rules, facts)
    assert found == measured_on_facts(rules, facts)
    assert found.rules[0] == rules.rules[0], "of what nothing is known, nothing is measured"
    assert all(rule.support > rule.correct > 0 for rule in found.rules[1:])


HOSTILE = [
    '"). bad("',
    "a\\",
    '\\"',
    "% comment",
    "line\nbreak",
    "\0",
    "\r",
    "\x1b[2J",
    "#script (python)",
    "\u2028",
    "\ud800",
    "%00",
]


def test_hostile_texts_are_constants_and_nothing_else() -> None:
    pytest.importorskip("clingo")
    facts: list[Fact] = [(name, (text,)) for text in HOSTILE for name in ("input", "a")]
    rules = parse_text("IF a THEN label = seen")
    found = consequences_by_clingo(rules, facts)
    assert found == {*facts, *(("label", (text, "seen")) for text in HOSTILE)}


@given(st.text(), st.text())
def test_two_texts_stay_two_texts(one: str, other: str) -> None:
    assert (spelled_out(one) == spelled_out(other)) == (one == other)


def test_a_program_that_explodes_is_stopped() -> None:
    pytest.importorskip("clingo")
    facts: list[Fact] = [("a", (str(n),)) for n in range(300)]
    rules = parse_text("IF a AND a(Y) AND a(Z) AND a(V) THEN r(X, Y, Z, V)")
    with pytest.raises(LimitReached, match="more than 1 second"):
        decide_by_clingo(rules, facts, ["1"], bounds=TimeBounds(seconds=1))


def test_the_program_can_be_read() -> None:
    text = to_asp(
        parse_text("IF acting AND NOT boring THEN label = positive UNLESS sarcastic\nOTHERWISE label = negative")
    )
    assert "% IF acting AND NOT boring THEN label = positive UNLESS sarcastic\n" in text
    assert 'label(X, "positive") :- acting(X), not boring(X), not exception_0_0_(X).\n' in text
    assert "exception_0_0_(X) :- acting(X), not boring(X), sarcastic(X).\n" in text
    assert 'decided_(X, "negative") :- input(X), not decides_(_, X).\n' in text
