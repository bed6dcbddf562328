"""Editing rules: an edit that works moves the decisions of its rule and no others."""

from __future__ import annotations

import pytest
from hypothesis import given

from rule_cases import INPUTS, fact_sets, reviews, rule_sets
from symdistill.evaluation.edits import (
    conclusion_changed,
    edit_lines,
    edits_json,
    edits_together,
    most_used,
    rule_edits,
    student_edit,
)
from symdistill.evaluation.interpretability import Share
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.logic import Fact, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.text import parse_text
from symdistill.knowledge.trees.fitting import fit_tree

LABELS = ["negative", "positive", "negative"]
ROWS = [
    Observation("a", {"acting": True, "moving": True}),
    Observation("b", {"acting": True}),
    Observation("c", {"boring": True}),
    Observation("d", {}),
]
RULES = parse_text(
    "IF acting THEN label = positive\nIF moving THEN label = positive\nIF boring THEN label = negative\n"
    "OTHERWISE label = negative"
)
FACTS, NAMES = list(facts_of(ROWS)), [row.example_id for row in ROWS]


def test_flipping_moves_every_decision_of_a_rule_and_nothing_else() -> None:
    found = rule_edits(RULES, FACTS, NAMES, LABELS)
    flipped = {edit.text: edit for edit in found if edit.kind == "flipped"}
    assert flipped["IF acting THEN label = positive"].moved == Share(2, 2)
    assert flipped["IF acting THEN label = positive"].says == "negative"
    assert flipped["IF boring THEN label = negative"].says == "positive"
    assert edits_together(found, "flipped") == (Share(3, 3), Share(2 + 3, 2 + 3))


def test_a_rule_that_goes_moves_only_what_nobody_else_says() -> None:
    removed = {edit.text: edit for edit in rule_edits(RULES, FACTS, NAMES, LABELS) if edit.kind == "removed"}
    assert removed["IF acting THEN label = positive"].moved == Share(1, 2), "a is moving, too"
    assert removed["IF boring THEN label = negative"].moved == Share(0, 1), "the default says the same"
    assert all(edit.stayed.value == 1 for edit in removed.values())
    assert list(removed) == ["IF acting THEN label = positive", "IF boring THEN label = negative"]


def test_every_leaf_of_a_tree_is_a_rule_that_can_be_edited() -> None:
    rows = reviews(200)
    tree = fit_tree(rows, list(rows[0].answers)).tree
    names = [row.example_id for row in rows]
    found = rule_edits(tree.rules(), list(facts_of(rows)), names, [str(row.label) for row in rows])
    moved, stayed = edits_together(found, "flipped")
    assert (moved, stayed.value) == (Share(200, 200), 1.0)


@given(rule_sets(), fact_sets())
def test_taking_a_rule_out_is_what_working_everything_out_anew_gives(rules: RuleSet, facts: list[Fact]) -> None:
    names = list(INPUTS)
    before = decide(rules, facts, names)
    for edit in rule_edits(rules, facts, names, []):
        gone = rules.with_rules(rule for rule in rules.rules if rule.id != edit.rule)
        after = decide(gone, facts, names)
        pairs = list(zip(before, after, strict=True))
        moved = sum(a.label != b.label for a, b in pairs if a.rule == edit.rule)
        stayed = sum(a.label == b.label for a, b in pairs if a.rule != edit.rule)
        assert (edit.moved.count, edit.stayed.count) == (moved, stayed)


def test_lines_and_json_hold_both_kinds() -> None:
    found = rule_edits(RULES, FACTS, NAMES, LABELS)
    assert [line.split()[0] for line in edit_lines(found)] == ["flipped", "removed"]
    assert edit_lines([]) == []
    told = edits_json(found)
    assert told["together"]["removed"]["moved"]["count"] == 1
    assert [one["kind"] for one in told["each"]] == ["flipped", "removed"] * 2


@pytest.mark.parametrize("labels", [["positive"], []])
def test_without_another_label_nothing_can_be_flipped(labels: list[str]) -> None:
    assert conclusion_changed(RULES, RULES.rules[0].id, labels) is None
    assert {edit.kind for edit in rule_edits(RULES, FACTS, NAMES[:1], labels)} == {"removed"}


def test_the_busiest_rule_comes_first() -> None:
    assert most_used(decide(RULES, FACTS, NAMES)) == [RULES.rules[0].id, RULES.rules[2].id]


def test_a_student_beside_its_twin() -> None:
    decisions = decide(RULES, FACTS, NAMES)
    before = {"a": "positive", "b": "positive", "c": "negative", "d": None}
    after = {"a": "negative", "b": "positive", "c": "positive", "d": None}
    found = student_edit("kb", "edited", RULES.rules[0].id, "negative", decisions, before, after)
    assert (found.response.moved, found.response.as_wanted) == (Share(1, 2), Share(1, 2))
    assert found.response.elsewhere == Share(1, 2)
    assert found.as_json()["elsewhere"]["count"] == 1
