"""Texts that end a reply."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from symdistill.models.stops import Stops

PIECES = [
    *(piece.encode() for piece in ("a", "ab", "b", " ", " b", "ba", "é", "汉")),
    *(bytes([b]) for b in "é汉".encode()),
]
LONGEST = 6


def decode(tokens: Sequence[int]) -> str:
    """As a SentencePiece tokenizer that falls back to bytes: a text loses the space that it begins with."""
    return b"".join(PIECES[token] for token in tokens).decode(errors="replace").removeprefix(" ")


@given(
    st.lists(st.integers(0, len(PIECES) - 1), max_size=80),
    st.lists(st.text("ab é汉", max_size=LONGEST), max_size=3),
)
def test_asked_at_every_token_it_finds_what_the_whole_text_holds(tokens: list[int], texts: list[str]) -> None:
    asked: list[int] = []

    def noting(some: Sequence[int]) -> str:
        asked.append(len(some))
        return decode(some)

    stops = Stops(tuple(texts), noting)
    met = next((n for n in range(len(tokens)) if stops.met(tokens[: n + 1])), None)
    whole = decode(tokens)
    wanted = next((n for n in range(len(tokens)) if any(text in decode(tokens[: n + 1]) for text in texts)), None)
    assert met == wanted
    assert max(asked, default=0) <= LONGEST * 3 + 16, "the length of a reply makes no difference"
    assert stops.cut(whole) == min((whole[: whole.find(t)] for t in texts if t in whole), key=len, default=whole)


def test_replies_of_one_model_are_decoded_only_where_a_text_may_end() -> None:
    asked: list[tuple[int, ...]] = []

    def noting(some: Sequence[int]) -> str:
        asked.append(tuple(some))
        return decode(some)

    stops = Stops(("b a",), noting)
    a, b, space = (PIECES.index(piece) for piece in (b"a", b"b", b" "))
    for _ in range(3):
        assert not any(stops.met([b, *[space] * n]) for n in range(6))
    assert asked == [(b, b), (space, space)], "each token once, whatever the number of replies"
    assert stops.met([b, space, a])
