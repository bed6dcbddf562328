"""The step checker: recomputes the equations of a rationale.

An equation is two expressions (`arithmetic`) around a sign of equality; a = b = c is two of them. It holds when both
sides are equal, and also

- where one side is a single number with digits after its point, and these are the other's, rounded or cut off
  (10 / 3 = 3.33); after ≈ also one whose last digits are zeros (1,234 ≈ 1,200), and two expressions there may differ
  by 1%; where floats are printed in full, a 1e-12 of them is noise;
- where percent signs or scale words are shown but not counted (5 / 20 * 100 = 25%);
- where steps run on (5 * 3 = 15 + 4 = 19): the second side begins with the result of the first and goes on.

Not judged: sides without a value (variables, functions, division by zero, numbers out of bounds), a label or a
conversion between units ("Day 3 = 10", "1 hour = 60 minutes"), unequal sides in different units of one kind or with a
remainder ("17 / 5 = 3 remainder 2"), and text beyond the first `MAX_CHARACTERS`. The marks
of a calculator (<<48/2=24>>) are read as equations of their own where the text does not say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symdistill.curation.arithmetic import Node, Scaled, most_places, value, written_number
from symdistill.curation.arithmetic_reader import Reader, Side
from symdistill.curation.arithmetic_tokens import Token, tokens

MAX_CHARACTERS = 100_000
"""Of a rationale; the rest is not read."""

_MARK = re.compile(r"<<([^<>\n]{1,200})>>")
_ABOUT = frozenset({"about", "approximately", "approx", "around", "roughly", "nearly", "almost"})
_LABELS = frozenset(
    {"step", "part", "day", "week", "month", "year", "case", "option", "problem", "question", "number", "no"}
    | {"equation", "line", "stage", "round", "phase", "night"}
)
_REMAINDER = frozenset({"remainder", "r", "rem", "left", "leftover", "remaining"})
_REMAINDER_WITHIN = 8
_FLOAT_PLACES = 10
"""A number with so many digits behind its point is a float printed in full."""
_FAMILIES = (
    "$ € £ ¥ ₹ ¢ dollar dollars cent cents penny pennies nickel nickels dime dimes quarter quarters",
    "second seconds minute minutes min mins hour hours hr hrs day days week weeks month months year years s h decade",
    "inch inches foot feet ft yard yards mile miles m cm mm km meter meters metre metres kilometers centimeters",
    "gram grams g kg mg kilogram kilograms ounce ounces oz pound pounds lb lbs ton tons",
    "ml l liter liters litre litres milliliters cup cups pint pints quart quarts gallon gallons teaspoons tablespoons",
    "piece pieces slice slices pair pairs dozen dozens box boxes pack packs",
)
_FAMILY = {unit: number for number, family in enumerate(_FAMILIES) for unit in family.split()}


@dataclass(frozen=True, slots=True)
class Equation:
    """Two neighbouring sides as they stand in the text, their exact values, and whether they are equal.

    `sides` are the words of either: what stands between them is some sign or word of equality.
    """

    text: str
    left: Fraction
    right: Fraction
    holds: bool
    sides: tuple[str, str]


@dataclass(frozen=True, slots=True)
class StepReport:
    """The equations of a text that could be judged, in order."""

    equations: tuple[Equation, ...]

    @property
    def checked(self) -> int:
        return len(self.equations)

    @property
    def wrong(self) -> int:
        return sum(not equation.holds for equation in self.equations)

    @property
    def first_wrong(self) -> Equation | None:
        return next((equation for equation in self.equations if not equation.holds), None)

    @property
    def score(self) -> float | None:
        """The share of equations that hold; None where there are none."""
        return 1 - self.wrong / self.checked if self.equations else None


def check_steps(text: str) -> StepReport:
    """Recompute every equation of a rationale. Never raises; time is linear in the length of the text."""
    text = text[:MAX_CHARACTERS]
    marks = _MARK.findall(text)
    found = list(_equations(_MARK.sub(lambda match: " " * len(match.group()), text)))
    said = {(equation.left, equation.right) for equation in found}
    for mark in marks:
        found += [equation for equation in _equations(mark) if (equation.left, equation.right) not in said]
    return StepReport(tuple(found))


@dataclass(frozen=True, slots=True)
class _Link:
    """One side of a chain of equations: None where nothing can be read. `about`: the sign before it is ≈."""

    side: Side | None
    about: bool = False
    labelled: bool = False


def _equations(text: str) -> Iterator[Equation]:
    found = tokens(text)
    reader = Reader(found)
    at = 0
    while at < len(found):
        if found[at].kind == "equals":
            chain = [_Link(None)]
        elif _is_label(found, at):
            dash = at + 1 < len(found) and found[at + 1].text == "-" and found[at + 1].lone
            at += 2 if dash else 1
            continue
        elif _starts(found, reader, at):
            side, before = reader.side(at), found[at - 1].kind if at else "break"
            follows_a_number = before in ("number", "percent", "unknown")  # and no operator between
            chain, at = [_Link(None if follows_a_number else side, labelled=before == "word")], side.end
        elif found[at].kind == "operator":  # of something that could not be read
            chain, at = [_Link(None)], at + 1
            if reader.begins(at):
                at = reader.side(at).end
        else:
            at += 1
            continue
        while (sign := _sign(found, at)) is not None:
            at, link = _next_link(found, reader, sign)
            chain.append(link)
        yield from _judged(text, found, chain)


def _starts(found: Sequence[Token], reader: Reader, at: int) -> bool:
    """Does the side of an equation begin here, by a number or by a name that is computed with?"""
    if found[at].kind == "word":
        following = found[at + 1] if at + 1 < len(found) else None
        if following is None or found[at].text in _LABELS:
            return False
        if following.kind == "open":
            return not following.apart
        return following.kind == "operator" and not (following.text == "-" and following.apart and not following.lone)
    return reader.begins(at)


def _is_label(found: Sequence[Token], at: int) -> bool:
    """Is it the number of "Step 2"?"""
    return found[at].kind == "number" and found[at].apart and at > 0 and found[at - 1].text in _LABELS


def _sign(found: Sequence[Token], at: int) -> int | None:
    """The place of the sign of equality at `at`, or behind one line break; None where there is none."""
    if at < len(found) and found[at].kind == "break" and found[at].text in ("\n", "\\\\"):
        at += 1
    return at if at < len(found) and found[at].kind == "equals" else None


def _next_link(found: Sequence[Token], reader: Reader, sign: int) -> tuple[int, _Link]:
    """The side behind a sign of equality, and the place after it."""
    about, at = found[sign].text == "≈", sign + 1
    while at < len(found) and (found[at].text in _ABOUT or found[at].text in ("to", "\n")):
        about |= found[at].text in _ABOUT
        at += 1
    if at >= len(found) or not (found[at].kind == "word" or reader.begins(at)):
        return at, _Link(None)
    side = reader.side(at)
    return side.end, _Link(side, about)


def _judged(text: str, found: Sequence[Token], chain: Sequence[_Link]) -> Iterator[Equation]:
    for place in range(1, len(chain)):
        left, right = chain[place - 1], chain[place]
        if left.side is None or right.side is None or not _comparable(left, right.side):
            continue
        node, end = right.side.node, right.side.end
        holds = _equal(left.side.node, node, right.about)
        if holds is False and (place + 1 < len(chain) or _worded(found[right.side.start : end])):
            holds = _equal(left.side.node, right.side.first, right.about)
            node, end = (right.side.first, right.side.first_end) if holds else (node, end)
        a, b = value(left.side.node), value(node)
        if holds is None or a is None or b is None:
            continue
        remainder = a // 1 == b and _leaves_remainder(right.side, found)
        share = 0 < a <= 1 and _is_share(found[left.side.start : left.side.end])
        if not holds and (remainder or share or _converts(left.side.units, right.side.units)):
            continue
        places = (left.side.start, left.side.end), (right.side.start, end), (left.side.start, end)
        first, second, said = (" ".join(text[found[i].start : found[j - 1].end].split()) for i, j in places)
        yield Equation(said, a, b, holds, (first, second))


def _is_number(node: Node) -> bool:
    return written_number(node) is not None


def _comparable(left: _Link, right: Side) -> bool:
    """Is there something to compute, and is the left side no label and no amount of another unit?"""
    side = left.side
    if side is None or side.node is None or right.node is None:
        return False
    if not _is_number(side.node):
        return True
    plain = not (side.units or left.labelled or isinstance(side.node, Scaled))
    return plain and (not _is_number(right.node) or not (right.units or isinstance(right.node, Scaled)))


def _worded(side: Sequence[Token]) -> bool:
    """Is an operator written as a word?"""
    return any(t.text == "of" or (t.kind == "operator" and t.end - t.start > 2) for t in side)


def _is_share(side: Sequence[Token]) -> bool:
    """Is it a part of something that is not named in numbers, as in "1/5 of them = 20 / 4" and "10% off = $5"?"""
    kinds = [token.kind for token in side[:4]]
    if kinds[:3] == ["number", "percent", "word"]:
        return True
    return kinds == ["number", "operator", "number", "word"] and side[1].text == "/" and not side[1].apart


def _converts(left: Sequence[str], right: Sequence[str]) -> bool:
    """Do the sides name different units of one family, so that a factor between them goes without saying?"""
    families = {_FAMILY[unit] for unit in left if unit in _FAMILY} & {_FAMILY[u] for u in right if u in _FAMILY}
    return any(_named(left, family) != _named(right, family) for family in families)


def _named(units: Sequence[str], family: int) -> set[str]:
    return {unit.rstrip("s") for unit in units if _FAMILY.get(unit) == family}


def _leaves_remainder(right: Side, found: Sequence[Token]) -> bool:
    """Is a remainder spoken of behind the right side?"""
    for token in found[right.end : right.end + _REMAINDER_WITHIN]:
        if token.kind in ("break", "equals"):
            return False
        if token.text in _REMAINDER:
            return True
    return False


def _equal(left: Node, right: Node, about: bool) -> bool | None:
    """Whether the sides are equal in one of the ways to count percent signs and scales; None for unknown sides."""
    readings = {(value(left, scaled=a), value(right, scaled=b)) for a in (True, False) for b in (True, False)}
    known = [(a, b) for a, b in readings if a is not None and b is not None]
    if not known:
        return None
    noise = Fraction(1, 10**12) if max(most_places(left), most_places(right)) >= _FLOAT_PLACES else 0
    if any(abs(a - b) <= noise * abs(a) or _shows(left, a, b, about) or _shows(right, b, a, about) for a, b in known):
        return True
    loose = about and not _is_number(left) and not _is_number(right)
    return loose and any(abs(a - b) * 100 <= max(abs(a), abs(b)) for a, b in known)


def _shows(node: Node, own: Fraction, other: Fraction, about: bool) -> bool:
    """Is `node` a number whose digits are those of `other`, rounded or cut off?"""
    number = written_number(node)
    if number is None or not (about or number.places > 0):
        return False
    unit = Fraction(10) ** -number.places
    while isinstance(node, Scaled):
        unit, node = max(unit, unit * node.factor), node.inner
    return abs(other - own) * 2 <= unit or (own * other >= 0 and 0 <= abs(other) - abs(own) < unit)
