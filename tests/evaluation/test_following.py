"""Following knowledge where it is wrong, which being right does not explain."""

from __future__ import annotations

import json

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
    assert found.p == mcnemar([True] * 10, [False] * 10).p


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
