from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.models import split_reasoning


@pytest.mark.parametrize(
    "reply, reasoning, text, closed",
    [
        ("The answer is 7.", None, "The answer is 7.", True),
        ("  spaces stay \n", None, "  spaces stay \n", True),
        ("", None, "", True),
        ("<think>3+4=7</think>The answer is 7.", "3+4=7", "The answer is 7.", True),
        ("<think>\n3+4=7\n</think>\n\nThe answer is 7.\n", "3+4=7", "The answer is 7.", True),
        ("\n <think>a</think>b", "a", "b", True),
        ("<thinking>a</thinking>b", "a", "b", True),
        ("<reasoning>a</reasoning>b", "a", "b", True),
        ("<THINK>a</Think>b", "a", "b", True),
        ("<think></think>b", "", "b", True),
        ("<think>a", "a", "", False),
        ("<think>", "", "", False),
        ("<think>a</thinking>b", "a</thinking>b", "", False),
        ("<thinking>a <think>b</think> c</thinking>d", "a <think>b</think> c", "d", True),
        ("3+4=7\n</think>\n\nThe answer is 7.", "3+4=7", "The answer is 7.", True),
        ("a</reasoning>b", "a", "b", True),
        ("I use <think> tags: <think>a</think> b", None, "I use <think> tags: <think>a</think> b", True),
        ("Say <think>a</think>.", None, "Say <think>a</think>.", True),
        ("<think>a</think>b</think>c", "a", "b</think>c", True),
        ("1 <thinks> 2", None, "1 <thinks> 2", True),
    ],
)
def test_the_block_before_a_reply(reply: str, reasoning: str | None, text: str, closed: bool) -> None:
    assert split_reasoning(reply) == (reasoning, text, closed)


@given(st.text(), st.text())
def test_nothing_but_blanks_and_tags_is_lost(reasoning: str, text: str) -> None:
    found, said, closed = split_reasoning(f"<think>{reasoning}</think>{text}")
    assert closed
    assert found is not None
    if "</think>" not in reasoning.lower():
        assert (found, said) == (reasoning.strip(), text.strip())


@given(st.text(alphabet="<>/thinkreasog \n", max_size=200))
def test_no_reply_raises(reply: str) -> None:
    reasoning, text, _ = split_reasoning(reply)
    assert len(text) + len(reasoning or "") <= len(reply)
