"""The words in which a student learns a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.lessons import reasons
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.text import parse_text

RULES = replace(
    parse_text("IF acting AND NOT boring THEN label = positive UNLESS sarcastic\nOTHERWISE label = negative"),
    questions={"acting": "Is the acting  praised?", "boring": "Is it called boring?"},
)


@pytest.mark.parametrize(
    "answers, label, said",
    [
        (
            {"acting": True, "boring": None},
            "positive",
            "Is the acting praised? Yes. Is it called boring? No. Sarcastic? No.",
        ),
        (
            {"acting": True, "boring": True, "sarcastic": True},
            "negative",
            "Is the acting praised? Yes. Is it called boring? Yes. Sarcastic? Yes.",
        ),
    ],
)
def test_conditions_are_questions_with_their_answers(answers: dict[str, bool | None], label: str, said: str) -> None:
    row = Observation("e", answers)
    (decision,) = decide(RULES, facts_of([row]), ["e"])
    assert decision.label == label
    assert reasons(RULES, decision, answers) == said


def test_a_rule_that_asks_nothing_has_no_reasons() -> None:
    rules = parse_text("IF TRUE THEN label = positive")
    (decision,) = decide(rules, facts_of([Observation("e", {})]), ["e"])
    assert reasons(rules, decision, {}) == ""
