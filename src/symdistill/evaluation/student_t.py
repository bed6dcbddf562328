"""Student's t distribution, for numbers of degrees of freedom that need not be whole."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL_FROM = 1e7  # degrees of freedom from which the normal distribution is the same to ten digits


def t_tails(t: float, degrees: float) -> float:
    """The probability of a value at least as far from 0 as `t`, on either side.

    Raises:
        ValueError: `degrees` is not above 0.
    """
    if not degrees > 0:
        raise ValueError(f"{degrees} degrees of freedom: there must be some")
    if degrees >= _NORMAL_FROM:
        return 2 * NormalDist().cdf(-abs(t))
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def t_quantile(confidence: float, degrees: float) -> float:
    """The t between whose negative and positive value lies `confidence` of the distribution.

    Raises:
        ValueError: `confidence` is not between 0 and 1, or `degrees` not above 0.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence} is not between 0 and 1")
    if degrees >= _NORMAL_FROM:
        return NormalDist().inv_cdf(0.5 + confidence / 2)
    outside = 1 - confidence
    low, high = 0.0, 1.0
    while t_tails(high, degrees) > outside:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tails(middle, degrees) > outside else (low, middle)
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by the continued fraction on the side where it converges quickly."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(log_front)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, from the front (Lentz's method)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 1000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + term / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
