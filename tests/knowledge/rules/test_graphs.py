"""Rules about relations, measured on triples."""

from __future__ import annotations

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.rules.decisions import measured_on_facts
from symdistill.knowledge.rules.graphs import facts_of_triples
from symdistill.knowledge.rules.text import parse_text
from symdistill.knowledge.triples.records import Triple

TRIPLES = [
    Triple("PersonX runs late", "HinderedBy", "traffic"),
    Triple("PersonX runs late ", "HinderedBy", "Traffic"),
    Triple("traffic", "xWant", "to leave early"),
    Triple("PersonX runs late", "xWant", "to leave early"),
]


def test_triples_become_facts_once() -> None:
    facts = facts_of_triples(TRIPLES)
    assert len(facts) == 3
    assert {name for name, _ in facts} == {"hinderedBy", "xWant"}


def test_a_horn_rule_is_measured_on_them() -> None:
    rules = parse_text("IF hinderedBy(X, Y) AND xWant(Y, Z) THEN xWant(X, Z)")
    (rule,) = measured_on_facts(rules, facts_of_triples(TRIPLES)).rules
    assert (rule.support, rule.correct) == (1, 1)


@pytest.mark.parametrize("relations, problem", [(["is a"], "cannot be used"), (["Needs", "needs"], "are one name")])
def test_names_that_rules_cannot_have(relations: list[str], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        facts_of_triples([Triple("a", relation, "b") for relation in relations])
