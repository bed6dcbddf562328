"""ROUGE-L between texts, and the most similar of many kept ones.

ROUGE-L compares by the longest common subsequence of words (Lin, "ROUGE: a package for automatic evaluation of
summaries", 2004); its F with equal weights is 2·LCS / (m + n) for texts of m and n words. Words are runs of letters and
digits, case-folded, not stemmed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+")


def rouge_words(text: str) -> list[str]:
    """The words of a text as ROUGE-L compares them."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence of two sequences of words.

    A row of the usual table is one integer, one bit a word (Hyyrö, "Bit-parallel LCS-length computation revisited",
    2004), so that time is linear in `second` for sentences.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << at
    whole = (1 << len(first)) - 1
    row = whole
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & whole
    return len(first) - row.bit_count()


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F of two texts, between 0 and 1; 0 where one of them has no words."""
    one, other = rouge_words(first), rouge_words(second)
    return _f(common_subsequence(one, other), len(one), len(other))


def _f(common: int, first: int, second: int) -> float:
    return 2 * common / (first + second) if common else 0.0


class SimilarityIndex:
    """Texts kept so far; finds one that a new text is too similar to: ROUGE-L F of at least `threshold`.

    Exact, and far from comparing with every text. F ≥ t needs a common subsequence of t(m + n)/2 words or more, and as
    that is at most n, of m·t/(2 - t) or more of the m words of the new text. A text that shares so many holds one of
    the m - ⌈m·t/(2 - t)⌉ + 1 rarest of them, so only texts with one of these are looked at.

    Raises:
        ValueError: the threshold is not above 0 and at most 1.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"a threshold of {threshold} is not above 0 and at most 1")
        self._threshold = threshold
        self._names: list[str] = []
        self._words: list[list[str]] = []
        self._counts: list[Counter[str]] = []
        self._holding: defaultdict[str, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, text: str) -> None:
        """Keep a text; `name` is what `nearest` calls it."""
        tokens = rouge_words(text)
        counts = Counter(tokens)
        for word in counts:
            self._holding[word].append(len(self._names))
        self._names.append(name)
        self._words.append(tokens)
        self._counts.append(counts)

    def nearest(self, text: str) -> tuple[str, float] | None:
        """The name of the kept text most similar to `text` and their ROUGE-L F, the earliest of equals; None where no
        kept text reaches the threshold."""
        tokens = rouge_words(text)
        if not tokens:
            return None
        counts = Counter(tokens)
        best: tuple[float, int] | None = None
        for other in sorted(self._candidates(tokens)):
            most = sum(min(count, self._counts[other][word]) for word, count in counts.items())
            wanted = max(self._threshold, best[0] if best else 0.0)
            length = len(self._words[other])
            if _f(most, len(tokens), length) < wanted:
                continue
            score = _f(common_subsequence(tokens, self._words[other]), len(tokens), length)
            if score >= self._threshold and (best is None or score > best[0]):
                best = (score, other)
        return (self._names[best[1]], best[0]) if best else None

    def _candidates(self, tokens: Sequence[str]) -> set[int]:
        # The small amount keeps a product from being rounded up past its whole number.
        needed = max(1, math.ceil(len(tokens) * self._threshold / (2 - self._threshold) - 1e-9))
        rarest = sorted(tokens, key=lambda word: len(self._holding.get(word, ())))[: len(tokens) - needed + 1]
        return {place for word in set(rarest) for place in self._holding.get(word, ())}
