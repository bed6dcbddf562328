"""Splits by head: whatever is said about one head is on one side, so that nothing is learned about a test question."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate

from symdistill.knowledge.polarity import stem
from symdistill.knowledge.triples.normalise import content_words
from symdistill.knowledge.triples.records import Triple

SHARES: Mapping[str, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}


def split_by_head(
    triples: Iterable[Triple], shares: Mapping[str, float] = SHARES, *, seed: int = 0
) -> dict[str, list[Triple]]:
    """The triples of each side, in their order.

    A head's side depends on its words and the seed alone: triples that come later never move it, and heads that differ
    in case, punctuation, articles or endings ("bakes a cake", "baked cakes") are one head. `shares` are of heads, and
    only nearly reached with few of them.

    Raises:
        ValueError: a share is below 0, or they do not add up to 1.
    """
    _check(shares)
    found: defaultdict[str, list[Triple]] = defaultdict(list, {name: [] for name in shares})
    for triple in triples:
        found[side_of(triple.head, shares, seed=seed)].append(triple)
    return dict(found)


def side_of(head: str, shares: Mapping[str, float] = SHARES, *, seed: int = 0, purpose: str = "") -> str:
    """The side of one head. Divisions for different purposes have nothing to do with one another: which side of one a
    head is on says nothing about the other. Raises ValueError as `split_by_head`."""
    _check(shares)
    place, names = _place(head, seed, purpose), list(shares)
    ends = zip(names, accumulate(shares.values()), strict=True)
    return next((name for name, end in ends if place < end), names[-1])


def _check(shares: Mapping[str, float]) -> None:
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"shares of 0 or more that add up to 1 are wanted, not {dict(shares)}")


def head_key(head: str) -> str:
    """What heads that are one have in common: their words, without what `split_by_head` overlooks."""
    return " ".join(stem(word) for word in content_words(head))


def _place(head: str, seed: int, purpose: str) -> float:
    """A number from 0 to below 1 that a head has for good."""
    name = f"{seed}\nhead {purpose}\n{head_key(head)}"
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:7]) / (1 << 56)
