"""Texts that end a reply."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from symdistill.models.stops import Stops

PIECES = ["a", "ab", "b", " ", "ba", "é", "\u6c49"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=80), st.lists(st.text("ab é\u6c49", min_size=1, max_size=6), max_size=3)
)
def test_asked_at_every_token_it_finds_what_the_whole_text_holds(pieces: list[str], texts: list[str]) -> None:
    stops, seen = Stops(tuple(texts)), 0

    def decode(tokens: Sequence[int]) -> str:
        nonlocal seen
        seen = max(seen, len(tokens))
        return "".join(pieces[token] for token in tokens)

    met = next((n for n in range(len(pieces)) if stops.met(range(n + 1), decode)), None)
    whole = "".join(pieces)
    wanted = next((n for n in range(len(pieces)) if any(t in "".join(pieces[: n + 1]) for t in texts)), None)
    assert met == wanted
    assert seen <= 6 * 3 + 16, "the length of a reply makes no difference"
    assert stops.cut(whole) == min((whole.split(text)[0] for text in texts), key=len, default=whole)
