"""The terms BM25 counts."""

from __future__ import annotations

import re
import unicodedata

TERMS_VERSION = 1
"""Stored with every index; a change of what `terms` returns means a new number."""

_TERM = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)+|[^\W_]+")
_ASCII_TERM = re.compile(_TERM.pattern, re.ASCII)


def terms(text: str) -> list[str]:
    """The words and numbers of a text, in order: lower-case, not stemmed, no stop words taken out.

    A word is a run of Unicode letters and digits; underscores, hyphens and apostrophes part words. A number keeps its
    decimal point and its thousands separators ("3.5", "1,234.50"). Differences of case, width and typographic form are
    gone (NFKC, case-folded). A script written without spaces gives one word a run.
    """
    if text.isascii():
        return _ASCII_TERM.findall(text.lower())
    return _TERM.findall(unicodedata.normalize("NFKC", text).casefold())
