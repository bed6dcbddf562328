"""English number words as digits: "one hundred and seventeen" is 117."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), 2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join([*_VALUES, 'hundred', *_SCALES])})\b", re.IGNORECASE)
_WORD = "|".join(sorted([*_VALUES, "hundred", *_SCALES], key=len, reverse=True))
_SPELLED = re.compile(rf"\b(?:{_WORD})(?:(?:[ \t]|-)(?:and[ \t])?(?:{_WORD}))*\b", re.IGNORECASE)


def with_digits(text: str) -> str:
    """The text with its number words written as digits; "one" alone, mostly a pronoun, and "two three" stay."""
    return _SPELLED.sub(_digits, text)


def single_values(text: str) -> list[int]:
    """What each number word of a text says by itself, without "one", mostly a pronoun: "two three" is 2 and 3."""
    found = (word.lower() for word in _NUMBER_WORD.findall(text))
    return [{**_VALUES, "hundred": 100, **_SCALES}[word] for word in found if word != "one"]


def _digits(found: re.Match[str]) -> str:
    words = re.findall(_WORD, found.group().lower())
    if words == ["one"]:
        return found.group()
    total = part = 0
    for word in words:
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total, part = total + max(part, 1) * _SCALES[word], 0
        elif part % 100 == 0 or (part % 100 >= 20 and part % 10 == 0 and 0 < _VALUES[word] < 10):
            part += _VALUES[word]
        else:
            return found.group()
    return str(total + part)
