"""The words before an answer: where a reply is cut, and that ours is read back."""

from __future__ import annotations

import pytest

from symdistill.prompts import cue
from symdistill.tasks import check_answer, split_reply

CANDLES = {"A": "shelf", "B": "board", "C": "church", "D": "table", "E": "dark"}


@pytest.mark.parametrize(
    "gold, answer_type, choices",
    [
        ("72", "number", None),
        ("-3.5", "number", None),
        ("1/3", "number", None),
        ("1,234", "number", None),
        ("1e9999", "number", None),
        ("E", "choice", CANDLES),
        ("A", "choice", CANDLES),
        ("A", "choice", None),
        ("not enough info", "label", None),
        ("True", "label", None),
        ("] ] >", "text", None),
        (")", "text", None),
        ("02:30:15", "text", None),
        ("You have tried it already?", "text", None),
        ("2 1 4 3\n4 3 1 2", "text", None),
        ("[['a', 'b'], ['c']]", "text", None),
        ("['14', '-48.986']", "text", None),
        ("Monsters, Inc", "text", None),
    ],
)
def test_the_projects_own_closing_sentence_is_read_back(gold, answer_type, choices):
    assert check_answer(f"First this. Then that.\n{cue(gold)}", gold, answer_type, choices)
    assert check_answer(gold, gold, answer_type, choices) or "\n" in gold


@pytest.mark.parametrize(
    "reply, rationale, answer",
    [
        ("Half of 48 is 24. Therefore, the answer is 72.", "Half of 48 is 24.", "Therefore, the answer is 72."),
        ("Half is 24.\nSo the answer is 72", "Half is 24.", "So the answer is 72"),
        (
            "First I thought the answer is 12. But the answer is 15.",
            "First I thought the answer is 12.",
            "But the answer is 15.",
        ),
        ("He has $3.50 left. The answer is 3.5.", "He has $3.50 left.", "The answer is 3.5."),
        ("48/2 = 24\n#### 24", "48/2 = 24", "#### 24"),
        ("It is dark.\n\n**Answer:** (E)", "It is dark.", "**Answer:** (E)"),
        ("We get \\boxed{3}", "", "We get \\boxed{3}"),
        ("The answer is 3.", "", "The answer is 3."),
        ("No cue at all, just 3.", "No cue at all, just 3.", None),
        ("", "", None),
    ],
)
def test_a_reply_is_cut_before_its_last_cue(reply, rationale, answer):
    assert split_reply(reply) == (rationale, answer)
