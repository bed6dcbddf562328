"""Which of several options a text names: by letter, by "(B)", by "option B", or by the option's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from string import ascii_uppercase

from symdistill.tasks.wording import first_sentence, negated, without_latex_text

_LOOKED_AT = 600
_TOKEN = re.compile(r"-?\d+(?:[.,]\d+)*|[^\W\d]+|[^\w\s]")
_IGNORED = frozenset(".,;:!?\"'`()[]{}*“”‘’")
_MARKUP = str.maketrans("", "", '`$\\"“”')
_OUTER_QUOTE = re.compile(r"(?<!\w)['‘’]|['‘’](?!\w)")
_ARTICLES = ("a", "an", "the")
_HEDGE = re.compile(
    r"(?:(?:probably|likely|most\s+likely|clearly|definitely|certainly|therefore|thus|then|simply|indeed|that|it|is|to\s+be|be)"
    r"\b[\s,:]*)+",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(?:(?:the\s+)?(?:option|choice|letter|answer)\s*)?", re.IGNORECASE)
_EXPLAINS = re.compile(r"\s*(?:because|since|as|for|so|due|\Z|[-–—.,;:])", re.IGNORECASE)


class _Letters:
    """The patterns for one set of letters."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.known = {key.casefold(): key for key in keys}
        any_of = "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
        letter = rf"(?:{any_of}|[A-Za-z])"
        self.marked = re.compile(rf"[(\[{{]\s?({letter})\s?[)\]}}]|({letter})(?:[).:](?!\w)|(?=[,;]|\s?[-–—]\s|\s?\Z))")
        self.bare = re.compile(rf"({any_of})(?=\s)")
        self.inside = re.compile(rf"[(\[]({any_of})[)\]]|\b(?:[Oo]ption|[Cc]hoice|[Ll]etter)\s+({any_of})(?!\w)")
        self.goes_on = re.compile(
            rf"\s?(?:,?\s?(?:or|and|and/or)\s|[,/&]\s?)\s?(?:option\s|choice\s)?"
            rf"(?:[(\[]\s?({letter})\s?[)\]]|({any_of})(?![\w'’])(?!\s[a-z]))"
        )


@lru_cache(maxsize=64)
def _letters(keys: tuple[str, ...]) -> _Letters:
    return _Letters(keys)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    """What options are compared by: words, numbers and signs, without punctuation and a leading article."""
    tokens = [t for t in _TOKEN.findall(text.replace("−", "-").casefold()[:_LOOKED_AT]) if t not in _IGNORED]
    return tuple(tokens[1:] if len(tokens) > 1 and tokens[0] in _ARTICLES else tokens)


def stated_choice(text: str, choices: Mapping[str, str] | None) -> str | None:
    """The letter of the option a text after a cue names; None for none, for several, or for one there is not."""
    text = _tidied(text)
    letters = _letters(tuple(choices) if choices else tuple(ascii_uppercase))
    sentence = first_sentence(text)
    named = lone_choice(sentence, choices)
    if named is not None:
        return named
    text = text[_end_of(_HEDGE, text) :]
    found, explicit = _leading_letter(text, letters, choices)
    if explicit or found is not None:
        return found
    if negated(sentence):
        return None
    inside = {letters.known[key.casefold()] for pair in letters.inside.findall(sentence) for key in pair if key}
    if inside:
        return inside.pop() if len(inside) == 1 else None
    return _by_words(sentence, choices) if choices else None


def lone_choice(text: str, choices: Mapping[str, str] | None) -> str | None:
    """The letter of the option a text is: a letter, a letter and its own text, or the text. None for anything else."""
    text = _tidied(text)
    words = _words(text)
    if not words or len(text) >= _LOOKED_AT:
        return None
    letters = _letters(tuple(choices) if choices else tuple(ascii_uppercase))
    same = [key for key, option in (choices or {}).items() if _words(option) == words]
    start = _end_of(_NAMED, text)
    marked = letters.marked.match(text, start)
    if marked:
        key = letters.known.get((marked[1] or marked[2]).casefold())
        rest = text[marked.end() :].strip(" .:)-–—")
        delimited = marked.end() > marked.end(2)
        if delimited and rest and (key is None or not choices or _words(rest) != _words(choices[key])):
            return None  # a letter and the words of another option, or more words than an option has
        if key is not None and not rest:
            only_a_word = not delimited and marked[2].islower() and len(same) == 1
            return same[0] if only_a_word else key
        if key is not None and delimited:
            return key
    bare = letters.bare.match(text, start)
    if bare and choices and _words(text[bare.end() :]) == _words(choices[bare[1]]):
        return bare[1]
    return same[0] if len(same) == 1 else None


def _tidied(text: str) -> str:
    text = without_latex_text(text[: 2 * _LOOKED_AT]).translate(_MARKUP).replace("**", "")
    return _OUTER_QUOTE.sub("", text).strip(" \t\r\n*")


def _leading_letter(text: str, letters: _Letters, choices: Mapping[str, str] | None) -> tuple[str | None, bool]:
    """The letter at the start of `text`, and whether something there claims to be one."""
    start = _end_of(_NAMED, text)
    match = letters.marked.match(text, start)
    if match:
        key = letters.known.get((match[1] or match[2]).casefold())
        if key is None:
            return None, match[1] is not None
        if match[1] is None and match[2].islower() and text[match.end() : match.end() + 1] in (",", ";"):
            return None, False
    else:
        match = letters.bare.match(text, start)
        if match is None:
            return None, False
        key = match[1]
        rest = text[match.end() :]
        reads_as_word = key in ("A", "I") and start == 0 and not _EXPLAINS.match(rest)
        if reads_as_word and not (choices and _after_own_text(rest, choices[key]) != rest):
            return None, False
    rest = text[match.end() :]
    other = letters.goes_on.match(_after_own_text(rest, choices[key]) if choices else rest)
    several = other is not None and (other[1] or other[2]).casefold() != key.casefold()
    return (None if several else key), True


def _after_own_text(rest: str, own: str) -> str:
    """`rest` without the option's own text at its start."""
    stripped = rest.lstrip(" :.()-–—")
    follows = stripped[: len(own)].casefold() == own.casefold() and own != ""
    return stripped[len(own) :].lstrip(")") if follows else rest


def _by_words(sentence: str, choices: Mapping[str, str]) -> str | None:
    """The one option whose words stand in the sentence; an option inside a longer one's words does not count."""
    said = f" {' '.join(_words(sentence))} "
    phrases = {key: f" {' '.join(_words(option))} " for key, option in choices.items() if _words(option)}
    found = []
    for phrase in sorted({p for p in phrases.values() if p in said}, key=len, reverse=True):
        if phrase in said:
            said = said.replace(phrase, " \0 ")
            found += [key for key, own in phrases.items() if own == phrase]
    return found[0] if len(found) == 1 else None


def _end_of(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
