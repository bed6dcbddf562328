"""Plots of a gate's calibration: what every threshold does, reliability, risk over coverage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from symdistill.evaluation.calibration import Calibration
from symdistill.evaluation.figures import count, percent
from symdistill.evaluation.gating import Score, top_of
from symdistill.evaluation.plots import ACCENT, INK, LIGHT, MIDDLE, RULE, Drawing
from symdistill.evaluation.statistics import wilson

_LEFT, _RIGHT, _WIDTH = 50.0, 704.0, 720.0
_TOP, _PANEL, _GAP = 26.0, 110.0, 40.0
_SIDE = 250.0
_BAND = "#e3e8ed"
_MOST_POINTS = 400

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class _Strip:
    """One quantity over the threshold: its values, the ends of its axis, and a value in words."""

    name: str
    values: Sequence[float]
    chosen: float
    low: float
    high: float
    words: Callable[[float], str]


def threshold_plot(calibration: Calibration, title: str, in_use: float | None = None) -> Markup:
    """Accuracy, retrieval rate and prompt tokens over the threshold: three strips above one axis.

    Each line is a step function: it changes where the threshold passes the score of a dev question. Below all scores
    nothing is asked again, above them everything is; the axis ends there. The vertical line is the chosen threshold,
    the thick part of the axis where 95% of resamples put it, the band around accuracy its 95% Wilson interval, the
    dashed line in the last strip the prompt tokens of asking with knowledge at once. A dashed vertical line marks the
    threshold `in_use`, where that is another one.
    """
    c = calibration
    points = [c.curve[i] for i in _spread_out(len(c.curve))]
    x, ticks = _threshold_scale(c)
    bands = [wilson(round(p.accuracy * c.n), c.n) for p in points]
    most_tokens = max(p.prompt_tokens for p in c.curve)
    chosen = c.choice.point
    strips = [
        _Strip(
            "accuracy",
            [p.accuracy for p in points],
            chosen.accuracy,
            math.floor(10 * min(b.low for b in bands)) / 10,
            math.ceil(10 * max(b.high for b in bands)) / 10,
            lambda share: f"{percent(share)}%",
        ),
        _Strip(
            "asked again with knowledge",
            [p.retrieval_rate for p in points],
            chosen.retrieval_rate,
            0.0,
            1.0,
            lambda share: f"{percent(share)}%",
        ),
        _Strip(
            "prompt tokens a question",
            [p.prompt_tokens for p in points],
            chosen.prompt_tokens,
            0.0,
            max(1.0, most_tokens * 1.08),
            lambda tokens: f"{tokens:,.0f}",
        ),
    ]
    bottom = _TOP + len(strips) * _PANEL + (len(strips) - 1) * _GAP
    drawing = Drawing(_WIDTH, bottom + 58, title)
    edges = [_LEFT, *(x(p.threshold) for p in points[1:]), _RIGHT]
    for i, strip in enumerate(strips):
        top = _TOP + i * (_PANEL + _GAP)
        y = _vertical(strip, top)
        _frame(drawing, strip, top, y)
        if i == 0:
            upper = _steps(edges, [y(b.high) for b in bands])
            drawing.area([*upper, *reversed(_steps(edges, [y(b.low) for b in bands]))], _BAND)
        if i == 2:
            at_once = y(c.always.prompt_tokens)
            drawing.line(_LEFT, at_once, _RIGHT, at_once, MIDDLE, 1.2, "4 3")
        drawing.path(_steps(edges, [y(v) for v in strip.values]), ACCENT, 1.8)
        mark = _mark(c, x, c.threshold)
        drawing.line(mark, top - 3, mark, top + _PANEL, INK, 1)
        if in_use is not None:
            other = _mark(c, x, in_use)
            drawing.line(other, top - 3, other, top + _PANEL, INK, 1, "2 3")
        drawing.dot(mark, y(strip.chosen), 4, "#fff")
    _threshold_axis(drawing, c, x, ticks, bottom, in_use)
    return drawing.svg()


def reliability_plot(calibration: Calibration, title: str) -> Markup:
    """For each bin the share that was right, with its interval, over the mean confidence; on the dashed diagonal a
    confidence keeps its promise."""
    bins = calibration.reliability
    least = math.floor(10 * min(0.9, bins[0].least)) / 10
    drawing, x, y = _square(title, least, "confidence", "right")
    drawing.line(x(least), y(least), x(1), y(1), MIDDLE, 1, "3 3")
    for b in bins:
        drawing.line(x(b.confidence), y(b.low), x(b.confidence), y(b.high), LIGHT, 2)
    for b in bins:
        drawing.dot(x(b.confidence), y(b.accuracy), 4, ACCENT)
    return drawing.svg()


def risk_plot(calibration: Calibration, title: str) -> Markup:
    """The share of wrong replies among those kept, the surest first; dashed: what keeping at random gives. The open
    circle is the chosen threshold."""
    curve = calibration.risk_coverage
    drawing, x, y = _square(title, 0.0, "share answered directly, surest first", "wrong")
    drawing.line(x(0), y(curve[-1].risk), x(1), y(curve[-1].risk), MIDDLE, 1, "3 3")
    places = [(x(curve[i].coverage), y(curve[i].risk)) for i in _spread_out(len(curve))]
    if len(places) > 1:
        drawing.path(places, ACCENT, 1.8)
    else:
        drawing.dot(*places[0], 4, ACCENT)
    # The gate's curve has a point more: keeping nothing, where there is no risk to tell.
    kept = len(curve) - calibration.curve.index(calibration.choice.point)
    if kept:
        drawing.dot(x(curve[kept - 1].coverage), y(curve[kept - 1].risk), 4, "#fff")
    return drawing.svg()


def _spread_out(n: int, most: int = _MOST_POINTS) -> list[int]:
    """At most `most` of the places 0 to n - 1, both ends among them."""
    return list(range(n)) if n <= most else [round(i * (n - 1) / (most - 1)) for i in range(most)]


def _threshold_scale(c: Calibration) -> tuple[Scale, list[float]]:
    """Thresholds to pixels: the range of the scores with some air, everything outside at its end; and the ticks."""
    low, high = c.curve[1].threshold, c.curve[-1].threshold
    air = max(0.06 * (high - low), 0.005 * top_of(c.score))
    low, high = low - air, high + air
    step = _step((high - low) / 6)
    ticks = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]

    def x(threshold: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(1.0, max(0.0, (threshold - low) / (high - low)))

    return x, [tick for tick in ticks if 0 < tick < top_of(c.score)]


def _mark(c: Calibration, x: Scale, threshold: float) -> float:
    """Where a threshold to use stands: 0 and the top mean never and always, wherever the scores lie."""
    return _LEFT if threshold == 0 else _RIGHT if threshold >= top_of(c.score) else x(threshold)


def _threshold_axis(
    drawing: Drawing, c: Calibration, x: Scale, ticks: Sequence[float], bottom: float, in_use: float | None
) -> None:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9)) if len(ticks) > 1 else 1
    for tick in ticks:
        drawing.line(x(tick), bottom, x(tick), bottom + 4, MIDDLE)
        if _LEFT + 56 < x(tick) < _RIGHT - 60:
            drawing.text(x(tick), bottom + 17, f"{tick:.{digits}f}", "middle", MIDDLE, 11)
    drawing.text(_LEFT, bottom + 17, "never", "start", MIDDLE, 11)
    drawing.text(_RIGHT, bottom + 17, "always", "end", MIDDLE, 11)
    stable = [_mark(c, x, at) for at in (c.choice.threshold_low, c.choice.threshold_high)]
    drawing.line(stable[0], bottom, stable[1], bottom, INK, 3)
    label = f"chosen: {threshold_words(c.threshold, c.score)}"
    if in_use is not None:
        label += f" · in use: {threshold_words(in_use, c.score)}"
    half = 3.4 * len(label)
    drawing.text(
        min(_RIGHT - half, max(_LEFT + half, _mark(c, x, c.threshold))), bottom + 34, label, "middle", bold=True
    )
    drawing.text((_LEFT + _RIGHT) / 2, bottom + 52, f"threshold of the gate ({c.score})", "middle", MIDDLE, 11)


def threshold_words(threshold: float, score: Score) -> str:
    """A threshold for a reader: "never", "always", "96.6", with as many digits as its scale needs."""
    top = top_of(score)
    if threshold == 0 or threshold >= top:
        return "never" if threshold == 0 else "always"
    digits = 1 if top > 1 else 3
    # Close to an end another digit or two keep it apart from that end.
    while digits < 6 and not 0 < float(f"{threshold:.{digits}f}") < top:
        digits += 1
    return f"{threshold:.{digits}f}"


def _vertical(strip: _Strip, top: float) -> Scale:
    return lambda value: top + _PANEL * (1 - (value - strip.low) / (strip.high - strip.low))


def _frame(drawing: Drawing, strip: _Strip, top: float, y: Scale) -> None:
    """Name, the three values a reader looks for, grid and axis."""
    drawing.text(_LEFT, top - 9, strip.name, bold=True)
    told = [("never", strip.values[0]), ("chosen", strip.chosen), ("always", strip.values[-1])]
    drawing.text(_RIGHT, top - 9, " · ".join(f"{name} {strip.words(value)}" for name, value in told), "end", MIDDLE, 11)
    step = _step((strip.high - strip.low) / 3)
    for i in range(math.ceil(strip.low / step - 1e-9), math.floor(strip.high / step + 1e-9) + 1):
        drawing.line(_LEFT, y(i * step), _RIGHT, y(i * step), RULE)
        text = f"{100 * i * step:.0f}%" if strip.high <= 1 else count(i * step)
        drawing.text(_LEFT - 7, y(i * step) + 4, text, "end", MIDDLE, 11)
    drawing.line(_LEFT, top + _PANEL, _RIGHT, top + _PANEL, MIDDLE)


def _steps(edges: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Each value from its edge to the next."""
    return [
        place
        for (left, right), value in zip(pairwise(edges), values, strict=True)
        for place in ((left, value), (right, value))
    ]


def _square(title: str, least: float, x_title: str, y_title: str) -> tuple[Drawing, Scale, Scale]:
    """A square of shares; the horizontal axis starts at `least`."""
    left, top = 46.0, 22.0
    drawing = Drawing(left + _SIDE + 24, top + _SIDE + 42, title)

    def x(share: float) -> float:
        return left + _SIDE * (share - least) / (1 - least)

    def y(share: float) -> float:
        return top + _SIDE * (1 - share)

    for tick in range(0, 101, 20):
        drawing.line(left, y(tick / 100), left + _SIDE, y(tick / 100), MIDDLE if tick == 0 else RULE)
        drawing.text(left - 7, y(tick / 100) + 4, f"{tick}%", "end", MIDDLE, 11)
    step = 20 if least < 0.5 else 10 if least < 0.8 else 5
    for tick in range(100, round(100 * least) - 1, -step):
        drawing.line(x(tick / 100), top + _SIDE, x(tick / 100), top + _SIDE + 4, MIDDLE)
        drawing.text(x(tick / 100), top + _SIDE + 17, f"{tick}%", "middle", MIDDLE, 11)
    drawing.text(left, top - 9, y_title, "start", MIDDLE, 11)
    drawing.text(left + _SIDE / 2, top + _SIDE + 36, x_title, "middle", MIDDLE, 11)
    return drawing, x, y


def _step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(s * power for s in (1.0, 2.0, 5.0, 10.0) if s * power >= rough * 0.9999)
