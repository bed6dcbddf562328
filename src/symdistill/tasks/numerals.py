"""Numbers as people and models write them, read without evaluating anything.

Read: signs (also typographic ones), thousands separators, decimals, 1e3 and 1.5 × 10^3, fractions and mixed numbers
(also LaTeX's and ½), currency and percent signs (ignored: 60% is 60), an equation's right-hand side ("3 * 5 = 15"),
words that multiply ("2.5 million"; a dozen is a unit of its own: "how many dozen?").
Not a number: what was left to compute ("10 - 5"), a range, a list, a date, a clock time, a quantity in two units
("2 hours 30 minutes": whether 2.5 or 150 is asked for is not known here).

Values are compared as decimals: integers exactly, everything else to 15 significant digits, which is what survives a
round trip through a float.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

from symdistill.tasks.wording import unwrapped, without_latex_text

_EXACT = Context(prec=9000, Emax=10**9, Emin=-(10**9), traps=[])
_ROUNDED = Context(prec=15, Emax=10**9, Emin=-(10**9), traps=[])
_PLAIN_EXPONENT = 1000
"""Exponents beyond this are kept as exponents, never written out."""
_FRACTION_DIGITS = 60
_SHORT = 40
"""Digits of a whole number that is read without further ado."""
_TERMS = 100
"""Numbers of one expression that are followed; a longer expression states no answer."""

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("−–—‒﹣－", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\u2007", " "),
        **dict.fromkeys("×·⋅∙", "*"),
        **dict.fromkeys("÷⁄∕", "/"),
        **dict.fromkeys("≈≃", "="),
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **{sign: f" {n}/{d}" for sign, n, d in (("½", 1, 2), ("⅓", 1, 3), ("⅔", 2, 3), ("¼", 1, 4), ("¾", 3, 4))},
        "²": "^2",
        "³": "^3",
        "，": ",",
        "．": ".",
    }
)
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: str(value) for value, word in enumerate(_ONES)} | {
    ten + (f" {_ONES[one]}" if one else ""): str(20 + 10 * place + one)
    for place, ten in enumerate(_TENS)
    for one in range(10)
}

_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALE = re.compile("|".join(_SCALES))
_MEASURES: tuple[dict[str, int], ...] = (
    {"year": 31_557_600, "yr": 31_557_600, "month": 2_629_800, "week": 604_800, "day": 86_400}
    | {"hour": 3600, "hr": 3600, "h": 3600, "minute": 60, "min": 60, "m": 60, "second": 1, "sec": 1, "s": 1},
    {"dollar": 100, "buck": 100, "euro": 100, "pound": 100, "cent": 1, "pence": 1},
    {"mile": 63_360, "yard": 36, "foot": 12, "feet": 12, "ft": 12, "inche": 1, "inch": 1, "in": 1},
    {"pound": 16, "lb": 16, "ounce": 1, "oz": 1},
    {"gallon": 16, "quart": 4, "pint": 2, "cup": 1},
    {"kilometer": 10**6, "kilometre": 10**6, "km": 10**6, "meter": 1000, "metre": 1000, "m": 1000}
    | {"centimeter": 10, "centimetre": 10, "cm": 10, "millimeter": 1, "millimetre": 1, "mm": 1},
    {"kilogram": 1000, "kilo": 1000, "kg": 1000, "gram": 1, "g": 1},
    {"liter": 1000, "litre": 1000, "l": 1000, "milliliter": 1, "millilitre": 1, "ml": 1},
)
"""Units by their names without a plural's s, in the smallest of their kind."""

_LATEX_FRACTION = re.compile(r"(\d?)\\[dt]?frac\s*(?:\{\s*(-?[\d.]+)\s*\}|(\d))\s*(?:\{\s*([\d.]+)\s*\}|(\d))")
_LATEX_SPACE = re.compile(r"\\(?:left|right|quad|displaystyle|[,;:! ()\[\]])")
_REPLACED = (
    (re.compile(r"\\(?:cdot|times)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\div(?![a-zA-Z])"), "/"),
    (re.compile(r"\\approx(?![a-zA-Z])"), "="),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d)\s{0,3}\*\*\s{0,3}(?=\d)"), "^"),  # 2**10 is a power, **10** is bold
    (re.compile(r"\*\*|__|`"), ""),
    (re.compile(r"(?<=[-+])\s*[$€£¥₹]\s*"), ""),
    (re.compile(r"[$€£¥₹]"), " "),
)

_NUMBER_PATTERN = r"""
    (?P<sign>[-+])?
    (?:
      (?P<whole>\d{1,40})[ ]{1,2}(?P<over>\d{1,40})/(?P<under>\d{1,40})(?![\d/])    # 7 1/2
    | (?P<european>\d{1,3}(?:\.\d{3})++,\d++|\d{1,3}(?:\.\d{3}){2,}+)(?![\d.,]\d)   # 1.234,50
    | (?P<integer>\d{1,3}(?:,\d{3})++(?!\d)|\d{1,2}(?:,\d{2}(?=,))++,\d{3}(?!\d)|\d{1,3}(?:[ ]\d{3})++(?!\d)|\d++)
      (?P<decimals>\.\d++)?
    | (?P<bare>\.\d++)
    )
    (?:[eE](?P<e>[-+]?\d{1,6})(?![\w])|\s{0,2}\*\s{0,2}10\s{0,2}\^\s{0,2}[{(]?\s{0,2}(?P<ten>[-+]?\d{1,6})[)}]?(?!\d))?
    (?:\s{0,2}/\s{0,2}(?P<denominator>\d++(?:\.\d++)?))?
    (?P<scales>(?:[ ]{0,4}-?(?i:hundred|thousand|million|billion|trillion)s?(?![\w-])){1,3}+)?
"""
_NUMBER = re.compile(_NUMBER_PATTERN, re.VERBOSE | re.ASCII)
_FIRST_NUMBER = re.compile(r"(?<![\w.^])(?<![^\W\d]-)" + _NUMBER_PATTERN, re.VERBOSE | re.ASCII)
_JOIN = re.compile(
    r"\s{0,3}[)\]]{0,3}\s{0,3}(?P<op>[-+*/^=:x.]|,(?:\s{1,3}(?:or|and)(?!\w))?|(?:or|and|to)(?!\w))"
    r"\s{0,3}[(\[]{0,3}\s{0,3}",
    re.ASCII,
)
_NEXT_UNIT = re.compile(
    r"\s{0,3}(?P<larger>[^\W\d_]{1,12})(?:\s{0,3},)?\s{0,3}(?:(?:and|&)\s{1,3})?(?P<count>\d{1,6})[\d./ ]{0,9}"
    r"(?P<smaller>[^\W\d_]{1,12})(?!\w|\s{0,3}/|\s{1,3}(?:an?|per|each|every)\b)"
)
_UNIT_BEFORE = re.compile(
    rf"\b(?:an?|{'|'.join((*_ONES, *_TENS))})\s{{1,3}}(?P<larger>[^\W\d_]{{1,12}})\s{{1,3}}(?:and|&)\s{{1,3}}\Z",
    re.IGNORECASE,
)
_UNIT_AFTER = re.compile(r"\s{0,3}([^\W\d_]{1,12})(?!\w)")
_DIGITS_AFTER = re.compile(r"\s{1,3}\d")
_UNIT_LOOK_BACK = 40
_LIST_GOES_ON = re.compile(r"\s{0,3}(?:[.,;)\]!?]|\Z|(?:or|and)(?!\w))")
_UNIT = r"(?:\s{0,2}(?:%|°)|\s{1,2}[^\W\d_][\w²³/.°-]{0,29})"
_LONE_AFTER = re.compile(rf"{_UNIT}{{0,2}}[\s.]{{0,3}}")
_BARE_AFTER = re.compile(r"\s{0,2}%?[\s.]{0,3}")
_SPACED_SIGN = re.compile(r"\s*([-+])\s+(?=[\d.])")


_PLAIN_ALREADY = re.compile(r"[^\\{*_`$\x80-\U0010ffff]*")
"""Text without any character that `plain` changes or that begins what it changes."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value read from text: `shown` is how it is written down, `canonical` what equal values share."""

    shown: str
    canonical: str


def plain(text: str) -> str:
    """`text` with typographic and LaTeX forms of numbers in their ASCII form."""
    if _PLAIN_ALREADY.fullmatch(text):
        return text
    text = _LATEX_FRACTION.sub(_ascii_fraction, text.translate(_TYPOGRAPHY))
    text = without_latex_text(text)
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return _LATEX_SPACE.sub("", text)


def read_number(text: str) -> Number | None:
    """The value an answer states: its first number, or the right-hand side where it states an equation.

    `text` is what follows a cue, of bounded length. None where there is no number, or more than one to choose from.
    """
    text = plain(text).strip()
    worded = _WORDS.get(unwrapped(text).replace("-", " ").casefold())
    if worded is not None:
        return Number(worded, worded)
    match = _FIRST_NUMBER.search(_SPACED_SIGN.sub(r"\1", text, count=1) if _SPACED_SIGN.match(text) else text)
    return _concluded(match) if match else None


def lone_number(text: str, *, units: bool = False) -> Number | None:
    """The value of a text that is one number and nothing else (with `units`: and up to two words of unit)."""
    text = plain(text).strip().removeprefix("=").strip()
    match = _NUMBER.match(text)
    if match is None or not (_LONE_AFTER if units else _BARE_AFTER).fullmatch(text, match.end()):
        return None
    return _value(match)


def _ascii_fraction(match: re.Match[str]) -> str:
    before, over, over_digit, under, under_digit = match.groups()
    return f"{before + ' ' if before else ''}{over or over_digit}/{under or under_digit}"


def _concluded(match: re.Match[str]) -> Number | None:
    """The value at `match`, unless what follows shows that it is a part of something.

    Sides of an equation are read one after the other; the last one that is a single number counts.
    """
    text = match.string
    concluded: Number | None = None
    side = _side(match)
    for _ in range(_TERMS):
        join = _JOIN.match(text, match.end())
        following = _NUMBER.match(text, join.end()) if join else None
        if join is None or following is None or not _joined(join, following):
            return side or concluded
        value = _side(following)
        if join["op"] == "=":
            concluded, side = side or concluded, value
        elif side is None or value is None or join["op"][0] not in ",oa" or value.canonical != side.canonical:
            side = None  # an operand, or another answer; "0.6 or 3/5" is one answer twice
        match = following
    return None


def _side(match: re.Match[str]) -> Number | None:
    """The value at `match`; None where the quantity goes on in a smaller unit, or began in a larger one."""
    text = match.string
    if match["scales"] and _DIGITS_AFTER.match(text, match.end()):
        return None  # 2 thousand 5 hundred
    following = _NEXT_UNIT.match(text, match.end())
    if following and _is_part(following["larger"], following["smaller"], int(following["count"])):
        return None
    before = _UNIT_BEFORE.search(text, max(0, match.start() - _UNIT_LOOK_BACK), match.start())
    unit = _UNIT_AFTER.match(text, match.end()) if before else None
    return None if before and unit and _is_part(before["larger"], unit[1]) else _value(match)


def _is_part(larger: str, smaller: str, count: int = 1) -> bool:
    """Are so many of a unit a part of the other one? 30 minutes are of an hour, 240 are not."""
    one, other = (name if len(name) < 2 else name.removesuffix("s") for name in (larger.casefold(), smaller.casefold()))
    return any(count * sizes.get(other, math.inf) < sizes.get(one, 0) for sizes in _MEASURES)


def _joined(join: re.Match[str], following: re.Match[str]) -> bool:
    """Does the number after `join` belong to the one before it, as an operand, a bound or the next of a list?"""
    op, spaced = join["op"], join.group().strip() != join.group()
    if op in ":.":
        return not spaced  # 2:30 and 1.2.3, but not "12: 5 for each"
    if op.startswith(","):
        return not spaced or _LIST_GOES_ON.match(following.string, following.end()) is not None
    return True


def _value(match: re.Match[str]) -> Number | None:
    sign = "-" if match["sign"] == "-" else ""
    exponent = int(match["e"] or match["ten"] or 0)
    times = math.prod(_SCALES[word] for word in _SCALE.findall(match["scales"].casefold())) if match["scales"] else 1
    if match["whole"]:
        whole, over, under = int(match["whole"]), int(match["over"]), int(match["under"])
        return _quotient(f"{sign}{whole * under + over}", str(under), times)
    if match["european"]:
        digits = match["european"].replace(".", "").replace(",", ".")
    elif match["bare"]:
        digits = "0" + match["bare"]
    else:
        digits = match["integer"].replace(",", "").replace(" ", "") + (match["decimals"] or "")
    if match["denominator"] is not None:
        return _quotient(f"{sign}{digits}", match["denominator"], times) if not exponent else None
    return _decimal(f"{sign}{digits}", exponent, times)


def _decimal(digits: str, exponent: int = 0, times: int = 1) -> Number:
    if not exponent and times == 1 and len(digits) <= _SHORT and digits.isdecimal():
        text = digits.lstrip("0") or "0"
        return Number(text, text)
    value = _EXACT.multiply(_EXACT.create_decimal(digits), times)
    if abs(exponent) > _PLAIN_EXPONENT:
        mantissa = _written(_ROUNDED.plus(value).normalize(_ROUNDED).scaleb(-value.adjusted(), _ROUNDED))
        text = f"{mantissa}e{value.adjusted() + exponent}" if value else "0"
        return Number(text, text)
    value = value.scaleb(exponent, _EXACT)
    if value != value.to_integral_value(context=_EXACT):
        value = _ROUNDED.plus(value)
    text = _written(value)
    return Number(text, text)


def _quotient(over: str, under: str, times: int = 1) -> Number | None:
    if len(over) > _FRACTION_DIGITS or len(under) > _FRACTION_DIGITS or not Fraction(under):
        return None
    value = Fraction(over) * times / Fraction(under)
    if value.denominator == 1:
        return _decimal(str(value.numerator))
    rounded = _written(_ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator)))
    ends = Fraction(rounded) == value
    return Number(rounded if ends else f"{value.numerator}/{value.denominator}", rounded)


def _written(value: Decimal) -> str:
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
