"""BM25 over texts that come and go, scored exactly after every change.

The formula is that of `bm25`. There the summands are computed once, with the statistics of that moment; here term
counts are kept, and the summands are computed for the terms of a query when it comes, with the statistics (number of
texts, texts with a term, mean length) of the texts there are now. So there is nothing to rebuild after an edit, and
scores are those of an index built afresh from the same texts, to the last bit: they are the same operations on the
same whole numbers, summed in the order of the query's terms. The price is a pass over the postings of a query, which
suits up to some 100,000 texts; `Bm25Index` is for millions that do not change.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from symdistill.knowledge.bm25 import K1, B
from symdistill.knowledge.terms import terms


class LiveBm25:
    """Texts are numbered in the order in which they come; the number of a removed one is not given again."""

    def __init__(self, *, k1: float = K1, b: float = B) -> None:
        self._k1, self._b = k1, b
        self._texts: dict[int, str] = {}
        self._rows: dict[str, array[int]] = {}
        self._counts: dict[str, array[int]] = {}
        self._holding: Counter[str] = Counter()
        self._lengths = array("i")
        self._words = 0

    def add(self, text: str) -> int:
        """Index a text and return its number."""
        row = len(self._lengths)
        own = terms(text)
        for term, count in Counter(own).items():
            self._rows.setdefault(term, array("i")).append(row)
            self._counts.setdefault(term, array("i")).append(count)
            self._holding[term] += 1
        self._texts[row] = text
        self._lengths.append(len(own))
        self._words += len(own)
        return row

    def remove(self, row: int) -> None:
        """Take a text out. Raises KeyError where there is none of this number."""
        own = terms(self._texts.pop(row))
        self._holding.subtract(set(own))
        self._words -= len(own)

    def scores(self, query: str) -> NDArray[np.float64]:
        """The score of every number given so far ([numbers]); of a removed text it means nothing."""
        scores = np.zeros(len(self._lengths))
        texts = len(self._texts)
        if not self._words:
            return scores
        weights = np.array(self._lengths, dtype=np.float64)
        weights *= self._b * texts / self._words
        weights += 1 - self._b
        weights *= self._k1
        for term, times in Counter(terms(query)).items():
            holding = self._holding[term]
            if holding <= 0:
                continue
            idf = times * math.log1p((texts - holding + 0.5) / (holding + 0.5))
            rows, counts = np.array(self._rows[term]), np.array(self._counts[term])
            scores[rows] += idf * counts / (counts + weights[rows])
        return scores
