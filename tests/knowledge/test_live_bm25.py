"""The index for texts that come and go scores as the one for texts that stay."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.knowledge import Bm25Index
from symdistill.knowledge.live_bm25 import LiveBm25

WORDS = st.sampled_from(["a", "b", "c", "d", "1", "2.5", "swap", "list", "é"])
TEXT = st.lists(WORDS, max_size=8).map(" ".join)


@settings(deadline=None)
@given(
    st.lists(TEXT, max_size=12), st.sets(st.integers(0, 11)), TEXT, st.sampled_from([(1.2, 0.75), (0.9, 0.4), (0, 0)])
)
def test_scores_are_those_of_an_index_of_what_is_left(
    texts: list[str], gone: set[int], query: str, parameters: tuple[float, float]
) -> None:
    k1, b = parameters
    live = LiveBm25(k1=k1, b=b)
    assert [live.add(text) for text in texts] == list(range(len(texts)))
    left = [row for row in range(len(texts)) if row not in gone]
    for row in set(range(len(texts))) - set(left):
        live.remove(row)
    index = Bm25Index.build([texts[row] for row in left], k1=k1, b=b)
    assert live.scores(query)[left] == pytest.approx(index.scores(query, range(len(left))), rel=1e-6)


def test_scores_after_changes_are_those_of_a_fresh_index_to_the_last_bit() -> None:
    rng = random.Random(2)
    texts = [" ".join(rng.choices("abcdefgh", k=rng.randint(0, 30))) for _ in range(300)]
    changed, fresh = LiveBm25(), LiveBm25()
    for text in texts:
        changed.remove(changed.add("words that go again"))
        changed.add(text)
        fresh.add(text)
    for query in texts[:20]:
        assert changed.scores(query)[1::2].tolist() == fresh.scores(query).tolist()


def test_a_text_that_is_gone_cannot_go_again() -> None:
    live = LiveBm25()
    live.remove(live.add("a"))
    with pytest.raises(KeyError):
        live.remove(0)
