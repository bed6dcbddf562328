"""ROUGE-L against a table of known values and the textbook algorithm; the index against comparing with everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.curation.rouge import SimilarityIndex, common_subsequence, rouge_l, rouge_words

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "dog", "ran", "to", "home"]), max_size=12)


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("police killed the gunman", "police kill the gunman", 3 / 4),  # the example of Lin's paper
        ("police killed the gunman", "the gunman kill police", 2 / 4),
        ("police killed the gunman", "the gunman police killed", 2 / 4),
        ("one two three", "one two three", 1.0),
        ("one two three", "four five", 0.0),
        ("", "one", 0.0),
        ("", "", 0.0),
        ("One, TWO!", "one two", 1.0),
        ("a b c d", "a x b y c z d w", 8 / 12),
        ("Überall 3.5", "überall 3 5", 1.0),
        ("a a b", "a b b", 4 / 6),
    ],
)
def test_known_values(first: str, second: str, value: float) -> None:
    assert rouge_l(first, second) == pytest.approx(value)
    assert rouge_l(second, first) == pytest.approx(value)


def textbook(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for one in first:
        before = row[:]
        for at, other in enumerate(second, 1):
            row[at] = before[at - 1] + 1 if one == other else max(before[at], row[at - 1])
    return row[-1]


@given(WORDS, WORDS)
def test_the_common_subsequence_is_the_textbook_s(first: list[str], second: list[str]) -> None:
    assert common_subsequence(first, second) == textbook(first, second)


@given(st.lists(WORDS, max_size=12), WORDS, st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_the_index_finds_what_comparing_with_everything_finds(
    kept: list[list[str]], new: list[str], threshold: float
) -> None:
    index = SimilarityIndex(threshold)
    texts = [" ".join(words) for words in kept]
    for number, text in enumerate(texts):
        index.add(str(number), text)
    scores = [rouge_l(" ".join(new), text) for text in texts]
    best = max(scores, default=0.0)
    found = index.nearest(" ".join(new))
    if best < threshold:
        assert found is None
    else:
        assert found == (str(scores.index(best)), best)
    assert len(index) == len(kept)


def test_few_texts_are_looked_at_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counting(first: list[str], second: list[str]) -> int:
        nonlocal compared
        compared += 1
        return common_subsequence(first, second)

    index = SimilarityIndex(0.7)
    for number in range(2000):
        index.add(str(number), f"write a short story about item{number} and place{number % 97} for the reader")
    monkeypatch.setattr("symdistill.curation.rouge.common_subsequence", counting)
    assert index.nearest("compute the sum of twelve large and even numbers for me") is None
    assert compared < 20
    found = index.nearest("write a short story about item41 and place41 for the reader")
    assert found == ("41", 1.0)


@pytest.mark.parametrize("threshold", [0, -1, 1.2])
def test_a_threshold_is_a_share(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        SimilarityIndex(threshold)


def test_words_are_runs_of_letters_and_digits() -> None:
    assert rouge_words("It's 3.5 km_h — ﬁne") == ["it", "s", "3", "5", "km", "h", "fine"]
