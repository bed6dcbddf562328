"""Following knowledge where it is wrong, which being right does not explain."""

from __future__ import annotations

import json
import random

import pytest

from symdistill.evaluation.following import followings
from symdistill.evaluation.statistics import mcnemar
from symdistill.knowledge.rules.decisions import Decision

NAMES = [f"q{n}" for n in range(40)]
GOLD = dict.fromkeys(NAMES, "yes")
KNOWLEDGE = {name: "no" if at < 10 else "yes" for at, name in enumerate(NAMES)}
DECISIONS = [Decision(name, label, None) for name, label in KNOWLEDGE.items()]


def test_who_is_right_agrees_with_knowledge_and_does_not_follow_it() -> None:
    answers = {"kb": KNOWLEDGE, "gold": GOLD}
    [found] = followings(DECISIONS, GOLD, answers, ["kb"], ["gold"])
    assert (found.own.count, found.other.count, found.own.n) == (10, 0, 10), "the rows where they differ, no others"
    assert (found.difference, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.own_usual, found.other_usual) == (0, 0)
    assert found.p == pytest.approx(mcnemar([True] * 10, [False] * 10).p, abs=0.002), "none errs elsewhere: McNemar's"


def test_who_is_only_weak_does_not_follow() -> None:
    """With two labels a weak student says what wrong knowledge says as often as it errs."""
    chance = random.Random(0)
    names = [f"q{n}" for n in range(400)]
    gold = {name: chance.choice("ab") for name in names}
    other = {"a": "b", "b": "a"}

    def right(share: float) -> dict[str, str]:
        return {name: label if chance.random() < share else other[label] for name, label in gold.items()}

    knowledge, weak, strong = right(0.8), right(0.6), right(0.9)
    follower = {n: knowledge[n] if chance.random() < 0.5 else weak[n] for n in names}
    decisions = [Decision(name, label, None) for name, label in knowledge.items()]
    answers = {"weak": weak, "follower": follower, "gold": strong}
    found, follows = followings(decisions, gold, answers, ["weak", "follower"], ["gold"])
    assert found.own.value - found.other.value > 0.15, "which is no more than it errs elsewhere"
    assert found.own_usual == pytest.approx(0.4, abs=0.08)
    assert found.other_usual == pytest.approx(0.1, abs=0.05)
    assert found.difference is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert found.adjusted is not None
    assert found.adjusted > 0.05
    assert follows.low is not None
    assert follows.low > 0.1
    assert follows.adjusted is not None
    assert follows.adjusted < 0.01


def test_only_the_very_label_of_the_knowledge_is_what_a_student_says_anyway() -> None:
    gold = dict.fromkeys(NAMES, "yes")
    elsewhere = {name: "no" if at < 10 else "perhaps" for at, name in enumerate(NAMES)}
    [found] = followings(DECISIONS, gold, {"kb": elsewhere, "gold": GOLD}, ["kb"], ["gold"])
    assert (found.own_usual, found.difference) == (0, 1.0)
    anyway = dict.fromkeys(NAMES, "no")
    [found] = followings(DECISIONS, gold, {"kb": anyway, "gold": GOLD}, ["kb"], ["gold"])
    assert (found.own.count, found.own_usual) == (10, 1)
    assert found.difference == pytest.approx(0)


def test_a_reply_without_an_answer_follows_nothing() -> None:
    silent = dict.fromkeys(NAMES, "")
    partly = {name: label for name, label in KNOWLEDGE.items() if name != "q0"}
    first, second = followings(DECISIONS, GOLD, {"kb": silent, "a": KNOWLEDGE, "b": partly}, ["kb"], ["a", "b"])
    assert (first.own.count, first.own.n, first.difference) == (0, 10, -1.0)
    assert second.own.n == 9, "what the other was not asked is left out"


def test_many_comparisons_are_corrected_and_none_is_made_of_nothing() -> None:
    answers = {"kb": KNOWLEDGE, "kb2": KNOWLEDGE, "gold": GOLD}
    found = followings(DECISIONS, GOLD, answers, ["kb", "kb2"], ["gold"])
    assert [one.adjusted for one in found] == [pytest.approx(2 * one.p) for one in found if one.p is not None]
    [none] = followings(DECISIONS, KNOWLEDGE, answers, ["kb"], ["gold"])
    assert (none.own.n, none.difference, none.p, none.adjusted) == (0, None, None, None)
    assert json.loads(json.dumps(none.as_json()))["own"]["n"] == 0
    always = [Decision(name, "no", None) for name in NAMES]
    [never] = followings(always, GOLD, answers, ["kb"], ["gold"])
    assert (never.own.n, never.difference) == (0, None), "right about none with this answer: nothing to set it against"
