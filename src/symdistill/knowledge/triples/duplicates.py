"""Triples that say the same: exactly, once case, white space and punctuation are gone, or nearly, in other words.

Only triples with one head and one relation are compared. Near duplicates are tails whose content words and pairs of
neighbouring words overlap (Jaccard) by `near` or more, and of which one may say more than the other, but not something
else: they agree in every negation, number and word with an opposite (`polarity.guard`), and where one has a word that
the other lacks, the other has none. "To eat" and "not to eat" are never one, nor are "a game of chess" and "a game of
cards".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from symdistill.knowledge.near import NearIndex
from symdistill.knowledge.polarity import guard, stem
from symdistill.knowledge.polarity_words import EMPTY
from symdistill.knowledge.triples.normalise import content_words
from symdistill.knowledge.triples.records import Triple

Kind = Literal["exact", "near"]

NEAR = 0.6

_EMPTY = frozenset(map(stem, EMPTY))


@dataclass(frozen=True, slots=True)
class Repeated:
    """A triple that another one stands for already."""

    triple: Triple
    kept: Triple
    kind: Kind
    similarity: float = 1.0


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """Of some triples, one of each that says the same, in their order, and the rest."""

    kept: tuple[Triple, ...]
    repeated: tuple[Repeated, ...]


def deduplicate(triples: Iterable[Triple], *, near: float | None = NEAR, known: Iterable[Triple] = ()) -> Deduplicated:
    """One triple for each fact, of those alike the one with the highest confidence, then the first.

    What says the same as one of the `known` is repeated, however sure it is; these are not in the outcome themselves.
    `near` None looks for exact duplicates only. Kept triples keep their order.
    """
    there = list(known)
    given = [*there, *triples]
    best = sorted(range(len(given)), key=lambda at: (at >= len(there), -_standing(given[at]), at))
    exact: dict[tuple[str, str, str], int] = {}
    same: dict[int, tuple[int, Kind, float]] = {}
    for at in best:
        if (first := exact.setdefault(given[at].fact, at)) != at:
            same[at] = (first, "exact", 1.0)
    kept = list(exact.values())
    if near is not None:
        groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for (head, relation, _), at in exact.items():
            groups[head, relation, *guard(given[at].tail)].append(at)
        kept = [at for group in groups.values() for at in _apart(given, group, near, same)]
        # What repeats a triple that is near another one is near that one itself.
        same |= {at: same[other] for at, (other, _, _) in same.items() if other in same}
    return Deduplicated(
        tuple(given[at] for at in sorted(kept) if at >= len(there)),
        tuple(
            Repeated(given[at], given[other], kind, alike)
            for at, (other, kind, alike) in sorted(same.items())
            if at >= len(there)
        ),
    )


def _standing(triple: Triple) -> float:
    return -1.0 if triple.confidence is None else triple.confidence


def _apart(
    given: Sequence[Triple], group: Sequence[int], near: float, same: dict[int, tuple[int, Kind, float]]
) -> list[int]:
    """Those of a group that are near none kept before them; what the others are like is added to `same`."""
    if len(group) == 1:
        return list(group)
    index = NearIndex([_grams(given[at].tail) for at in group], near)
    kept = []
    for position, at in enumerate(group):
        found = index.nearest(position)
        if found is None or _exchanged(given[at].tail, given[group[found[0]]].tail):
            index.keep(position)
            kept.append(at)
        else:
            same[at] = (group[found[0]], "near", found[1])
    return kept


def _exchanged(one: str, other: str) -> bool:
    """Does each of two tails have a meaningful word that the other lacks?"""
    first, second = ({stem(word) for word in content_words(tail)} - _EMPTY for tail in (one, other))
    return bool(first - second) and bool(second - first)


def _grams(tail: str) -> frozenset[str]:
    """The content words of a tail, and its pairs of neighbours, so that order counts too."""
    found = content_words(tail)
    return frozenset(found) | {f"{one} {other}" for one, other in pairwise(found)}
