"""Rules from a teacher: what it is asked, and what is made of whatever it writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.rules.proposals import proposed_set, rule_requests, rules_from
from symdistill.knowledge.rules.text import rule_text
from symdistill.records import Completion, Failure, Request, Sampling

QUESTIONS = {"praises_acting": "Is the acting praised?", "boring": "Is it boring?", "no_plot": "Is there no plot?"}
LABELS = ["positive", "can wait"]


def asked(requests: int = 1) -> list[Request]:
    return rule_requests("Which is it?", LABELS, QUESTIONS, "teacher", Sampling(), requests=requests)


def read(*replies: str, cut: bool = False) -> list[tuple[str, str]]:
    """Outcomes with the rules, or with what was wrong."""
    requests = asked(len(replies))
    finish = "length" if cut else "stop"
    completions = {
        r.key: Completion(r.key, text, finish_reason=finish) for r, text in zip(requests, replies, strict=True)
    }  # type: ignore[arg-type]
    found = rules_from(requests, completions, names=QUESTIONS, labels=LABELS)
    return [(one.outcome, " | ".join(map(rule_text, one.rules)) or one.detail) for one in found]


GOOD = "IF praises_acting AND NOT boring THEN label = positive"


def test_the_prompt_shows_names_questions_and_answers() -> None:
    *_, last = asked()[0].messages
    assert "praises_acting: Is the acting praised?" in last.content
    assert "<answers>\npositive\ncan wait\n</answers>" in last.content
    assert "at most 12 rules" in last.content
    assert len({request.key for request in asked(3)}) == 3


@pytest.mark.parametrize(
    "line",
    [
        "IF praises_acting AND NOT boring THEN positive",
        "1. IF praises_acting AND NOT boring THEN positive",
        "- **If** praises acting and not boring, then the label is positive.",
        "* `if praises_acting and not boring then positive`",
        "Rule 1: IF praises_acting = yes AND boring = no THEN answer: positive",
        "IF (praises_acting) AND (NOT boring) THEN label = positive",
        "IF praises_acting(X) AND NOT boring(X) THEN label = positive",
        "IF praises_acting is true & boring is false => positive",
        "if Praises_Acting and not Boring then Positive",
        '[{"if": ["praises_acting", "NOT boring"], "then": "positive"}]',
        'Here they are:\n```json\n{"rules": [{"if": "praises_acting AND NOT boring", "then": "positive"}]}\n```',
    ],
)
def test_a_rule_in_many_forms(line: str) -> None:
    assert read(line) == [("rule", GOOD)]


@pytest.mark.parametrize(
    "line, outcome, said",
    [
        (
            "IF boring THEN can wait UNLESS praises_acting",
            "rule",
            'IF boring THEN label = "can wait" UNLESS praises_acting',
        ),
        ("IF no_plot THEN can wait", "rule", 'IF no_plot THEN label = "can wait"'),
        ("IF NOT no plot THEN positive", "rule", "IF NOT no_plot THEN label = positive"),
        (
            "IF boring OR no_plot THEN positive",
            "rule",
            "IF boring THEN label = positive | IF no_plot THEN label = positive",
        ),
        ("IF funny THEN positive", "unknown_name", "funny"),
        ("IF boring THEN excellent", "unknown_answer", "excellent"),
        ("IF boring", "unreadable", "THEN is missing"),
    ],
)
def test_what_becomes_of_a_line(line: str, outcome: str, said: str) -> None:
    assert read(line) == [(outcome, said)]


def test_prose_around_the_rules_is_no_rule() -> None:
    assert read(f"Sure! Here are the rules:\n{GOOD}\nI hope this helps. If not, tell me.")[0] == ("rule", GOOD)


def test_what_is_said_twice_is_one_rule_of_two_sources() -> None:
    requests = asked(2)
    completions = {r.key: Completion(r.key, GOOD) for r in requests}
    found = rules_from(requests, completions, names=QUESTIONS, labels=LABELS)
    assert [one.outcome for one in found] == ["rule", "duplicate"]
    rules = proposed_set(found, QUESTIONS, default="can wait")
    (rule,) = rules.rules
    assert [source.request_key for source in rule.sources] == [request.key for request in requests]
    assert rules.questions == QUESTIONS


def test_a_reply_that_was_cut_and_one_that_never_came() -> None:
    assert read(f"{GOOD}\nIF boring THEN can", cut=True) == [("rule", GOOD), ("cut", "")]
    requests = asked(2)
    found = rules_from(
        requests, {}, {requests[0].key: Failure(requests[0].key, "refused", "no")}, names=QUESTIONS, labels=LABELS
    )
    assert [(one.outcome, one.detail) for one in found] == [("failed", "refused: no"), ("failed", "no reply yet")]


@given(st.text(alphabet=st.sampled_from('IFTHENif then and or not unless_{}[]"=,()\n.boring positive')))
def test_nothing_a_teacher_writes_breaks_the_reader(reply: str) -> None:
    for outcome, _ in read(reply):
        assert outcome in ("rule", "duplicate", "unknown_name", "unknown_answer", "unreadable")
