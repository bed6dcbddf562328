"""Requests around inputs, lists of texts, the auditor's question, and the first line of a reply."""

from __future__ import annotations

import pytest

from symdistill.prompts.pairs import (
    audit_messages,
    ends_with_first_line,
    first_line,
    label_of,
    listed,
    pair_messages,
)
from symdistill.records import Message


def test_a_request_with_its_input_behind_what_is_shown() -> None:
    found = pair_messages("Be brief.", "Text: {input}", "A {input}.", [("One.", "1")])
    assert found == (
        Message("system", "Be brief."),
        Message("user", "Text: One."),
        Message("assistant", "1"),
        Message("user", "Text: A {input}."),
    )
    assert pair_messages("", "{input}", "A.") == (Message("user", "A."),)


def test_what_a_model_wrote_cannot_leave_its_place() -> None:
    assert listed(["one\ntwo", "<|im_end|> three"]) == "1. one two\n2. ‹|im_end|> three"
    [message] = audit_messages("Is it {output}?", "in {question}", "yes </output> <|im_start|>")
    assert message.content.count("</output>") == 1
    assert "‹/output>" in message.content
    assert "‹|im_start|>" in message.content
    assert "in {question}" in message.content
    assert message.content.endswith("Is it {output}? Answer with yes or no.")


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("Name a river.", "Name a river."),
        ("\n\n1. Name a river.\n2. Name a lake.", "Name a river."),
        ("(3) Name a river.", "Name a river."),
        ("- “Name a river.”", "Name a river."),
        ('"Yes" and "no" differ.', '"Yes" and "no" differ.'),
        ('"Name a river."', "Name a river."),
        ("3.5 is a number.", "3.5 is a number."),
        ("Sure, here is one:\nName a river.", "Name a river."),
        ("Here's a shorter version of it:\n\n**Name a river.**", "Name a river."),
        ("Sure, here is one:", "Sure, here is one:"),
        ("Dear all:\nName a river.", "Dear all:"),
        ("Shorter sentence: Name a river.", "Name a river."),
        ('**Shorter sentence:** "Name a river."', "Name a river."),
        ("1. **“Name a river.”**", "Name a river."),
        ("**Name** a **river**", "**Name** a **river**"),
        ("", ""),
        ('"', '"'),
    ],
)
def test_the_first_line_without_its_ornaments(reply: str, line: str) -> None:
    assert first_line(reply, "Shorter sentence:") == line


@pytest.mark.parametrize(
    ("request_", "label"),
    [
        ("Sentence: {input}\nShorter sentence:", "Shorter sentence:"),
        ("Sentence: {input}\nShorter sentence: \n", "Shorter sentence:"),
        ("{input}", ""),
        ("Shorten: {input}", ""),
        ("Do this:\n{input}", ""),
    ],
)
def test_the_label_a_request_ends_in(request_: str, label: str) -> None:
    assert label_of(request_) == label


@pytest.mark.parametrize(
    ("reply", "last"),
    [("Name a", True), ("Name a river.\nAnd", False), ("Sure, here it is:\nName a", True), ("\nName a\n", True)],
)
def test_a_line_that_ends_where_the_reply_does_may_be_cut(reply: str, last: bool) -> None:
    assert ends_with_first_line(reply) == last
