"""Arithmetic as people and models write it in prose: expressions read by recursive descent, and their exact values.

Read: thousands separators, decimals, 1e3, fractions (also ½, 3 1/2 and LaTeX's), percent and currency signs, × · x ÷ :
^ ** and superscripts, "times", "plus", "divided by", "20% of 50", brackets, units after a number ("5 km/h * 2 hours"),
scale words ("3 million"). A product may do without its sign where nothing stands between: 2(3 + 4).

What is no number (a variable, a function, a clock time, a date) makes its expression *unknown*: it has no value, and
nothing can be said about an equation with it. So do a division by zero and numbers beyond the bounds below. Nothing
is ever evaluated as code, and reading a side takes time linear in its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from symdistill.curation.arithmetic import Binary, Node, Number, Scaled, value, with_number, written_number
from symdistill.curation.arithmetic_tokens import Token

MAX_DEPTH = 24
"""Brackets inside brackets, and powers of powers."""
MAX_TOKENS = 240
"""Of one side of an equation."""
_UNIT_WORDS = 4
"""Words between a number and an operator that are taken for its unit."""

_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LETTERS = frozenset("mgshl")
"""Units of one letter that stand right behind a number; any other letter there is a variable."""
_CONJUNCTIONS = frozenset({"because", "since", "so", "or", "and", "then", "but", "if", "when", "which", "where"})
"""What stands before them has ended."""
_COPULAS = frozenset({"is", "are", "was", "were"})
_ARTICLES = frozenset({"the", "a", "an", "his", "her", "its", "their", "this", "that", "these", "those", "all"})


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an equation: its tokens from `start` up to `end`, the expression, and the operand it begins with.

    The operand ends at `first_end`; that of "1/3 of 150" is 1/3. `units` are the words and currency signs beside its
    numbers, in order.
    """

    start: int
    end: int
    node: Node
    first: Node
    first_end: int
    units: tuple[str, ...] = ()


class Reader:
    """Reads expressions from the tokens of a text."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._tokens = found
        self._closing = _closing_brackets(found)
        self._at = 0
        self._limit = 0
        self._depth = 0
        self._first: tuple[Node, int] = (None, 0)
        self._units: list[str] = []

    def side(self, start: int) -> Side:
        """The longest expression that begins at a token where one may (`begins`)."""
        self._at, self._limit, self._depth, self._units = start, start + MAX_TOKENS, 0, []
        first = self._signed()
        self._first = first, self._at
        node = self._sum(self._product(first))
        if self._at >= self._limit:
            node = None
        return Side(start, max(self._at, start + 1), node, *self._first, tuple(self._units))

    def begins(self, at: int) -> bool:
        """May an expression begin at this token? A word may not: it would be a variable."""
        kind = self._kind(at)
        if kind == "open":
            return at in self._closing
        if kind == "operator":
            return self._tokens[at].text == "-" and not self._tokens[at].lone and self._kind(at + 1) != "word"
        if kind == "currency":
            return self._kind(at + 1) in ("number", "unknown", "operator") and self.begins(at + 1)
        return kind in ("number", "unknown", "frac")

    def _kind(self, at: int) -> str:
        return self._tokens[at].kind if at < len(self._tokens) else "end"

    def _sum(self, node: Node) -> Node:
        while operator := self._operator("+-"):
            node = Binary(operator, node, self._product(self._signed()))
        return node

    def _product(self, node: Node) -> Node:
        while self._at < self._limit:
            if operator := self._operator("*/?"):
                spaced = self._tokens[self._at - 1].lone
                node = Binary(operator, node, (spaced and self._tight_fraction()) or self._signed())
            elif self._stands_together(node) or self._is_a_part(node):
                node = Binary("*", node, self._signed())
            else:
                break
        return node

    def _operator(self, wanted: str) -> str:
        """The operator at this place, passed over, when it is a wanted one and an operand follows; else ""."""
        at = self._at
        if at >= self._limit:
            return ""
        if "?" in wanted and self._is_modulo(at):
            self._at += 1
            return "?"
        if self._kind(at) != "operator" or self._tokens[at].text not in wanted:
            return ""
        sign = self._tokens[at]
        if self._past_articles(at + 1) != at + 1:
            pass
        elif self._kind(at + 1) == "word":  # a variable, unless it may be a unit or come after a dash
            if sign.text in "-/" and not self._is_letter(at + 1):
                return ""
        elif not self.begins(at + 1) and not self._signs_follow(at + 1):
            return ""
        self._at += 1
        return sign.text

    def _is_modulo(self, at: int) -> bool:
        """Is it the sign of 143 % 11?"""
        return self._kind(at) == "percent" and self._kind(at + 1) in ("number", "open")

    def _past_articles(self, at: int) -> int:
        """The place of the number that "the" or "his" stands before; `at` itself where it is no such word."""
        number = at
        while self._kind(number) == "word" and self._tokens[number].text in _ARTICLES:
            number += 1
        return number if self.begins(number) else at

    def _is_letter(self, at: int) -> bool:
        """Is the word at this place a variable of one letter?"""
        return len(self._tokens[at].text) == 1 and self._tokens[at].text not in _LETTERS

    def _signs_follow(self, at: int) -> bool:
        while self._kind(at) == "operator" and self._tokens[at].text in "+-" and at < self._limit:
            at += 1
        return self.begins(at)

    def _tight_fraction(self) -> Node:
        """The fraction that its spacing holds together in 2 / 1/5; None where there is none."""
        part = self._fraction(self._at)
        if part is not None:
            self._at += 3
        return part

    def _fraction(self, at: int) -> Binary | None:
        """The fraction of whole numbers that is written without spaces at a token."""
        if self._kind(at) != "number" or self._kind(at + 1) != "operator" or self._kind(at + 2) != "number":
            return None
        over, bar, under = self._tokens[at : at + 3]
        whole = over.text.isdigit() and under.text.isdigit() and over.value is not None and under.value
        if bar.text != "/" or bar.apart or under.apart or not whole:
            return None
        return Binary("/", Number(over.value or Fraction(0)), Number(under.value or Fraction(1)))

    def _stands_together(self, node: Node) -> bool:
        """Does a bracket follow without a space, as in 2(3 + 4) and (2)(3), or a number a bracket, as in (1/2) 16?"""
        at = self._at
        if at >= len(self._tokens) or not self.begins(at):
            return False
        if self._tokens[at].kind == "number":
            return self._tokens[at - 1].kind == "close" and written_number(node) is None
        return self._tokens[at].kind in ("open", "frac") and not self._tokens[at].apart

    def _is_a_part(self, node: Node) -> bool:
        """Passes over the "of" of 20% of $50 or 1/2 of the 10."""
        at = self._at
        divided = isinstance(node, Binary) and node.operator == "/"
        if not (isinstance(node, Scaled) or divided) or self._kind(at) != "word" or self._tokens[at].text != "of":
            return False
        at = self._past_articles(at + 1)
        if not self.begins(at):
            return False
        if not self._depth:
            self._first = node, self._at
        self._at = at
        return True

    def _signed(self) -> Node:
        negative = False
        self._at = self._past_articles(self._at)
        while self._kind(self._at) in ("operator", "currency") and self._at < self._limit:
            token = self._tokens[self._at]
            if token.kind == "currency":
                self._units.append(token.text)
            elif token.text not in "+-":
                break
            negative ^= token.text == "-"
            self._at += 1
        node = self._power()
        if not negative:
            return node
        number = written_number(node)
        if number is None:
            return Binary("-", Number(Fraction(0)), node)
        return with_number(node, Number(-number.value, number.places))

    def _power(self) -> Node:
        node = self._operand()
        while self._at < self._limit and self._kind(self._at) == "operator":
            sign = self._tokens[self._at].text
            if sign in "²³":
                self._at += 1
                node = Binary("^", node, Number(Fraction(2 if sign == "²" else 3)))
            elif sign == "^" and (self.begins(self._at + 1) or self._kind(self._at + 1) == "word"):
                self._at += 1
                node = Binary("^", node, self._nested(self._signed))
            else:
                break
        return node

    def _nested(self, read: Callable[[], Node]) -> Node:
        """What `read` finds one level deeper; unknown beyond the deepest."""
        if self._depth >= MAX_DEPTH:
            self._at = self._limit
            return None
        self._depth += 1
        node = read()
        self._depth -= 1
        return node

    def _operand(self) -> Node:
        kind = self._kind(self._at)
        if kind == "number":
            node = self._number()
        elif kind == "open" and self._at in self._closing:
            node = self._bracket()
        elif kind == "frac":
            node = self._latex_fraction()
        else:
            self._pass_over_names()
            return None
        return self._with_units(self._with_percent(node))

    def _number(self) -> Node:
        token, at = self._tokens[self._at], self._at + 1
        self._at = at
        number = token.value or Fraction(0)
        if self._kind(at) in ("number", "unknown"):
            part = self._tokens[at]
            if part.value is not None and part.text in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞":  # 3½
                self._at += 1
                return Number(number + part.value)
            if not part.apart or (len(part.text) == 3 and part.text.isdigit() and len(token.text) <= 3):
                return None  # 1.2.3, or 5 000
            part_of_one = value(self._fraction(at))
            if part_of_one is not None and part_of_one < 1 and number.denominator == 1:
                self._at += 3
                return Number(number + part_of_one)
        if self._kind(at) == "break" and self._tokens[at].text == "!" and not self._tokens[at].apart:
            if self._kind(at + 1) not in ("operator", "equals"):
                return Number(number, token.places)
            self._at += 1  # a factorial
            return None
        return Number(number, token.places if token.places else -_zeros(token.text))

    def _bracket(self) -> Node:
        close = self._closing[self._at]
        self._at += 1
        node: Node = None
        if self.begins(self._at) or self._signs_follow(self._at):
            node = self._nested(lambda: self._sum(self._product(self._signed())))
        if self._at != close:
            node = None
        self._at = close + 1
        return node

    def _latex_fraction(self) -> Node:
        self._at += 1
        if self._kind(self._at) == "number" and len(self._tokens[self._at].text) == 2:  # \frac12
            over, under = self._tokens[self._at].text[0], self._tokens[self._at].text[1]
            self._at += 1
            return Binary("/", Number(Fraction(over)), Number(Fraction(under))) if (over + under).isdigit() else None
        parts: list[Node] = []
        for _ in range(2):
            if self._kind(self._at) != "open" or self._at not in self._closing:
                return None
            parts.append(self._bracket())
        return Binary("/", parts[0], parts[1])

    def _with_percent(self, node: Node) -> Node:
        if self._kind(self._at) == "percent" and not self._is_modulo(self._at):
            self._at += 1
            node = Scaled(node, Fraction(1, 100))
        if self._kind(self._at) == "word" and self._tokens[self._at].text in _SCALES:
            node = Scaled(node, Fraction(_SCALES[self._tokens[self._at].text]))
            self._at += 1
        return node

    def _with_units(self, node: Node) -> Node:
        """`node`, past the words that name its unit where an operator or a sign of equality follows them.

        A single letter there is a variable, and the expression unknown.
        """
        if self._kind(self._at) == "unknown" and not self._tokens[self._at].apart:
            self._at += 1  # the variable of (3/2)x
            return None
        at, words = self._at, 0
        while words < _UNIT_WORDS and (past := self._past_unit(at)):
            if self._tokens[past - 1].kind != "close":
                self._units.append(self._tokens[past - 1].text)
            at, words = past, words + 1
        if not words:
            return node
        letter = self._tokens[self._at]
        if letter.kind == "word" and len(letter.text) == 1 and words == 1:
            trailing = self._kind(at) not in ("operator", "equals")
            named = letter.text in _LETTERS and (trailing or letter.apart)
            if not (named or (trailing and letter.apart)):
                self._at = at
                return None
        if self._kind(at) in ("operator", "equals", "close"):
            self._at = at
        return node

    def _past_unit(self, at: int) -> int:
        """The place after the unit's word that stands at `at`: apples, -hour, /day, ² or (of apples); 0 for none."""
        kind = self._kind(at)
        if kind == "currency":
            return at + 1
        if kind == "open" and at in self._closing and self._tokens[at].apart:
            inside = range(at + 1, self._closing[at])
            worded = 0 < len(inside) <= 2 * _UNIT_WORDS and all(self._kind(i) == "word" for i in inside)
            return self._closing[at] + 1 if worded else 0
        if kind == "operator" and self._tokens[at].text in "/-" and self._kind(at + 1) == "word":
            if self._is_letter(at + 1):
                return 0
            joined = not self._tokens[at].apart and not self._tokens[at].lone and self._kind(at + 2) != "equals"
            return at + 2 if joined or self._tokens[at].text == "/" else 0
        if kind == "operator" and self._tokens[at].text in "²³" and self._tokens[at - 1].kind == "word":
            return at + 1
        if kind != "word" or self._tokens[at].text in _CONJUNCTIONS:
            return 0
        if self._tokens[at].text in _COPULAS and self._kind(at + 1) != "equals":
            return 0
        return 0 if self._tokens[at].text == "of" and self._amount_of(at) else at + 1

    def _amount_of(self, at: int) -> bool:
        """Does the "of" at this place stand before a number?"""
        return self.begins(self._past_articles(at + 1))

    def _pass_over_names(self) -> None:
        """A variable, a function with its argument, an unknown quantity in words."""
        self._at += 1
        while self._at < self._limit:
            at = self._at
            if self._kind(at) == "open" and at in self._closing and not self._tokens[at].apart:
                self._at = self._closing[at] + 1
            elif self._kind(at) in ("word", "unknown"):
                self._at += 1
            else:
                return


def _zeros(digits: str) -> int:
    digits = digits.replace(",", "")
    return len(digits) - len(digits.rstrip("0")) if digits.isdigit() and digits.strip("0") else 0


def _closing_brackets(found: Sequence[Token]) -> dict[int, int]:
    """For each opening bracket that closes again without an equation between: where it closes."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(found):
        if token.kind == "open":
            opened.append(at)
        elif token.kind == "equals":
            opened.clear()
        elif token.kind == "close" and opened:
            start = opened.pop()
            if at - start < MAX_TOKENS:
                closing[start] = at
    return closing
