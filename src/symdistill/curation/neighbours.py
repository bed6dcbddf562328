"""Which texts of a set are most alike: by cosine similarity of embeddings, or of the words they share."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.embeddings import tfidf_weights
from symdistill.curation.words import squeezed

_BLOCK = 256
"""Rows whose similarities to all others are in memory at a time."""


def neighbours(
    texts: Sequence[str],
    count: int,
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
    *,
    among: int | None = None,
) -> list[list[int]]:
    """For each text the places of the `count` most similar others, most similar first; of equals the first place.

    With `among` only the first so many texts are anyone's neighbours.

    A text is no neighbour of itself nor of one that says the same but for case and spaces. `embed` gives one row of
    length 1 a text; None compares TF-IDF weights of words and word pairs over all `texts` (`embeddings.tfidf`), where
    texts without a common word are not alike and are left out.
    """
    if count < 1 or not texts:
        return [[] for _ in texts]
    same: defaultdict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        same[squeezed(text)].append(place)
    similar = _by_words(texts) if embed is None else _by_vectors(np.asarray(embed(texts), dtype=np.float32))
    found = []
    for begin in range(0, len(texts), _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, len(texts)))
        for row, scores in zip(rows.tolist(), similar(rows), strict=True):
            scores[same[squeezed(texts[row])]] = -np.inf
            scores[len(texts) if among is None else among :] = -np.inf
            found.append(_best(scores, count, nothing=-np.inf if embed else 0.0))
    return found


def _best(scores: NDArray[np.float32], count: int, *, nothing: float) -> list[int]:
    places = np.flatnonzero(scores > nothing)
    if len(places) > count:
        floor = np.partition(scores[places], len(places) - count)[len(places) - count]
        places = places[scores[places] >= floor]
    return sorted(places.tolist(), key=lambda place: (-scores[place], place))[:count]


def _by_vectors(vectors: NDArray[np.float32]) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    return lambda rows: vectors[rows] @ vectors.T


def _by_words(texts: Sequence[str]) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Term by term over the texts that hold it: a matrix of all terms would not fit for thousands of questions."""
    weights = tfidf_weights(texts)
    lengths = [math.sqrt(math.fsum(value * value for value in row.values())) or 1.0 for row in weights]
    places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for place, (row, length) in enumerate(zip(weights, lengths, strict=True)):
        for term, value in row.items():
            places[term].append(place)
            values[term].append(value / length)
    held = {
        term: (np.array(places[term]), np.array(values[term], dtype=np.float32))
        for term in places
        if len(places[term]) > 1
    }

    def similar(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        scores = np.zeros((len(rows), len(texts)), dtype=np.float32)
        for at, row in enumerate(rows.tolist()):
            for term in sorted(weights[row].keys() & held.keys()):
                where, value = held[term]
                scores[at, where] += value * np.float32(weights[row][term] / lengths[row])
        return scores

    return similar
