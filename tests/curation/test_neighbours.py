"""Which questions are most alike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from symdistill.curation.embeddings import tfidf
from symdistill.curation.neighbours import neighbours
from symdistill.curation.words import squeezed

TEXTS = [
    "How many red apples are left in the box?",
    "How many green apples are left in the basket?",
    "The train leaves at nine.",
    "how many RED apples are  left in the box?",
    "When does the train leave the box?",
    "Zwölf.",
]


def test_the_nearest_come_first_and_a_twin_is_none() -> None:
    found = neighbours(TEXTS, 2)
    assert found[0] == [1, 4], "the third says the same as the first"
    assert found[1] == [0, 3]
    assert found[5] == [], "it shares no word with any other"
    assert [len(row) for row in neighbours(TEXTS, 100)] == [3, 4, 4, 3, 4, 0]


def test_only_some_may_be_neighbours() -> None:
    assert neighbours(TEXTS, 3, among=2) == [[1], [0], [0, 1], [1], [0, 1], []]
    assert neighbours(TEXTS, 0) == [[]] * 6
    assert neighbours([], 3) == []


@given(st.lists(st.text(alphabet="ab ", max_size=12), max_size=40), st.integers(1, 6))
def test_similarity_is_the_cosine_of_the_tf_idf_rows(texts: list[str], count: int) -> None:
    rows = tfidf(texts) if texts else np.zeros((0, 1))
    cosine = rows @ rows.T
    for i, found in enumerate(neighbours(texts, count)):
        others = [j for j in range(len(texts)) if cosine[i, j] > 1e-9 and squeezed(texts[j]) != squeezed(texts[i])]
        assert len(found) == min(count, len(others))
        kept = [cosine[i, j] for j in found]
        assert kept == sorted(kept, reverse=True) or np.allclose(kept, sorted(kept, reverse=True), atol=1e-6)
        if len(others) > count:
            assert min(kept) >= sorted((cosine[i, j] for j in others), reverse=True)[count - 1] - 1e-6


def test_embeddings_take_the_place_of_words() -> None:
    angles = [0.0, 0.1, 3.0, 0.3]

    def embed(texts: object) -> np.ndarray:
        return np.array([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)

    assert neighbours(["a", "b", "c", "d"], 3, embed) == [[1, 3, 2], [0, 3, 2], [3, 1, 0], [1, 0, 2]]
