"""Cutting replies that go round in circles."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.repetition import first_words, without_loops

UNIT = "The cat holds the ball and the dog holds the hat now."


@pytest.mark.parametrize(
    "text, shorter",
    [
        (f"Start. {' '.join([UNIT] * 6)}", f"Start. {UNIT}!"),
        (f"Start. {' '.join([UNIT] * 3)} Then the end.", f"Start. {UNIT}! Then the end."),
        ("so the answer " * 12, "so the answer!"),
        (f"{UNIT}\n" * 5 + "The cat holds the ba", f"{UNIT}!"),
        (f"A. {' '.join([UNIT] * 3)} B. {'go on and ' * 9}C.", f"A. {UNIT}! B. go on and! C."),
        ("x" * 500, "x!"),
        ("ab" * 300 + " end", "ab! end"),
        ("The cat. " + UNIT.lower() + " " + UNIT + " " + UNIT.upper(), "The cat. " + UNIT.lower() + "!"),
    ],
)
def test_a_loop_is_cut_to_its_first_round(text: str, shorter: str) -> None:
    assert without_loops(text, "!").strip() == shorter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tails tails tails tails",
        "1, 1, 1, 1, 2, 2, 3",
        f"{UNIT} {UNIT}",
        " ".join(f"Step {n}: swap the two of them and write down who holds what." for n in range(12)),
        " ".join(f"{n} + {n} = {2 * n}." for n in range(30)),
        "True and True and True and True and False",
    ],
)
def test_what_is_no_loop_stays(text: str) -> None:
    assert without_loops(text, "!") == text


@given(st.lists(st.sampled_from("abcDE"), max_size=120), st.integers(1, 6))
def test_every_word_but_a_cut_one_stands_in_what_is_kept(letters: list[str], times: int) -> None:
    text = " ".join(letters * times)
    kept = without_loops(text)
    assert set(kept.lower().split()) == set(text.lower().split())
    assert len(kept) <= len(text)


def test_long_replies_take_no_longer_than_their_length() -> None:
    begin = time.process_time()
    without_loops("a b c d e f g h " * 50_000)
    without_loops(" ".join(str(n % 7) + "x" * (n % 5) for n in range(100_000)))
    without_loops("ab" * 200_000)
    assert time.process_time() - begin < 10


def test_the_first_words_keep_their_spacing() -> None:
    assert first_words("a  b\nc d", 3) == "a  b\nc …"
    assert first_words("a  b\nc", 3) == "a  b\nc"
