"""Texts as unit vectors, for the diversity selection and for neighbours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.words import words
from symdistill.errors import ConfigError, UnusableModel

Embed = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts of one question in, one unit row a text out ([n, d])."""


def tfidf(texts: Sequence[str]) -> NDArray[np.float64]:
    """TF-IDF of word unigrams and bigrams over these texts alone, rows of length 1 ([n, terms]).

    tf = 1 + ln(count), idf = 1 + ln((1 + n) / (1 + document frequency)). A text without words is a row of zeros.
    """
    weights = tfidf_weights(texts)
    column = {term: number for number, term in enumerate(sorted({term for row in weights for term in row}))}
    matrix = np.zeros((len(texts), max(len(column), 1)))
    for row, weight in enumerate(weights):
        for term, value in weight.items():
            matrix[row, column[term]] = value
    return _unit_rows(matrix)


def tfidf_weights(texts: Sequence[str]) -> list[dict[tuple[str, str], float]]:
    """The terms of each text with their weights, as in `tfidf`, before rows are brought to length 1."""
    counts = []
    for text in texts:
        tokens = words(text)
        counts.append(Counter([(token, "") for token in tokens]) + Counter(pairwise(tokens)))
    frequency = Counter(term for count in counts for term in count)
    idf = {term: 1 + math.log((1 + len(texts)) / (1 + times)) for term, times in frequency.items()}
    return [{term: (1 + math.log(times)) * idf[term] for term, times in count.items()} for count in counts]


def sentence_embeddings(directory: Path) -> Embed:
    """Embeddings of the sentence-transformers model in `directory`, which is never downloaded.

    Raises:
        ConfigError: `directory` is not there or holds no such model.
        PrerequisiteError: torch or transformers is not installed.
    """
    from symdistill.models.encoder import SentenceEncoder

    try:
        encoder = SentenceEncoder.load(directory)
    except UnusableModel as problem:
        raise ConfigError(
            f"curation.embedding_model: {problem.message}",
            "Point `curation.embedding_model` at a sentence-transformers directory, or leave it out for TF-IDF.",
        ) from problem
    return lambda texts: encoder.encode(texts).astype(np.float64)


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(length > 0, length, 1.0)
