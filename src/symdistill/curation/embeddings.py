"""Texts as unit vectors, for the diversity selection."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.words import words
from symdistill.errors import ConfigError, PrerequisiteError

Embed = Callable[[Sequence[str]], NDArray[np.float64]]
"""Texts of one question in, one unit row a text out ([n, d])."""


def tfidf(texts: Sequence[str]) -> NDArray[np.float64]:
    """TF-IDF of word unigrams and bigrams over these texts alone, rows of length 1 ([n, terms]).

    tf = 1 + ln(count), idf = 1 + ln((1 + n) / (1 + document frequency)). A text without words is a row of zeros.
    """
    counts = []
    for text in texts:
        tokens = words(text)
        counts.append(Counter([(token, "") for token in tokens]) + Counter(pairwise(tokens)))
    frequency = Counter(term for count in counts for term in count)
    column = {term: number for number, term in enumerate(sorted(frequency))}
    matrix = np.zeros((len(texts), max(len(column), 1)))
    for row, count in enumerate(counts):
        for term, times in count.items():
            idf = 1 + math.log((1 + len(texts)) / (1 + frequency[term]))
            matrix[row, column[term]] = (1 + math.log(times)) * idf
    return _unit_rows(matrix)


def sentence_transformer(directory: Path) -> Embed:
    """Embeddings of the sentence-transformers model in `directory`, which is never downloaded.

    Raises:
        ConfigError: `directory` is not there or holds no such model.
        PrerequisiteError: sentence-transformers is not installed.
    """
    fix = "Point `curation.embedding_model` at a sentence-transformers directory, or leave it out for TF-IDF."
    if not directory.is_dir():
        raise ConfigError(f"curation.embedding_model: {directory} is not a directory.", fix)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise PrerequisiteError(
            "curation.embedding_model needs the package sentence-transformers.",
            "Install it: pip install 'symdistill[diversity]'",
        ) from error
    try:
        model = SentenceTransformer(str(directory), local_files_only=True)
    except Exception as error:  # whatever a damaged directory makes the library raise, the user's mistake is the same
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"curation.embedding_model: {directory} is not a sentence-transformers model ({reason}).", fix
        ) from error

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        rows = model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        return _unit_rows(np.asarray(rows, dtype=np.float64))

    return embed


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(length > 0, length, 1.0)
