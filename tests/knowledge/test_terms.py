from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge import terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n\t ", []),
        ("?!… — ()", []),
        ("The cat, the CAT.", ["the", "cat", "the", "cat"]),
        ("running runs ran", ["running", "runs", "ran"]),
        ("3.5 kg and 1,234 g", ["3.5", "kg", "and", "1,234", "g"]),
        ("$1,234,567.89 in all.", ["1,234,567.89", "in", "all"]),
        ("It is 42.", ["it", "is", "42"]),
        ("12, 3,4 and 1,23", ["12", "3", "4", "and", "1", "23"]),
        ("1,2345", ["1", "2345"]),
        ("version 2.13.0", ["version", "2.13.0"]),
        ("x2 2x 3rd", ["x2", "2x", "3rd"]),
        ("tracking_shuffled_objects", ["tracking", "shuffled", "objects"]),
        ("well-known Tom's don't", ["well", "known", "tom", "s", "don", "t"]),
        ("a+b=c", ["a", "b", "c"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Éte\u0301 ÉTÉ", ["été", "été"]),
        ("ｆｕｌｌ ３．５", ["full", "3.5"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σίσυφοσ", "σίσυφοσ"]),
        ("число 7, слово", ["число", "7", "слово"]),
        ("東京 と 大阪", ["東京", "と", "大阪"]),
        ("half a pair \ud800 left", ["half", "a", "pair", "left"]),
    ],
)
def test_terms(text: str, found: list[str]) -> None:
    assert terms(text) == found


@given(st.text("aZß é３3.,_-'\n"))
def test_terms_of_the_terms_are_the_terms(text: str) -> None:
    once = terms(text)
    assert terms(" ".join(once)) == once


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_for_plain_text_finds_what_the_general_way_finds(text: str) -> None:
    *general, mark = terms(f"{text} é")
    assert mark == "é"
    assert terms(text) == general
