"""Whether two texts differ in their wording alone.

Two notes of fifty words that differ in one are nearly the same to any measure of likeness, and may say the opposite:
"the fourth entry" and "the fifth entry", "keep the units" and "omit the units". So what decides is the difference. It
is harmless where the texts are the same, in the same order, once small words that carry nothing, capitals and
punctuation are left out, and inflections, spellings and a few words of one meaning are written alike. The lists are
closed: any other word is content.
"""

from __future__ import annotations

import re
from functools import lru_cache

from symdistill.knowledge.polarity import TOKEN, number, sentences, tokens
from symdistill.knowledge.polarity_words import EMPTY, NUMBERS

_SMALL_WORDS = (
    "a an the this that these those it its you your we our us is are was were be been being am do does did so also "
    "just very please thus therefore hence indeed clearly simply carefully basically essentially actually really always"
)
_SMALL = frozenset(_SMALL_WORDS.split())
_PHRASE = re.compile(
    r"\b(?:(?:make|making|be|being) sure (?:to|that)|remember (?:to|that)|ensure that|note that|in order(?= to\b)|"
    r"it is (?:important|essential|crucial|necessary) (?:to|that))\b",
    re.IGNORECASE,
)
_ALIKE = {
    word: group.split()[0]
    for group in ("each every", "calculate compute", "check verify", "identify recognize", "not never", "big large")
    for word in group.split()
}
_TOKEN_OR_SYMBOL = re.compile(rf"{TOKEN.pattern}|(?<=[\d)])!|[^\w\s.,;:?!'\"’‘“”`*_#–—•-]")
_INFLECTION = re.compile(r"(?:(?<=[^aeiou])ies|(?<=[sxz])es|(?<=[cs]h)es|(?<=[^s])s|(?<!e)ed|ing)\Z")
_DOUBLED = re.compile(r"([bdgklmnprt])\1\Z")
_VOWEL = re.compile(r"[aeiouy]")
_LEAST_LETTERS = 3
_SHARED = 0.5


def content(text: str) -> tuple[str, ...]:
    """What a text says, without its wording: texts that give the same differ in nothing that matters."""
    lines = (_PHRASE.sub(" ", line) for line in sentences(text))
    plain = (part for line in lines for token in tokens(line, _TOKEN_OR_SYMBOL) for part in _plain(token))
    return tuple(word for word in plain if word not in _SMALL)


def in_other_words(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Do two contents share so few words that one is not the other with a word or two exchanged?

    What likeness of meaning finds beyond the same words may be trusted only then: a model of meaning puts "north" and
    "south" in one frame close together, closer than two ways to say the same.
    """
    ours, theirs = ({word for word in words if word not in EMPTY} for words in (one, other))
    return len(ours & theirs) <= _SHARED * min(len(ours), len(theirs))


@lru_cache(maxsize=65536)
def _plain(token: str) -> tuple[str, ...]:
    if token.endswith(("n't", "n’t")):
        return token[:-3], "not"
    token = token.removesuffix("'s").removesuffix("’s")
    if token in NUMBERS:
        return (NUMBERS[token],)
    if token[:1].isdigit():
        return (number(token),)
    if token in _SMALL or not token.isalpha():
        return (token,)
    word = token if token in _ALIKE else _uninflected(token)
    return (_ALIKE.get(word, word),)


def _uninflected(word: str) -> str:
    """A word without endings of plural and tense, in American spelling; a key for comparing, not for reading."""
    found = _INFLECTION.search(word)
    rest = word[: found.start()] if found else ""
    if found and len(rest) >= _LEAST_LETTERS:
        if found.group() == "ies":
            word = f"{rest}y"
        elif found.group() in ("s", "es"):
            word = rest
        elif _VOWEL.search(rest):
            word = _DOUBLED.sub(r"\1", rest)
    if len(word) <= _LEAST_LETTERS:
        return word
    word = f"{word[:-1]}y" if word.endswith("i") else word.removesuffix("e")
    return word.replace("our", "or").replace("is", "iz")
