"""Duplicates and splits: which triples are one, and that no head stands on two sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.duplicates import deduplicate
from symdistill.knowledge.triples.normalise import (
    content_words,
    local_name,
    normal,
    phrase_name,
    phrase_of_name,
    says_nothing,
    text_of_name,
)
from symdistill.knowledge.triples.splits import side_of, split_by_head


def pair(one: str, other: str) -> list[Triple]:
    return [Triple("PersonX plays", "xWant", one), Triple("PersonX plays", "xWant", other)]


@pytest.mark.parametrize(
    "one, other, kind",
    [
        ("to win", "To win.", "exact"),
        ("to win", ' "TO  WIN" ', "exact"),
        ("to call PersonY", "to call person y", "exact"),
        ("fill the ____", "fill the ___", "exact"),
        ("to win", "win", "near"),
        ("to win the game", "win a game", "near"),
        ("to play in the park today", "to play in the park", "near"),
        ("a game of chess", "a game of cards", None),
        ("to win", "not to win", None),
        ("2 new balls", "3 new balls", None),
        ("the first row of seats", "the last row of seats", None),
        ("PersonX's friend won't allow it", "PersonX's mother won't allow it", None),
        ("to win", "to lose", None),
        ("dog bites man", "man bites dog", None),
        ("!!", "??", None),
    ],
)
def test_which_tails_are_one(one: str, other: str, kind: str | None) -> None:
    found = deduplicate(pair(one, other))
    assert [r.kind for r in found.repeated] == ([kind] if kind else [])
    assert len(found.kept) == (1 if kind else 2)
    strict = deduplicate(pair(one, other), near=None)
    assert len(strict.kept) == (1 if kind == "exact" else 2)


def test_only_one_head_and_relation_are_compared() -> None:
    triples = [Triple("a", "xWant", "to win"), Triple("b", "xWant", "to win"), Triple("a", "xNeed", "to win")]
    assert deduplicate(triples).kept == tuple(triples)


def test_the_surest_one_is_kept_in_its_place() -> None:
    low, sure, none, other = (
        Triple("a", "r", "to win", 0.2),
        Triple("a", "r", "win", 0.9),
        Triple("a", "r", "To win"),
        Triple("a", "r", "to sing", 0.1),
    )
    found = deduplicate([low, other, sure, none, sure])
    assert found.kept == (other, sure)
    assert [(r.triple, r.kept, r.kind) for r in found.repeated] == [
        (low, sure, "near"),
        (none, sure, "near"),
        (sure, sure, "exact"),
    ]


PHRASES = st.lists(
    st.builds(
        Triple,
        st.sampled_from(["a", "A.", "b"]),
        st.just("r"),
        st.lists(st.sampled_from(["to", "win", "the", "big", "game", "not", "2"]), min_size=1, max_size=5).map(
            " ".join
        ),
        st.one_of(st.none(), st.floats(0, 1)),
    ),
    max_size=12,
)


@given(triples=PHRASES)
def test_nothing_is_lost_and_a_second_time_changes_nothing(triples: list[Triple]) -> None:
    found = deduplicate(triples)
    assert len(found.kept) + len(found.repeated) == len(triples)
    assert deduplicate(found.kept).repeated == ()
    assert all(r.kept in found.kept and r.kept.fact[:2] == r.triple.fact[:2] for r in found.repeated)
    assert len({t.fact for t in found.kept}) == len(found.kept)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("  PersonX   Pays. ", "personx pays"),
        ("‘Ｐｅｒｓｏｎ Ｙ’s cat’", "persony’s cat"),
        ("person_x", "personx"),
        ("a person with", "a person with"),
        ("...", "..."),
        ("Straße", "strasse"),
        ("fill ______!", "fill ___"),
    ],
)
def test_the_normal_form(text: str, expected: str) -> None:
    assert normal(text) == expected


@given(st.text(max_size=20))
def test_normalising_twice_changes_nothing_and_names_are_read_back(text: str) -> None:
    assert normal(normal(text)) == normal(text)
    if text.encode("utf-8", "replace").decode() == text:
        assert text_of_name(local_name(text)) == text
        assert phrase_of_name(phrase_name(text)) == text
    assert (local_name(text) + phrase_name(text)).isascii()
    assert content_words(text)


@pytest.mark.parametrize(
    "text, nothing", [("none", True), ("N/A.", True), ("None ", True), ("no one", False), ("nun", False)]
)
def test_what_says_that_there_is_nothing(text: str, nothing: bool) -> None:
    assert says_nothing(text) is nothing


HEADS = [f"PersonX does thing {n}" for n in range(400)]


def test_a_head_stands_on_one_side_for_good() -> None:
    few = [Triple(head, "r", tail) for head in HEADS[:200] for tail in "ab"]
    many = [Triple(head, "r", tail) for head in reversed(HEADS) for tail in "abc"]
    first, second = split_by_head(few, seed=1), split_by_head(many, seed=1)
    assert sum(map(len, first.values())) == len(few)
    sides = {t.head: name for name, triples in second.items() for t in triples}
    for name, triples in first.items():
        assert all(sides[t.head] == name for t in triples)
    heads = {name: {t.head for t in triples} for name, triples in second.items()}
    assert sum(map(len, heads.values())) == len(HEADS)
    assert 280 <= len(heads["train"]) <= 350
    assert split_by_head(many, seed=2) != second


def test_heads_that_differ_in_writing_only_are_not_parted() -> None:
    ways = ["PersonX picks the apple", "personx picks an apple.", "Person X  PICKED apples"]
    for number in range(30):
        sides = split_by_head([Triple(f"{way} {number}", "r", "t") for way in ways])
        assert sorted(len(triples) for triples in sides.values()) == [0, 0, 3]


def test_divisions_for_two_purposes_have_nothing_to_do_with_one_another() -> None:
    shares = {"a": 0.5, "b": 0.5}
    both = [(side_of(head, shares, purpose="one"), side_of(head, shares, purpose="other")) for head in HEADS]
    assert all(70 < both.count((first, second)) < 130 for first in "ab" for second in "ab")


def test_shares_must_make_a_whole() -> None:
    with pytest.raises(ValueError):
        split_by_head([], {"train": 0.5, "test": 0.4})
    with pytest.raises(ValueError):
        split_by_head([], {"train": 1.5, "test": -0.5})
    assert split_by_head([Triple("a", "r", "b")], {"train": 1.0, "test": 0.0})["train"]
