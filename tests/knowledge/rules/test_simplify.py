"""Fewer and shorter rules: the same decisions, or on a table no worse ones."""

from __future__ import annotations

import pytest
from hypothesis import given

from rule_cases import fact_sets, reviews, rule_sets
from symdistill.knowledge.rules.decisions import decide, measured
from symdistill.knowledge.rules.logic import Fact, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.simplify import pruned, simplified
from symdistill.knowledge.rules.text import parse_text, rule_text


@given(rule_sets(), fact_sets())
def test_simplifying_changes_no_decision(rules: RuleSet, facts: list[Fact]) -> None:
    simpler = simplified(rules).rules
    inputs = sorted({row[0] for _, row in facts})
    before, after = (decide(each, facts, inputs) for each in (rules, simpler))
    assert [(one.label, one.covered) for one in before] == [(one.label, one.covered) for one in after]
    assert sum(rule.literals for rule in simpler.rules) <= sum(rule.literals for rule in rules.rules)
    assert simplified(simpler).removed == ()


@pytest.mark.parametrize(
    "before, after",
    [
        ("IF a AND a THEN label = y", ["IF a THEN label = y"]),
        ("IF a AND NOT a THEN label = y", []),
        ("IF a THEN label = y UNLESS a", []),
        ("IF a THEN label = y UNLESS a AND b", ["IF a THEN label = y UNLESS b"]),
        ("IF a THEN label = y UNLESS NOT a", ["IF a THEN label = y"]),
        ("IF a THEN label = y UNLESS b OR b AND c", ["IF a THEN label = y UNLESS b"]),
        ("IF a THEN label = y\nIF a AND b THEN label = y", ["IF a THEN label = y"]),
        ("IF a AND b THEN label = y\nIF a THEN label = y", ["IF a AND b THEN label = y", "IF a THEN label = y"]),
        ("IF a THEN label = y UNLESS c\nIF a AND b THEN label = y", None),
        ("IF a THEN label = y UNLESS c\nIF a AND b THEN label = y UNLESS c OR d", ["IF a THEN label = y UNLESS c"]),
        ("IF a THEN label = y UNLESS r(X, Y)\nIF q(X, Y) AND a THEN label = y UNLESS r(X, Y)", None),
    ],
)
def test_what_is_redundant(before: str, after: list[str] | None) -> None:
    rules = parse_text(before)
    kept = [rule_text(rule) for rule in simplified(rules).rules.rules]
    assert kept == ([rule_text(rule) for rule in rules.rules] if after is None else after)


def right(rules: RuleSet, rows: list[Observation]) -> int:
    decisions = decide(rules, facts_of(rows), [one.example_id for one in rows])
    return sum(decision.label == one.label for decision, one in zip(decisions, rows, strict=True))


def test_pruning_drops_what_earns_nothing_and_says_so() -> None:
    rules = parse_text(
        "IF acting AND NOT boring AND noise THEN label = positive\n"
        "IF acting AND NOT boring AND NOT noise THEN label = positive\n"
        "IF moving THEN label = positive\n"
        "IF noise AND moving AND boring THEN label = positive\n"
        "OTHERWISE label = negative"
    )
    rows = reviews(flipped=0.05)
    simpler = pruned(rules, rows)
    assert sorted(rule_text(rule) for rule in simpler.rules.rules) == [
        "IF acting AND NOT boring THEN label = positive",
        "IF moving THEN label = positive",
    ]
    assert right(simpler.rules, rows) >= right(measured(rules, rows), rows)
    assert any("noise" in line and "makes it no better" in line for line in simpler.removed)
    assert all(rule.support for rule in simpler.rules.rules)


def test_pruning_never_makes_the_table_worse() -> None:
    rules = parse_text("IF boring THEN label = positive\nIF acting THEN label = negative\nOTHERWISE label = negative")
    for seed in range(5):
        rows = reviews(120, seed, 0.2)
        assert right(pruned(rules, rows).rules, rows) >= right(measured(rules, rows), rows)
