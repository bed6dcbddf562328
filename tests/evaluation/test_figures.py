"""Numbers and texts as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation import figures


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (figures.percent, 0.5833, "58.3"),
        (figures.points, 0.26667, "+26.7"),
        (figures.points, -0.075, "−7.5"),
        (figures.points, -0.00001, "0.0"),
        (figures.p_value, 0.0004, "p<.001"),
        (figures.p_value, 0.042, "p=.042"),
        (figures.p_value, 0.3, "p=.300"),
        (figures.p_value, 1.0, "p=1"),
        (figures.scaled, 26.4e9, "26 G"),
        (figures.scaled, 1.24e12, "1.2 T"),
        (figures.scaled, 999_600_000, "1.0 G"),
        (figures.scaled, 12, "12"),
        (figures.scaled, None, "–"),
        (figures.count, 1920, "1,920"),
        (figures.count, 8.97, "9.0"),
        (figures.count, 9.0, "9"),
        (figures.count, None, "–"),
        (figures.duration, 0.42, "0.4 s"),
        (figures.duration, 59.6, "1:00 min"),
        (figures.duration, 251, "4:11 min"),
        (figures.duration, 3727, "1:02:07 h"),
        (figures.duration, None, "–"),
        (figures.dollars, 0, "$0.00"),
        (figures.dollars, 0.0042, "$0.0042"),
        (figures.dollars, 1234.5, "$1,234.50"),
        (figures.dollars, None, "–"),
    ],
)
def test_formats(function, value, text):
    assert function(value) == text


def test_long_texts_are_cut_with_a_note():
    assert figures.clean("a" * 1500, 1000) == "a" * 1000 + " … [500 more characters]"
    assert figures.clean("short", 1000) == "short"


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\u202e", "\ud800", "\x85"])
def test_unprintable_characters_are_shown_as_such(bad):
    assert figures.clean(f"a{bad}b", 100).startswith("a\N{REPLACEMENT CHARACTER}")


@given(st.text(st.characters(), max_size=300), st.integers(1, 50))
def test_shorten_gives_one_encodable_line_of_bounded_length(text, limit):
    line = figures.shorten(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")


@pytest.mark.parametrize(
    "number, words, said",
    [
        (1, ("rule",), "1 rule"),
        (0, ("rule",), "0 rules"),
        (1920, ("reply", "replies"), "1,920 replies"),
        (1, ("reply", "replies"), "1 reply"),
    ],
)
def test_a_number_of_things(number: int, words: tuple[str, ...], said: str):
    assert figures.counted(number, *words) == said
