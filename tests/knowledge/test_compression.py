"""Notes made shorter: what stays together, what goes first, and what a lower rate keeps of a higher one."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from symdistill.knowledge.compression import Token, Unit, compressed, measured, spans


def units(text: str) -> list[str]:
    return [text[a:b] for a, b in spans(text)]


@pytest.mark.parametrize(
    "text, parts",
    [
        ("Read both numbers.", ["Read", "both", "numbers."]),
        ("1. Read it\n2) Add it", ["1. Read", "it", "2) Add", "it"]),
        ("- Don't stop\n* Go on\n## Head", ["- Don't", "stop", "* Go", "on", "## Head"]),
        ("100 cm are 1 m, and 1,000.5 m are far", ["100", "cm", "are", "1", "m,", "and", "1,000.5", "m", "are", "far"]),
        ("about 10 000 km or 1 1/2 mi", ["about", "10 000", "km", "or", "1 1/2", "mi"]),
        ("so 3 + 4 = 7 here", ["so 3 + 4 = 7 here"]),
        ("Then 3 × 4, then stop", ["Then", "3 × 4,", "then", "stop"]),
        ("take x - 1 of them - the rest stays", ["take", "x - 1", "of", "them -", "the", "rest", "stays"]),
        ("Remember: area = length × width. Always.", ["Remember:", "area = length × width.", "Always."]),
        (
            "Average speed = total distance / total time, for example",
            ["Average speed = total distance / total time,", "for", "example"],
        ),
        ("use $a^2 + b^2$ and `x = 1` now", ["use", "$a^2 + b^2$", "and", "`x = 1`", "now"]),
        (r"so \( a \cdot b \) holds", ["so", r"\( a \cdot b \)", "holds"]),
        ("it costs $5 and then $10 more", ["it", "costs", "$5", "and", "then", "$10", "more"]),
        ("scale 1:50,000 means 1 for 50,000", ["scale", "1:50,000", "means", "1", "for", "50,000"]),
        ("先读题，再计算。最后检查", ["先读题，", "再计算。", "最后检查"]),
        ("a % of b", ["a %", "of", "b"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_words_numbers_and_formulas_stay_whole(text: str, parts: list[str]) -> None:
    assert units(text) == parts


def even(text: str) -> list[Token]:
    """A token for every five characters, words or not, with a self-information that has no pattern."""
    return [(a, min(a + 5, len(text)), float(a * 7919 % 101)) for a in range(0, len(text), 5)]


WRITTEN = st.text(alphabet="ab 12.,=+-×/$`\n(){}\\好，é", max_size=120)


@given(WRITTEN)
@example("$$ $ ` \\( = = = -")
def test_units_hold_everything_that_is_visible_once(text: str) -> None:
    places = spans(text)
    assert all(a < b for a, b in places)
    assert all(first[1] <= second[0] for first, second in pairwise(places))
    inside = {at for a, b in places for at in range(a, b)}
    assert all(at in inside for at, c in enumerate(text) if not c.isspace())
    numbers = [m.span() for m in re.finditer(r"\d+(?:[.,]\d+)*", text)]
    assert all(any(a <= x and y <= b for a, b in places) for x, y in numbers), "no number is cut"


@given(st.lists(WRITTEN, min_size=1, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_rate_keeps_a_part_of_what_a_higher_keeps(texts: list[str], one: float, other: float) -> None:
    low, high = sorted((one, other))
    own = [measured(text, even(text)) for text in texts]
    shorter, longer = compressed(texts, own, low), compressed(texts, own, high)
    for before, after in zip(longer, shorter, strict=True):
        left = iter("".join(before.split()))
        assert all(c in left for c in "".join(after.split())), "in the same order, and nothing new"
        assert len(after.split()) <= len(before.split())
        assert len(after) <= len(before)


@given(st.lists(WRITTEN, min_size=1, max_size=3), st.floats(0.01, 0.99))
def test_the_rate_is_a_share_of_tokens_as_near_as_whole_units_allow(texts: list[str], rate: float) -> None:
    own = [measured(text, even(text)) for text in texts]
    kept = compressed(texts, own, rate)
    tokens = {
        (i, text[u.start : u.end]): u.tokens for i, (text, us) in enumerate(zip(texts, own, strict=True)) for u in us
    }
    total = sum(u.tokens for us in own for u in us)
    largest = max(tokens.values(), default=0)
    again = [measured(text, []) for text in kept]
    assert compressed(texts, own, rate) == kept, "deterministic"
    assert len("".join(kept)) <= len("".join(texts))
    if total and len({u.information for us in own for u in us}) == sum(map(len, own)):
        ranked = sorted((u for us in own for u in us), key=lambda u: -u.information)
        sums = [sum(u.tokens for u in ranked[:n]) for n in range(len(ranked) + 1)]
        assert min(abs(s - rate * total) for s in sums) <= largest / 2 + 1e-9
    assert all(len(us) <= len(before) for us, before in zip(again, own, strict=True))


def test_what_says_least_goes_first_over_all_texts_together() -> None:
    texts = ["the sum grows", "of it"]
    own = [
        (Unit(0, 3, 1, 0.1), Unit(4, 7, 2, 5.0), Unit(8, 13, 2, 4.0)),
        (Unit(0, 2, 1, 0.2), Unit(3, 5, 1, 3.0)),
    ]
    assert compressed(texts, own, 1) == texts
    assert compressed(texts, own, 6 / 7) == ["sum grows", "of it"]
    assert compressed(texts, own, 5 / 7) == ["sum grows", "it"]
    assert compressed(texts, own, 2 / 7) == ["sum", ""]
    assert compressed(texts, own, 0) == ["", ""]


def test_rate_one_changes_nothing_not_even_spaces() -> None:
    text = "1.  Two   spaces\n\n\n2. and lines "
    assert compressed([text], [measured(text, even(text))], 1.0) == [text]


def test_lines_stay_lines() -> None:
    text = "1. Read it\n\n2. Add it up\n3. Stop"
    scores = {"1. Read": 3, "it": 0, "2. Add": 2, "up": 0, "3. Stop": 1}
    own = [Unit(a, b, 1, float(scores.get(text[a:b], 0))) for a, b in spans(text)]
    assert compressed([text], [own], 0.5) == ["1. Read\n2. Add\n3. Stop"]


def test_tokens_count_for_the_unit_their_first_letter_is_in() -> None:
    text = "one  two"
    tokens = [(0, 3, 1.0), (3, 5, 9.0), (4, 7, 3.0), (7, 8, 5.0)]  # a space before a word counts with it
    first, second = measured(text, tokens)
    assert (first.tokens, first.information) == (1, 1.0)
    assert (second.tokens, second.information) == (3, pytest.approx(17 / 3))
    [bare] = measured("x", [])
    assert (bare.tokens, bare.information) == (1, 0.0)


@pytest.mark.parametrize("text", ["= " * 3000, "$ " * 3000, "`a " * 3000, r"\( " * 3000, "a" * 20_000, "1 000 " * 3000])
def test_long_and_hostile_texts_are_read_in_little_time(text: str) -> None:
    began = time.monotonic()
    own = measured(text, even(text))
    compressed([text], [own], 0.5)
    assert time.monotonic() - began < 5
