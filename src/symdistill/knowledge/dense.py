"""Texts that come and go as unit vectors, found by cosine similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import ConfigError, UnusableModel

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, one row of length 1 a text out ([n, width])."""


def sentence_embedder(directory: Path, *, key: str = "knowledge.retrieval.embedding_model") -> Embed:
    """The encoder in a directory as a function. `key` is the setting that names it.

    Raises:
        ConfigError: there is no usable encoder in `directory`.
        PrerequisiteError: torch or transformers is not installed.
    """
    from symdistill.models.encoder import SentenceEncoder

    try:
        return SentenceEncoder.load(directory).encode
    except UnusableModel as problem:
        raise ConfigError(f"`{key}`: {problem.message}", problem.fix) from problem


class DenseIndex:
    """Texts are numbered in the order in which they come, as in `LiveBm25`. A text is embedded once.

    Similarities are summed row by row in one order, not by a matrix product, whose rounding depends on where a row
    stands: equal texts have equal scores, whenever they came.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, NDArray[np.float32]] = {}
        self._texts: list[str] = []
        self._matrix: NDArray[np.float32] | None = None

    def add(self, texts: Sequence[str]) -> None:
        """Index texts, in their order."""
        self._texts.extend(texts)
        self._matrix = None
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._embed(new), strict=True))

    def restart(self) -> None:
        """Forget all numbers; what was embedded is remembered."""
        self._texts, self._matrix = [], None

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float64]:
        """The cosine similarity of a query, a vector of length 1, to every number given so far ([numbers])."""
        if not self._texts:
            return np.zeros(0)
        if self._matrix is None:
            self._matrix = np.stack([self._known[text] for text in self._texts])
        similarities: NDArray[np.float32] = np.einsum("ij,j->i", self._matrix, query)
        return similarities.astype(np.float64)
