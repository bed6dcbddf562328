"""The forms by which texts of a graph are compared; the surface form, as somebody wrote it, is always kept beside.

`normal` decides which texts are one node. `content_words` decides which tails are near duplicates and which heads
belong on the same side of a split.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote, unquote

from symdistill.curation.words import words

_EDGES = " \t\r\n.,;:!\"'`“”‘’«»*"
_PERSON = re.compile(r"\bperson[\s_-]+([a-z])\b")
_HOLE = re.compile(r"_{2,}")
_NO_CONTENT = frozenset({"a", "an", "the", "to"})
_NOTHING = frozenset({"", "none", "n/a", "na", "nothing", "null", "-", "nil"})


@lru_cache(maxsize=1 << 16)
def normal(text: str) -> str:
    """`text` without differences of case, width, white space, enclosing quotes and closing punctuation.

    "Person X" is "personx", a hole of underscores is "___". A text of punctuation alone stays as it is.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    folded = _HOLE.sub("___", _PERSON.sub(r"person\1", folded))
    return folded.strip(_EDGES) or folded


def content_words(text: str) -> tuple[str, ...]:
    """The words of a text's normal form, in order, without articles and without the "to" of an infinitive."""
    found = words(normal(text))
    return tuple([word for word in found if word not in _NO_CONTENT]) or tuple(found) or (normal(text),)


def says_nothing(text: str) -> bool:
    """Is this how people and models write that there is no tail ("none", "N/A", …)?"""
    return normal(text) in _NOTHING


def local_name(text: str) -> str:
    """`text` as the last part of an IRI: ASCII, everything of note percent-encoded.

    Two texts never share one; `text_of_name` reads it back.
    """
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def text_of_name(name: str) -> str:
    """The text that `local_name` made a name of; of any other name, something readable."""
    return unquote(name, errors="replace")


def phrase_name(text: str) -> str:
    """As `local_name`, with blanks as underscores, for phrases; `phrase_of_name` reads it back."""
    return local_name(text).replace("_", "%5F").replace("%20", "_")


def phrase_of_name(name: str) -> str:
    """The phrase that `phrase_name` made a name of; of any other name, something readable."""
    return text_of_name(name.replace("_", " "))
