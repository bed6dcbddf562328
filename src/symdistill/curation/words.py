"""What curation compares texts by: their words, n-grams of them, and the values they compute with."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|\w+|[-−+*/×÷⁄=<>^](?=\s*[\d(])")

_ASCII_TOKEN = re.compile(r"[a-z_][a-z0-9_]*|[0-9]+(?:[.,][0-9]+)+|[a-z0-9_]+|[-+*/=<>^](?=\s*[0-9(])")
"""The same for plain lower-case text, faster."""

_VALUES_IN_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half third "
    "quarter twice true false yes no not"
)
_VALUE_WORDS = frozenset(_VALUES_IN_WORDS.split())


def squeezed(text: str) -> str:
    """`text` without differences of case and white space; what exact duplicates share."""
    return " ".join(text.casefold().split())


def words(text: str) -> list[str]:
    """The words, numbers and arithmetic operators of a text, in order, without punctuation.

    Differences of case, width and typographic form are gone (NFKC, case-folded).
    """
    if text.isascii():
        return _ASCII_TOKEN.findall(text.lower())
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def ngrams(tokens: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """The distinct runs of `size` tokens; a shorter sequence counts as one run, an empty one has none."""
    if len(tokens) < size:
        return {tuple(tokens)} if tokens else set()
    return set(zip(*(tokens[start:] for start in range(size)), strict=False))


def values(tokens: Iterable[str]) -> tuple[str, ...]:
    """The numbers, operators and truth values among `words`, in order: what a chain of thought computes with.

    Two chains with the same words and other values are two ways of calculating, never a repetition.
    """
    return tuple([token for token in tokens if not token.isalpha() or token in _VALUE_WORDS])
