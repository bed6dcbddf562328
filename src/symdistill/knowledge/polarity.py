"""What a piece of knowledge claims, as far as a few lists of English words show it.

Two texts may differ in one word and say the same, or differ in one word and say the opposite. This module knows the
words that matter: negations, numbers and number words, units, operators and symbols, and pairs of opposites.

`guard` is what texts must share to be taken for one. `statements` takes a text apart into sentences, each with its
topic (its content words), its condition, its polarity and its numbers, so that two sentences on one topic that cannot
both hold are found by comparing keys. It is a sieve for a person's review, not an understanding of English: sentences
it cannot place it passes over.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from symdistill.knowledge.polarity_words import (
    EMPTY,
    KEPT_APART,
    LABELS,
    NEGATORS,
    NO_COUNTS,
    NUMBERS,
    OPPOSITES,
    TELLING,
    UNITS,
)

_EXAMPLES = re.compile(
    r"(?:for (?:example|instance)|e\.g|example|such as|suppose|imagine|in this (?:case|question|problem|example))\b",
    re.IGNORECASE,
)
_NO_NEGATION = re.compile(
    r"\b(?:not only|no matter|yes (?:or|and) no|yes/no|no (?:more|less|fewer|later|earlier) than|whether or not|"
    r"(?:do not|don['’]?t|never|not) (?:forget|hesitate|fail))\b",
    re.IGNORECASE,
)
_MARKER = re.compile(
    r"[ \t]*(?:(?:[-*•–—>#]+|\(?\d{1,3}[.)](?!\d)|\(?[a-z][.)](?=\s)|step\s+\d{1,3}\s*[:.)-])[ \t]*)+", re.IGNORECASE
)
_MARKUP = re.compile(r"\*\*|__|[`#]")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")
TOKEN = re.compile(
    r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?|[+*/×÷=<>≤≥≠≈^%$€£°√²³±∑∞]|[-−](?=\s*(?:[\d(]|[^\W\d_]\b))"
)
_CONDITION = re.compile(
    r"\A(?:if|when|whenever|where|unless|given|for|in|once|after|before|while|until)\b[^,]{1,200}(?:,|\bthen\b)"
    r"|\b(?:if|when|whenever|unless|while|until|only|except)\b.*\Z",
    re.IGNORECASE | re.DOTALL,
)
_ASIDE = re.compile(
    r"(?:,\s*)?\b(?:(?:in order |so as )?(?:not )?to (?:avoid|prevent|ensure)|so as not to|without|avoiding|"
    r"rather than|instead of)\b.*\Z",
    re.IGNORECASE | re.DOTALL,
)
_EARLY = 3
_ROMAN = re.compile(r"(?=[ivxlcdm]{2})m{0,3}(?:c[md]|d?c{0,3})(?:x[cl]|l?x{0,3})(?:i[xv]|v?i{0,3})")
_OPPOSITE_PREFIX = re.compile(
    r"un(?!der|i[oqtv]|til|less)[a-z]{4}|non[a-z]{4}|dis(?:similar|agree|regard|allow|connect|contin|joint|advantage|"
    r"appear|like|trust|order|proportion)|in(?:accurate|active|adequate|appropriate|capable|complete|consistent|"
    r"definite|dependent|direct|distinct|divisible|efficient|equal|exact|finite|frequent|significant|sufficient|"
    r"variab|visible)|im(?:balance|mutable|perfect|plausib|possib|probab|proper)|ir(?:rational|regular|relevant|"
    r"reversib)|il(?:legal|legib|logical)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SUFFIX = re.compile(r"(?:ations?|ings?|edly|ed|ies|es|ly|s|e|y|i)\Z")
_CHARACTERS = 20_000
"""So much of a text is looked at; more is no note."""


def _side_of_words() -> dict[str, tuple[str, int]]:
    found = {}
    for number, columns in enumerate(OPPOSITES):
        for side, column in enumerate(columns):
            for word in column.split():
                found[word] = found[stem(word)] = (f"±{number}", side)
    return found


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a text.

    `topic` holds the stems of its content words, `condition` every word of the clause that says when it holds.
    `negative` is its polarity: an odd number of negations and of words from the second column of opposites. `numbers`
    are in the order they stand in, labels ("step 3") left out. `example` says that it speaks of one case only, `late`
    that a negation stands in the middle and may be about what follows it alone ("count all and skip none"). What is to
    be achieved or left out on the way ("to avoid mistakes", "without rounding") is no part of the claim.
    """

    text: str
    topic: frozenset[str]
    condition: tuple[str, ...]
    negative: bool
    numbers: tuple[str, ...]
    example: bool
    late: bool


def guard(text: str) -> tuple[str, ...]:
    """What two texts must share, in order, before they may be called the same: negations, numbers, units, opposites,
    operators, single letters (the variables of a formula) and words such as "only" and "all"."""
    return tuple([sign for line in sentences(text) for token in tokens(line) if (sign := _sign(token)) is not None])


def statements(text: str) -> list[Statement]:
    """The sentences of a text that say something about a topic of two content words or more."""
    found = []
    for sentence in sentences(text):
        example = _EXAMPLES.match(sentence) is not None
        condition = _CONDITION.search(sentence)
        main = sentence[: condition.start()] + " " + sentence[condition.end() :] if condition else sentence
        aside = _ASIDE.search(main, 1)
        main = main[: aside.start()] if aside else main
        topic, negative, numbers, late = _claim(main)
        if sum(not word.startswith("±") for word in topic) < 2:
            continue
        when = tuple(stem(t) for t in tokens(condition.group()) if t not in EMPTY) if condition else ()
        found.append(Statement(sentence, topic, when, negative, numbers, example, late))
    return found


def phrase(text: str) -> tuple[frozenset[str], bool, tuple[str, ...]]:
    """Topic, polarity and numbers of a few words, as `Statement` tells them of a sentence. The topic may be empty."""
    topic, negative, numbers, _ = _claim(text[:_CHARACTERS])
    return topic, negative, numbers


def sentences(text: str) -> Iterator[str]:
    """The sentences and list entries of a text, without the marks of lists and headings."""
    for line in text[:_CHARACTERS].split("\n"):
        marker = _MARKER.match(line)
        line = line[marker.end() :] if marker else line
        for sentence in _SENTENCE_END.split(_MARKUP.sub("", line)):
            if sentence and not sentence.isspace():
                yield sentence.strip()


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """`word` without the endings of English plurals, verbs and adverbs; a key for comparing, not for reading."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for _ in range(2):
        shorter = _SUFFIX.sub("", word)
        if len(shorter) < 3:
            break
        word = shorter
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def tokens(text: str, pattern: re.Pattern[str] = TOKEN) -> list[str]:
    """The words, numbers and operators of a text, or what else `pattern` finds, in lower case."""
    text = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return pattern.findall(text)


@lru_cache(maxsize=65536)
def _sign(token: str) -> str | None:
    """What a token contributes to the guard, None for a word that may change."""
    if _negates(token):
        return "not"
    if token[0].isdigit():
        return number(token)
    if token in NUMBERS:
        return NUMBERS[token]
    if not token[0].isalpha():
        return token
    if token in TELLING or token in KEPT_APART or (len(token) == 1 and token not in "ai") or _ROMAN.fullmatch(token):
        return token
    singular = token.removesuffix("s")
    if singular in UNITS or token in UNITS:
        return singular
    axis = _SIDES.get(token) or _SIDES.get(stem(token))
    if axis:
        return f"{axis[0]}.{axis[1]}"
    return "un" if _OPPOSITE_PREFIX.match(token) else None


def _negates(token: str) -> bool:
    return token in NEGATORS or token.endswith(("n't", "n’t"))


def number(token: str) -> str:
    """A number as digits: without separators of thousands and zeros at the end of its fraction."""
    if _THOUSANDS.fullmatch(token):
        token = token.replace(",", "")
    if "." in token and token.count(".") == 1 and token.replace(".", "").isdigit():
        token = token.rstrip("0").rstrip(".")
    return token


def _claim(sentence: str) -> tuple[frozenset[str], bool, tuple[str, ...], bool]:
    """Topic, negativity, numbers, and whether a negation comes late."""
    topic: list[str] = []
    numbers: list[str] = []
    flips = 0
    before = ""
    late = False
    for place, token in enumerate(tokens(_NO_NEGATION.sub(" ", sentence))):
        if _negates(token):
            flips += 1
            late = late or place >= _EARLY
        elif token[0].isdigit() or (token in NUMBERS and token not in NO_COUNTS):
            if stem(before) not in _LABEL_STEMS:
                numbers.append(NUMBERS.get(token) or number(token))
        elif token in EMPTY or len(token) == 1:
            pass
        elif axis := _SIDES.get(token) or _SIDES.get(stem(token)):
            topic.append(axis[0])
            flips += axis[1]
        else:
            topic.append(stem(token))
        before = token
    counted = Counter(topic)
    words = frozenset(word if count == 1 or word[0] != "±" else f"{word}×{count}" for word, count in counted.items())
    return words, flips % 2 == 1, tuple(numbers), late


_SIDES = _side_of_words()
_LABEL_STEMS = frozenset(map(stem, LABELS))
