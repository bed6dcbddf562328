"""Expressions of arithmetic and their exact values, in bounded work. Nothing is ever evaluated as code."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

MAX_EXPONENT = 64
MAX_BITS = 4096
"""Of a numerator or denominator on the way."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands there: its value, and how many digits follow its point (negative: zeros it ends in)."""

    value: Fraction
    places: int = 0


@dataclass(frozen=True, slots=True)
class Scaled:
    """A number with a percent sign or a scale word; people write both for show as well, so they may not count."""

    inner: Node
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation; that of "?" has no value."""

    operator: str
    left: Node
    right: Node


Node = Number | Scaled | Binary | None
"""An expression; None is unknown."""


def written_number(node: Node) -> Number | None:
    """The number that `node` is but for percent sign and scale; None where something is left to compute."""
    while isinstance(node, Scaled):
        node = node.inner
    return node if isinstance(node, Number) else None


def most_places(node: Node) -> int:
    """The most digits that a number in the expression shows behind its point."""
    if isinstance(node, Number):
        return max(node.places, 0)
    if isinstance(node, Scaled):
        return most_places(node.inner)
    return max(most_places(node.left), most_places(node.right)) if node else 0


def value(node: Node, *, scaled: bool = True) -> Fraction | None:
    """The exact value, None for an unknown one; without `scaled`, percent signs and scale words count for nothing."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Scaled):
        inner = value(node.inner, scaled=scaled)
        return inner * node.factor if inner is not None and scaled else inner
    if node is None:
        return None
    left, right = value(node.left, scaled=scaled), value(node.right, scaled=scaled)
    return None if left is None or right is None else _bounded(_applied(node.operator, left, right))


def _applied(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right if right else None
    if operator != "^" or right.denominator != 1 or abs(right) > MAX_EXPONENT or (not left and right < 0):
        return None
    bits = max(left.numerator.bit_length(), left.denominator.bit_length())
    return Fraction(left ** int(right)) if bits * abs(right) <= MAX_BITS else None


def _bounded(number: Fraction | None) -> Fraction | None:
    if number is None or max(number.numerator.bit_length(), number.denominator.bit_length()) > MAX_BITS:
        return None
    return number


def with_number(node: Node, number: Number) -> Node:
    """`node`, a number with signs and scales, about another number."""
    return Scaled(with_number(node.inner, number), node.factor) if isinstance(node, Scaled) else number
