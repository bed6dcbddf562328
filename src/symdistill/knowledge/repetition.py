"""Cutting what a model says again and again when it goes round in circles."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise

_WORD = re.compile(r"\S+")
_GRAM = 4
_TIMES = 3
_SHORT_UNIT = 8
_SHORT_TIMES = 4
_LEAST_WORDS = 20
"""A loop covers so many words at least: "1, 1, 1, 1" and a list of names are none."""
_LOOKED_AT = 4000
_CHARACTERS = re.compile(r"(\S{1,20}?)\1{15,}")
"""A loop without spaces: sixteen times the same one to twenty characters."""


def without_loops(text: str, mark: str = "") -> str:
    """`text` with each stretch that repeats itself cut to its first occurrence, and `mark` in place of the rest.

    A loop is the same words three times in a row or more (four times for fewer than eight words), twenty words at
    least together; words may differ in case, and its last occurrence may be cut. Numbers count as words, so "Step 2:
    …, Step 3: …" is no loop. Only the first 4,000 words are looked at.
    """
    text = _CHARACTERS.sub(lambda match: match[1] + mark, text)
    spans = [match.span() for match in _WORD.finditer(text)][:_LOOKED_AT]
    words = [text[begin:end].casefold() for begin, end in spans]
    kept: list[str] = []
    at = 0
    for first, last in _loops(words):
        kept += [text[at : spans[first][0]].rstrip(), mark]
        at = spans[last - 1][1]
    return "".join(kept) + text[at:] if kept else text


def first_words(text: str, count: int, mark: str = "…") -> str:
    """The first `count` words of a text as they stand there, and `mark` where there are more."""
    ends = [match.end() for _, match in zip(range(count + 1), _WORD.finditer(text), strict=False)]
    return text if len(ends) <= count else f"{text[: ends[count - 1]]} {mark}".rstrip()


def _loops(words: list[str]) -> list[tuple[int, int]]:
    """For every loop the words to leave out: from its second occurrence up to its end."""
    grams = [tuple(words[place : place + _GRAM]) for place in range(len(words) - _GRAM + 1)]
    frequent = {gram for gram, count in Counter(grams).items() if count >= _TIMES}
    if not frequent:
        return []
    places: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, gram in enumerate(grams):
        if gram in frequent:
            places[gram].append(place)
    following = {here: there for found in places.values() for here, there in pairwise(found)}
    found = []
    done = 0
    for here in sorted(following):
        unit = following[here] - here
        if here < done or any(
            words[here + k] != words[here + unit + k] for k in range(unit) if here + unit + k < len(words)
        ):
            continue
        end = here + unit
        while end < len(words) and words[end] == words[end - unit]:
            end += 1
        covered = end - here
        if covered >= max(_LEAST_WORDS, unit * (_TIMES if unit >= _SHORT_UNIT else _SHORT_TIMES)):
            if end == len(words) - 1 and words[end - unit].startswith(words[end]):
                end += 1  # the reply ended inside a word
            found.append((here + unit, end))
            done = end
    return found
