"""BM25 over up to millions of short texts: an index that is built once, mapped into memory, and searched exactly.

The score of a text d for a query q is Lucene's (since version 8, without its rounding of lengths to one byte; "Lucene
(accurate)" in Kamphuis et al. 2020):

    sum over the terms t of q, repeated ones as often as they stand there, of
    idf(t) · tf / (tf + k1 · (1 - b + b · |d| / mean length)),    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5))

where tf counts t in d, |d| counts the terms of d (`terms`), df the texts with t and N all texts. What a term adds to a
text does not depend on the query, so the index holds these summands ("impacts"), rounded to float32, term by term
(Lù 2024, BM25S); a score is their sum in float64.

Adding up every posting of a query costs a pass over millions of texts for words that decide nothing. `search` takes the
terms from the one that can add most to the one that can add least, and stops opening new texts once k of them have more
than all terms left could add to an untouched one (Turtle & Flood 1995, MaxScore); the terms left are then looked up
for the texts that can still win. The outcome is that of the full sum, ties included.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from symdistill.knowledge.bm25_files import Postings, read_index, write_index
from symdistill.knowledge.terms import terms

K1 = 1.2
B = 0.75

_BLOCK = 1 << 22
"""Postings whose impacts are computed at a time: bounds the memory of float64 intermediates."""
_LOOKUP = 16
"""Looking one text up in a posting list costs about as much as adding up this many postings."""

Floats = NDArray[np.float32]
Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A text found: its position among those indexed, and its score, above 0."""

    index: int
    score: float


class Bm25Index:
    """An immutable index. `build` or `load` one; searching from several threads is safe."""

    def __init__(self, postings: Postings) -> None:
        self._postings = postings
        self._vocabulary: Mapping[str, int] = postings.vocabulary

    def __len__(self) -> int:
        return self._postings.texts

    @property
    def k1(self) -> float:
        return self._postings.k1

    @property
    def b(self) -> float:
        return self._postings.b

    @classmethod
    def build(cls, texts: Iterable[str], *, k1: float = K1, b: float = B) -> Self:
        """Index `texts`, which are read once and not kept.

        The defaults are Lucene's. Needs about 30 bytes of memory a word at its peak, 8 a distinct word and text after.

        Raises:
            ValueError: `k1` is negative or infinite, or `b` outside [0, 1].
        """
        if not (0 <= k1 < math.inf and 0 <= b <= 1):
            raise ValueError(f"k1 must be finite and at least 0, and b between 0 and 1, not {k1} and {b}")
        return cls(_postings(texts, k1, b))

    def save(self, directory: Path) -> None:
        """Write the index as a directory, whole or not at all; an index that was there is replaced.

        Raises:
            DataError: it cannot be written, or `directory` is something else than an index.
        """
        write_index(directory, self._postings)

    @classmethod
    def load(cls, directory: Path, *, mmap: bool = True) -> Self:
        """Open a saved index: by memory map (the postings stay on disk until they are read) or all in memory.

        Raises:
            DataError: there is no index, it is damaged or cut short, or a later version wrote it.
        """
        return cls(read_index(directory, mmap=mmap))

    def search(self, query: str, k: int, exclude: Collection[int] = ()) -> list[Hit]:
        """The `k` best texts that share a term with the query, best first; of equal ones the earlier comes first.

        Fewer come back when fewer share a term, none for a query without known terms. Texts in `exclude` are passed
        over as if they were not indexed (their words still count in the idf).

        Raises:
            ValueError: `k` is below 1.
            IndexError: a position to exclude is outside the index.
            DataError: the index on disk is damaged.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        wanted = self._weights(query)
        if not wanted:
            return []
        left_out = self._checked(np.fromiter(exclude, dtype=np.intp, count=len(exclude)))
        try:
            rows = self._contenders(wanted, k, left_out)
            scores = self._sums(wanted, rows)
        except IndexError as error:
            raise self._postings.damaged("a posting points outside the index") from error
        order = np.lexsort((rows, -scores))[:k]
        return [Hit(int(rows[i]), float(scores[i])) for i in order]

    def scores(self, query: str, indices: Sequence[int]) -> NDArray[np.float64]:
        """The scores of the texts `indices` for the query ([len(indices)], float64), 0 where no term is shared.

        Raises:
            IndexError: a position outside the index.
        """
        return self._sums(self._weights(query), self._checked(np.asarray(indices, dtype=np.intp).reshape(-1)))

    def _checked(self, rows: Rows) -> Rows:
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"the index holds {len(self):,} texts; positions begin at 0")
        return rows

    def _weights(self, query: str) -> dict[int, int]:
        """Known terms of the query and how often they stand in it."""
        counts = Counter(terms(query))
        known = self._vocabulary
        return {known[term]: count for term, count in counts.items() if term in known}

    def _contenders(self, wanted: Mapping[int, int], k: int, left_out: Rows) -> Rows:
        """Positions, ascending, among which the `k` best are: few more than k."""
        postings = self._postings
        bounds = {term: float(postings.maxima[term]) * weight for term, weight in wanted.items()}
        order = sorted(wanted, key=lambda term: (-bounds[term], term))
        left = np.append(np.cumsum([bounds[term] for term in reversed(order)])[::-1], 0.0)
        # Partial sums are float32: nothing is given up that rounding might have put on the wrong side.
        slack = float(left[0]) * (len(order) + 2) * 2.0**-23
        partial = np.zeros(len(self), dtype=np.float32)
        partial[left_out] = -np.inf

        floor = 0.0  # k texts have so much at least
        opened = 0
        while opened < len(order) and floor <= left[opened] + slack:
            sums = self._add(partial, order[opened], wanted[order[opened]])
            floor = _raised(floor, sums, k)
            opened += 1
        found = np.flatnonzero(partial >= max(floor - left[opened] - slack, np.finfo(np.float32).tiny))
        for place in range(opened, len(order)):
            if len(found) <= 2 * k:
                break
            term = order[place]
            rows, impacts = postings.of(term)
            if len(found) * _LOOKUP > len(rows):
                self._add(partial, term, wanted[term])
                sums = partial[found]
            else:
                sums = partial[found] + _looked_up(rows, impacts, found) * np.float32(wanted[term])
                partial[found] = sums
            floor = _raised(floor, sums, k)
            found = found[sums >= floor - left[place + 1] - slack]
        return found

    def _add(self, partial: Floats, term: int, weight: int) -> Floats:
        """Add a term to the partial sums, and return those it touched."""
        rows, impacts = self._postings.of(term)
        places = rows.astype(np.intp)  # numpy would convert them once for reading and once for writing
        sums = partial.take(places)
        sums += impacts if weight == 1 else impacts * np.float32(weight)
        partial[places] = sums
        return sums

    def _sums(self, wanted: Mapping[int, int], rows: Rows) -> NDArray[np.float64]:
        scores = np.zeros(len(rows), dtype=np.float64)
        for term, weight in wanted.items():
            scores += _looked_up(*self._postings.of(term), rows).astype(np.float64) * weight
        return scores


def _raised(floor: float, sums: Floats, k: int) -> float:
    """The k-th largest of `sums` where it passes `floor`."""
    above = sums > floor
    if np.count_nonzero(above) < k:
        return floor
    passing = sums[above]
    return float(np.partition(passing, len(passing) - k)[len(passing) - k])


def _looked_up(rows: Rows, impacts: Floats, wanted: Rows) -> Floats:
    """The impact on each of `wanted`, 0 on those that a posting list (rows ascending) does not hold."""
    at = np.searchsorted(rows, wanted.astype(rows.dtype))
    at[at == len(rows)] = 0
    return np.where(rows[at] == wanted, impacts[at], np.float32(0))


def _read(texts: Iterable[str]) -> tuple[dict[str, int], NDArray[np.int32], NDArray[np.int32]]:
    """The vocabulary in order of appearance, the terms of all texts one after another, and how many each text has."""
    vocabulary: dict[str, int] = _Numbered()
    number = vocabulary.__getitem__
    found, lengths = array("i"), array("i")
    for text in texts:
        own = terms(text)
        lengths.append(len(own))
        found.extend(map(number, own))
    return dict(vocabulary), np.frombuffer(found, dtype=np.int32), np.frombuffer(lengths, dtype=np.int32)


class _Numbered(dict[str, int]):
    """Numbers its keys in the order in which they are first asked for."""

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        return number


def _postings(texts: Iterable[str], k1: float, b: float) -> Postings:
    vocabulary, found, lengths = _read(texts)
    # One sorted column of (term, text) holds all counts: equal neighbours are one posting.
    pairs = found.astype(np.int64)
    pairs <<= 32
    pairs |= np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    del found
    pairs.sort()
    begins = np.ones(len(pairs), dtype=np.bool_)
    np.not_equal(pairs[1:], pairs[:-1], out=begins[1:])
    first = np.flatnonzero(begins)
    counts = np.empty(len(first), dtype=np.int32)
    np.subtract(np.append(first[1:], len(pairs)), first, out=counts, casting="unsafe")
    pairs = pairs[first]
    del first, begins
    owners = (pairs >> 32).astype(np.int32)
    rows = pairs.astype(np.int32)  # the lower half
    del pairs
    return _scored(vocabulary, owners, rows, counts, lengths, k1, b)


def _scored(
    vocabulary: dict[str, int],
    owners: NDArray[np.int32],
    rows: NDArray[np.int32],
    counts: NDArray[np.int32],
    lengths: NDArray[np.int32],
    k1: float,
    b: float,
) -> Postings:
    """The impacts of postings sorted by term, then text: term `owners[i]` stands `counts[i]` times in `rows[i]`."""
    texts = len(lengths)
    holding = np.bincount(owners, minlength=len(vocabulary))
    offsets = np.zeros(len(vocabulary) + 1, dtype=np.int64)
    np.cumsum(holding, out=offsets[1:])
    idf = np.log1p((texts - holding + 0.5) / (holding + 0.5))
    length_share = k1 * (1 - b + b * lengths / max(float(lengths.mean()) if texts else 0.0, 1e-300))
    impacts = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        impacts[block] = idf[owners[block]] * counts[block] / (counts[block] + length_share[rows[block]])
    maxima = np.maximum.reduceat(impacts, offsets[:-1]) if len(impacts) else impacts
    return Postings(vocabulary, offsets, rows, impacts, maxima, texts, k1, b)
