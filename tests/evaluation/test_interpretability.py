"""How well rules explain: the three shares together, the size, the control, and what an edit does."""

from __future__ import annotations

import random

import pytest

from rule_cases import reviews
from symdistill.evaluation.interpretability import (
    Share,
    edit_response,
    interpretability,
    measure_lines,
    shuffled_control,
    with_conclusion,
)
from symdistill.evaluation.statistics import wilson
from symdistill.knowledge.rules.decisions import Decision, decide, measured
from symdistill.knowledge.rules.observations import facts_of
from symdistill.knowledge.rules.text import parse_text

RULES = parse_text(
    "IF acting AND NOT boring THEN label = positive\n"
    "IF moving THEN label = positive\n"
    "IF boring THEN label = negative UNLESS moving"
)
ROWS = reviews(240)
NAMES = [one.example_id for one in ROWS]
FACTS = list(facts_of(ROWS))
GOLD = {one.example_id: str(one.label) for one in ROWS}


def test_the_three_shares_stand_together() -> None:
    decisions = decide(RULES, FACTS, NAMES)
    covered = {decision.example_id for decision in decisions if decision.covered}
    model = {name: ("positive" if place % 10 == 0 else GOLD[name]) for place, name in enumerate(NAMES)}
    found = interpretability(RULES, decisions, GOLD, model)
    agreeing = sum(decision.label == model[decision.example_id] for decision in decisions if decision.covered)
    assert found.completeness == Share(len(covered), 240)
    assert found.accuracy == Share(len(covered), 240)  # right wherever they speak, and there is no default
    assert found.accuracy_covered == Share(len(covered), len(covered))
    assert found.fidelity == Share(agreeing, len(covered))
    assert (found.rules, found.literals, found.depth) == (3, pytest.approx(5 / 3), 2)
    assert interpretability(RULES, decisions, GOLD, depth=4).depth == 4
    assert interpretability(RULES, decisions, GOLD).fidelity is None


def test_inputs_without_gold_or_without_a_model_are_left_out_of_that_measure() -> None:
    decisions = decide(RULES, FACTS, NAMES)
    found = interpretability(RULES, decisions, {NAMES[0]: GOLD[NAMES[0]]}, {})
    assert found.accuracy.n == 1
    assert found.fidelity == Share(0, 0)
    assert found.completeness.n == 240
    assert interpretability(RULES, [], {}).accuracy == Share(0, 0)


def test_a_share_has_the_wilson_interval() -> None:
    share = Share(8, 10)
    assert (share.low, share.high) == (wilson(8, 10).low, wilson(8, 10).high)
    assert str(share) == "80.0 [49.0, 94.3] n=10"
    assert str(Share(0, 0)) == "–"


def test_rules_that_mean_something_beat_their_shuffled_selves() -> None:
    decisions = decide(RULES, FACTS, NAMES)
    control = shuffled_control(decisions, GOLD, shuffles=99)
    assert control is not None
    assert control.agreement == Share(control.agreement.n, sum(decision.covered for decision in decisions))
    assert control.low <= control.mean <= control.high < 0.75
    assert control.p == 0.01
    assert shuffled_control(decisions, GOLD, shuffles=99) == control


def test_rules_that_mean_nothing_do_not() -> None:
    chance = random.Random(0)
    model = {name: chance.choice(["positive", "negative"]) for name in NAMES}
    control = shuffled_control(decide(RULES, FACTS, NAMES), model)
    assert control is not None
    assert control.low <= control.agreement.value <= control.high
    assert control.p > 0.05


def test_the_mean_of_the_shuffles_is_agreement_by_chance() -> None:
    decisions = [Decision(str(n), "a" if n < 30 else "b") for n in range(100)]
    control = shuffled_control(decisions, {str(n): "a" if n % 2 else "b" for n in range(100)}, shuffles=500)
    assert control is not None
    assert control.mean == pytest.approx(0.3 * 0.5 + 0.7 * 0.5, abs=0.01)


def test_decisions_that_are_all_alike_cannot_be_shuffled() -> None:
    decisions = decide(parse_text("IF acting THEN label = positive"), FACTS, NAMES)
    assert shuffled_control(decisions, GOLD) is None


def test_an_edit_moves_the_decisions_of_its_rule_and_no_others() -> None:
    rules = measured(RULES, ROWS)
    before = decide(rules, FACTS, NAMES)
    edited = rules.rules[1]
    affected = {decision.example_id for decision in before if decision.rule == edited.id}
    changed = with_conclusion(rules, edited.id, "negative")
    assert (changed.rules[1].support, changed.rules[1].strength) == (0, edited.strength), "no record, the same strength"
    assert with_conclusion(rules, edited.id, str(edited.head.terms[-1])) == rules
    after = decide(changed, FACTS, NAMES)
    response = edit_response(
        {decision.example_id: decision.label for decision in before},
        {decision.example_id: decision.label for decision in after},
        affected,
        "negative",
    )
    assert response.moved == Share(len(affected), len(affected))
    assert response.as_wanted == response.moved
    assert response.elsewhere == Share(0, 240 - len(affected))
    assert len(affected) > 10


def test_a_student_may_ignore_an_edit() -> None:
    before = {"a": "x", "b": "x", "c": "y", "gone": "x"}
    after = {"a": "y", "b": "z", "c": "x"}
    response = edit_response(before, after, {"a", "b", "gone"}, "y")
    assert (response.moved, response.as_wanted, response.elsewhere) == (Share(2, 2), Share(1, 2), Share(1, 1))


def test_only_a_rule_that_concludes_something_can_be_edited() -> None:
    with pytest.raises(ValueError, match="no rule r_nothing decides label"):
        with_conclusion(RULES, "r_nothing", "x")


def test_lines_for_people_and_values_for_programs() -> None:
    decisions = decide(RULES, FACTS, NAMES)
    control = shuffled_control(decisions, GOLD, shuffles=19)
    found = interpretability(RULES, decisions, GOLD, control=control)
    text = "\n".join(measure_lines(found))
    for part in (
        "accuracy",
        "fidelity      – (no model to agree with)",
        "completeness",
        "3 rules, 1.7 conditions",
        "19 shuffles",
    ):
        assert part in text
    values = found.as_json()
    assert values["fidelity"] is None
    assert values["accuracy"]["n"] == 240
    assert values["control"]["agreement"]["value"] == 1.0
