"""Rules as ProbLog programs, read and worked out by ProbLog itself."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from rule_cases import INPUTS, fact_sets, rule_sets
from symdistill.knowledge.rules.decisions import measured
from symdistill.knowledge.rules.inference import FactBase
from symdistill.knowledge.rules.logic import Fact, Rule, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.problog import to_problog
from symdistill.knowledge.rules.text import parse_text

problog = pytest.importorskip("problog")


def answers(program: str) -> dict[str, float]:
    from problog import get_evaluatable
    from problog.program import PrologString

    return {str(atom): value for atom, value in get_evaluatable().create_from(PrologString(program)).evaluate().items()}


def test_probabilities_and_exceptions() -> None:
    rows = [Observation(str(n), {"acting": True}, "positive" if n else "negative") for n in range(8)]
    rules = measured(parse_text("IF acting THEN label = positive UNLESS boring"), rows)
    facts = facts_of([Observation("a", {"acting": True}), Observation("b", {"acting": True, "boring": True})])
    assert answers(to_problog(rules, facts)) == {"label('a','positive')": pytest.approx(8 / 10)}


def test_two_rules_are_independent_causes() -> None:
    rules = parse_text("IF a THEN label = yes\nIF b THEN label = yes")
    facts: list[Fact] = [("a", ("e",)), ("b", ("e",))]
    assert answers(to_problog(rules, facts)) == {"label('e','yes')": pytest.approx(0.75)}


def test_a_name_that_means_something_there() -> None:
    rules = parse_text("IF query AND NOT write THEN label = yes")
    assert list(answers(to_problog(rules, [("query", ("e",)), ("input", ("e",))]))) == ["label('e','yes')"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule_sets(), fact_sets())
def test_what_is_possible_there_is_what_follows_here(rules: RuleSet, facts: list[Fact]) -> None:
    sure = rules.with_rules(Rule(r.head, r.body, r.exceptions, stated=1.0) for r in rules.rules)
    base = FactBase(facts)
    base.derive(sure)
    expected = {row for predicate, row in base if predicate == "label"}
    found = {atom for atom, value in answers(to_problog(sure, facts)).items() if value > 0}
    assert len(found) == len(expected)
    for subject, label in expected:
        assert any(
            atom.startswith("label(") and ascii_part(subject) in atom and ascii_part(label) in atom for atom in found
        )


def ascii_part(text: str) -> str:
    """What no escaping changes of a constant."""
    return max(("".join(c if c.isalnum() and c.isascii() else " " for c in text)).split() or [""], key=len)


def test_every_hostile_text_stays_one_atom() -> None:
    hostile = ["a'b", "\\", "x\\", "'). bad('", "% no", "new\nline", "\0", *INPUTS]
    facts: list[Fact] = [("a", (text,)) for text in hostile]
    found = answers(to_problog(parse_text("IF a THEN label = yes"), facts))
    assert len(found) == len(hostile)
