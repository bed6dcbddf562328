"""Rules from tables: RIPPER finds what is there, in the same way every time, and exceptions are found beside it."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("wittgenstein")

from rule_cases import QUESTIONS, reviews
from symdistill.errors import DataError
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.learning import LearningSettings, learn_rules, with_exceptions
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of, in_split, names_of
from symdistill.knowledge.rules.simplify import pruned
from symdistill.knowledge.rules.text import parse_text, rule_text


def accuracy(rules: RuleSet, rows: list[Observation]) -> float:
    decisions = decide(rules, facts_of(rows), [one.example_id for one in rows])
    return sum(decision.label == one.label for decision, one in zip(decisions, rows, strict=True)) / len(rows)


def test_it_finds_the_rule_behind_a_noisy_table() -> None:
    train = reviews(600, flipped=0.08)
    rules = pruned(learn_rules(train, names_of(train), QUESTIONS), train).rules
    assert accuracy(rules, reviews(400, seed=1)) > 0.97
    assert "noise" not in rules.predicates
    assert rules.questions == QUESTIONS
    assert rules.default in ("positive", "negative")
    assert all(rule.sources[0].kind == "learner" for rule in rules.rules)


def test_the_same_table_gives_the_same_rules_and_leaves_chance_alone() -> None:
    rows = reviews(200, flipped=0.1)
    random.seed(7)
    expected = random.random()
    random.seed(7)
    first = learn_rules(rows, names_of(rows), seed=3)
    assert random.random() == expected
    assert learn_rules(rows, names_of(rows), seed=3) == first


def test_more_than_two_labels() -> None:
    chance = random.Random(0)
    rows = []
    for number in range(400):
        answers = {name: chance.random() < 0.4 for name in ("wet", "hot", "dark")}
        label = "rain" if answers["wet"] else "sun" if answers["hot"] else "cloud"
        rows.append(Observation(str(number), answers, label))
    rules = learn_rules(rows, names_of(rows))
    assert accuracy(rules, rows) > 0.97
    assert {rule.head.terms[1] for rule in rules.rules} | {rules.default} == {"rain", "sun", "cloud"}


def test_limits_are_kept() -> None:
    rows = reviews(300, flipped=0.15)
    rules = learn_rules(rows, names_of(rows), settings=LearningSettings(max_rules=2, max_literals=1, exceptions=False))
    assert len(rules.rules) <= 2
    assert all(len(rule.body) <= 1 and not rule.exceptions for rule in rules.rules)


@pytest.mark.parametrize(
    "labels, features, problem",
    [
        (["a", "a"], ["f"], "only the label 'a'"),
        ([None, None], ["f"], "no label"),
        (["a", "b"], [], "no feature"),
    ],
)
def test_nothing_to_learn(labels: list[str | None], features: list[str], problem: str) -> None:
    rows = [Observation(str(place), {"f": True}, label) for place, label in enumerate(labels)]
    with pytest.raises(DataError, match=problem):
        learn_rules(rows, features)


def test_answers_nobody_knows_count_as_no() -> None:
    rows = [Observation(f"y{n}", {"f": True}, "yes") for n in range(20)]
    rows += [Observation(f"n{n}", {"f": None}, "no") for n in range(30)]
    assert accuracy(learn_rules(rows, ["f"]), rows) == 1.0


def test_an_exception_is_found_and_counted() -> None:
    rows = [Observation(f"p{n}", {"acting": True, "boring": False}, "positive") for n in range(40)]
    rows += [Observation(f"n{n}", {"acting": True, "boring": True}, "negative") for n in range(10)]
    rows += [Observation(f"o{n}", {"acting": True, "boring": True}, "positive") for n in range(1)]
    rules = with_exceptions(parse_text("IF acting THEN label = positive"), rows, ["acting", "boring"])
    (rule,) = rules.rules
    assert rule_text(rule) == "IF acting THEN label = positive UNLESS boring"
    assert (rule.support, rule.correct) == (40, 40)


def test_a_handful_makes_no_exception() -> None:
    rows = [Observation(f"p{n}", {"acting": True, "boring": False}, "positive") for n in range(40)]
    rows += [Observation(f"n{n}", {"acting": True, "boring": True}, "negative") for n in range(4)]
    (rule,) = with_exceptions(parse_text("IF acting THEN label = positive"), rows, ["acting", "boring"], least=5).rules
    assert not rule.exceptions


def test_training_inputs_alone_are_learned_from() -> None:
    rows = reviews(90)
    assert {one.split for one in in_split(rows, "train")} == {"train"}
    assert len(in_split(rows, "train")) == 60
