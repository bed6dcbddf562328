"""Small readings of English and of markup that more than one answer type needs."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?](?=\s)|\n")
_ABBREVIATED = re.compile(
    r"\b(?:(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|approx|ca|inc|ltd|co|etc|fig|vol|e\.g|i\.e|u\.s)|[A-Z])$"
)
_NEGATION = re.compile(r"\b(?:not|never|neither|nor|cannot|except|none)\b|n['’]t\b", re.IGNORECASE)
_LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s{0,3}\{([^{}]*)\}")
_WRAPS = frozenset("*_$`\"'“‘«„")
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "«": "»", "„": "“"}


def first_sentence(text: str) -> str:
    """`text` up to its first line break or end of sentence; the stop of an abbreviation or an initial is neither."""
    for match in _END.finditer(text):
        if match.group() != "." or not _ABBREVIATED.search(text, max(0, match.start() - 8), match.start()):
            return text[: match.end()].rstrip()
    return text.rstrip()


def without_latex_text(text: str) -> str:
    """`\\text{…}` and its relatives replaced by what they hold."""
    return _LATEX_TEXT.sub(r" \1", text)


def negated(text: str) -> bool:
    """Does the text say what something is not?"""
    return _NEGATION.search(text) is not None


def unwrapped(text: str) -> str:
    """`text` without the white space, emphasis, quotes, dollar signs and final stop around it."""
    text = (without_latex_text(text) if "\\" in text else text).strip()
    while text[:1] not in _WRAPS:  # the usual answer: only its stops can go
        if not (text.endswith(".") and text.strip(". ")):
            return text
        text = text[:-1].rstrip()
    while True:
        before = text
        for mark in ("**", "__", "$$", "$", "`", '"', "'"):
            inside = text[len(mark) : -len(mark)]
            if inside and text.startswith(mark) and text.endswith(mark) and mark not in inside:
                text = inside.strip()
        if len(text) > 2 and text[0] in "“‘«„" and _PAIRS[text[0]] == text[-1]:
            text = text[1:-1].strip()
        if text.endswith(".") and text.strip(". "):
            text = text.removesuffix(".").rstrip()
        if text == before:
            return text


def unquoted(text: str) -> str | None:
    """The inside of the quotation a text begins with, None where it does not or where another quotation follows."""
    close = _PAIRS.get(text[:1])
    end = text.find(close, 1) if close else -1
    while close in ("'", "’") and 0 < end < len(text) - 1 and text[end + 1].isalnum():
        end = text.find(close, end + 1)  # an apostrophe inside a word
    if not close or end < 0:
        return None
    rest = text[end + 1 :]
    return None if rest.lstrip(" ").startswith((",", "and", "or", "+")) else text[1:end].strip()
