"""Finding texts that say the same in nearly the same words, among many."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

Gram = Hashable
_CHUNK = 512


class NearIndex:
    """The texts kept so far, as sets of n-grams; finds the kept one most like a new text.

    Exact, by prefix filtering: two sets reach a Jaccard similarity of t only if they share one of the |s| - ceil(t |s|)
    + 1 rarest members of either (Chaudhuri et al. 2006; Bayardo et al. 2007), so only these are looked up. `texts` are
    all sets that will be asked about; they say which members are rare.
    """

    def __init__(self, texts: Sequence[frozenset[Gram]], threshold: float) -> None:
        counts = Counter(gram for text in texts for gram in text)
        rank = {gram: place for place, gram in enumerate(sorted(counts, key=lambda g: (counts[g], repr(g))))}
        self._sets = [frozenset(map(rank.__getitem__, text)) for text in texts]
        self._threshold = threshold
        self._holding: defaultdict[int, list[int]] = defaultdict(list)

    def nearest(self, position: int) -> tuple[int, float] | None:
        """The kept text most similar to that at `position`, the earliest of equals; None where none is near."""
        own = self._sets[position]
        best: tuple[float, int] | None = None
        for other in sorted({kept for gram in self._prefix(own) for kept in self._holding[gram]}):
            theirs = self._sets[other]
            if min(len(own), len(theirs)) < self._threshold * max(len(own), len(theirs)):
                continue
            shared = len(own & theirs)
            similarity = shared / (len(own) + len(theirs) - shared)
            if similarity >= self._threshold and (best is None or similarity > best[0]):
                best = (similarity, other)
        return (best[1], best[0]) if best else None

    def keep(self, position: int) -> None:
        """Add the text at `position` to those that `nearest` may find."""
        for gram in self._prefix(self._sets[position]):
            self._holding[gram].append(position)

    def _prefix(self, members: frozenset[int]) -> list[int]:
        size = len(members)
        # The small amount keeps a product such as 0.7 * 10 from being rounded up past its whole number.
        return sorted(members)[: size - math.ceil(self._threshold * size - 1e-9) + 1] if size else []
