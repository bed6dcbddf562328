"""Plots as inline SVG: small functions, no script, readable in greyscale and in print.

Every function returns a complete <svg> element; every text in it is escaped. Marks differ by shape and by lightness,
never by hue alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from symdistill.evaluation.figures import scaled, shorten

INK, MIDDLE, LIGHT, RULE = "#111", "#6b6b6b", "#c9c9c9", "#e4e4e4"
ACCENT = "#1d4f7a"
_WIDTH = 720.0
_CHARACTER = 6.1  # width of an average letter at 12 px


@dataclass(frozen=True, slots=True)
class Estimate:
    """A labelled share with its interval, 0 to 1; `cost` is its place on the horizontal axis of `scatter`."""

    label: str
    value: float
    low: float
    high: float
    cost: float = 0.0
    emphasis: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """A training history: values over steps."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]


class Drawing:
    """Collects SVG elements for the plots here and in `calibration_plots`.

    Coordinates are pixels from the top left corner.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self._title = shorten(title, 160)
        self._parts: list[str] = []

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str = INK, width: float = 1, dash: str = ""
    ) -> None:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width:g}"{dashes}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        anchor: str = "start",
        fill: str = INK,
        size: float = 12,
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        if halo:  # what is behind the words does not run through them
            weight += ' stroke="#fff" stroke-width="3" paint-order="stroke"'
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size:g}"{weight}>'
            f"{escape(words)}</text>"
        )

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> None:
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}" '
            f'fill="{fill}" stroke="{stroke}"/>'
        )

    def dot(self, x: float, y: float, radius: float, fill: str, stroke: str = INK) -> None:
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>'
        )

    def path(self, places: Sequence[tuple[float, float]], stroke: str, width: float, dash: str = "") -> None:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{_points(places)}" fill="none" stroke="{stroke}" stroke-width="{width:g}"{dashes} '
            'stroke-linejoin="round"/>'
        )

    def area(self, places: Sequence[tuple[float, float]], fill: str) -> None:
        self._parts.append(f'<polygon points="{_points(places)}" fill="{fill}"/>')

    def svg(self) -> Markup:
        # Everything but the title was put together from numbers and escaped text.
        title = escape(self._title)
        return Markup(
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}" '
            f'role="img" aria-label="{title}"><title>{title}</title>{"".join(self._parts)}</svg>'
        )


def intervals(estimates: Sequence[Estimate], title: str) -> Markup:
    """One line an estimate: a dot with its interval on an axis from 0 to 100%; a dashed line at the first emphasised
    estimate (the baseline), so that the others can be read against it."""
    label_width = min(260.0, max((_text_width(e.label) for e in estimates), default=0.0) + 14)
    left, right, row = label_width, _WIDTH - 24, 26.0
    bottom = 8 + row * len(estimates)
    drawing = Drawing(_WIDTH, bottom + 34, title)

    def x(share: float) -> float:
        return left + (right - left) * share

    for tick in range(0, 101, 20):
        drawing.line(x(tick / 100), 4, x(tick / 100), bottom, RULE)
        drawing.text(x(tick / 100), bottom + 18, f"{tick}%", "middle", MIDDLE, 11)
    baseline = next((e for e in estimates if e.emphasis), None)
    if baseline:
        drawing.line(x(baseline.value), 4, x(baseline.value), bottom, MIDDLE, 1, "3 3")
    for i, e in enumerate(estimates):
        y = 8 + row * (i + 0.5)
        drawing.text(left - 12, y + 4, shorten(e.label, 40), "end")
        drawing.line(x(e.low), y, x(e.high), y, INK, 1.6)
        for end in (e.low, e.high):
            drawing.line(x(end), y - 4, x(end), y + 4, INK, 1.6)
        drawing.dot(x(e.value), y, 4.6, "#fff" if e.emphasis else ACCENT)
    return drawing.svg()


def scatter(
    estimates: Sequence[Estimate], title: str, x_title: str, *, front: Sequence[tuple[float, float]] = ()
) -> Markup:
    """Shares with their intervals over a cost on a logarithmic axis; each mark carries its own label. `front` are
    (cost, share) that a stepped line joins."""
    height, left, right, top = 320.0, 46.0, _WIDTH - 24, 12.0
    bottom = height - 46
    drawing = Drawing(_WIDTH, height, title)
    low, high = _log_range([e.cost for e in estimates])

    def x(cost: float) -> float:
        return left + (right - left) * (math.log10(cost) - low) / (high - low)

    roof = min(1.0, math.ceil((max(e.high for e in estimates) + 0.04) * 10) / 10)

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / roof

    for tick in range(0, round(100 * roof) + 1, 10 if roof <= 0.6 else 20):
        drawing.line(left, y(tick / 100), right, y(tick / 100), RULE)
        drawing.text(left - 8, y(tick / 100) + 4, f"{tick}%", "end", MIDDLE, 11)
    for cost in _log_ticks(low, high):
        drawing.line(x(cost), bottom, x(cost), bottom + 4, MIDDLE)
        drawing.text(x(cost), bottom + 18, scaled(cost), "middle", MIDDLE, 11)
    drawing.line(left, bottom, right, bottom, MIDDLE)
    drawing.text((left + right) / 2, height - 8, x_title, "middle", MIDDLE, 11)
    marks = [(x(e.cost), y(e.value)) for e in estimates]
    for e, (px, _) in zip(estimates, marks, strict=True):
        drawing.line(px, y(e.low), px, y(e.high), LIGHT, 1.6)
    for (cost, share), (next_cost, next_share) in pairwise(front):
        drawing.path([(x(cost), y(share)), (x(next_cost), y(share)), (x(next_cost), y(next_share))], ACCENT, 1.4)
    for e, (px, py) in zip(estimates, marks, strict=True):
        drawing.dot(px, py, 4.6, "#fff" if e.emphasis else ACCENT)
    labels = [shorten(e.label, 32) for e in estimates]
    for label, (lx, ly, anchor) in zip(labels, _place_labels(labels, marks, left, right, top, bottom), strict=True):
        drawing.text(lx, ly, label, anchor, size=11.5, halo=True)
    return drawing.svg()


def curves(histories: Sequence[Curve], title: str) -> Markup:
    """Small multiples, three in a row, one vertical scale: every value thin, their running mean dark."""
    columns = min(3, len(histories))
    gap, left, panel_height = 26.0, 40.0, 150.0
    panel = (_WIDTH - left - gap * (columns - 1)) / columns if columns > 1 else _WIDTH * 0.6
    rows = math.ceil(len(histories) / columns)
    drawing = Drawing(_WIDTH, rows * (panel_height + 52), title)
    finite = [v for h in histories for v in h.values if math.isfinite(v)]
    roof = _round_up(sorted(finite)[min(len(finite) - 1, int(0.995 * len(finite)))]) if finite else 1.0
    for i, history in enumerate(histories):
        x0 = left + (i % columns) * (panel + gap)
        y0 = (i // columns) * (panel_height + 52) + 22
        last = max(history.steps, default=1.0) or 1.0
        drawing.text(x0, y0 - 8, shorten(history.label, 30), bold=True)
        for part in (0.0, 0.5, 1.0):
            y = y0 + panel_height * (1 - part)
            drawing.line(x0, y, x0 + panel, y, MIDDLE if part == 0 else RULE)
            if i % columns == 0:
                drawing.text(x0 - 6, y + 4, f"{roof * part:.3g}", "end", MIDDLE, 11)
        drawing.text(x0, y0 + panel_height + 16, "0", "middle", MIDDLE, 11)
        drawing.text(x0 + panel, y0 + panel_height + 16, f"{last:,.0f} steps", "end", MIDDLE, 11)
        steps, values = _thin_out(history)
        mean = _running_mean(values)
        for series, stroke, width in ((values, LIGHT, 1.0), (mean, ACCENT, 2.0)):
            places = [
                (x0 + panel * step / last, y0 + panel_height * (1 - min(1.0, max(0.0, value) / roof)))
                for step, value in zip(steps, series, strict=True)
            ]
            if len(places) == 1:
                drawing.dot(*places[0], 3, stroke, stroke)
            elif places:
                drawing.path(places, stroke, width)
    return drawing.svg()


def bars(values: Sequence[float], labels: Sequence[str], title: str, dark: Sequence[float] = ()) -> Markup:
    """A small column chart of counts, each with its number on top; `dark` is the part of each column drawn dark."""
    width, base, height = 42.0 * len(values) + 8, 84.0, 106.0
    drawing = Drawing(width, height, title)
    most = max([*values, 1])
    for i, (value, label) in enumerate(zip(values, labels, strict=True)):
        x = 4 + 42.0 * i
        tall = 62 * value / most
        drawing.rectangle(x + 5, base - tall, 32, tall, LIGHT, MIDDLE if value else "none")
        if dark and value:
            part = 62 * dark[i] / most
            drawing.rectangle(x + 5, base - part, 32, part, ACCENT, MIDDLE)
        drawing.text(x + 21, base - tall - 5, f"{value:g}", "middle", INK if value else MIDDLE, 11)
        drawing.text(x + 21, base + 15, label, "middle", MIDDLE, 10.5)
    drawing.line(4, base, width - 4, base, MIDDLE)
    return drawing.svg()


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _text_width(text: str) -> float:
    return _CHARACTER * len(shorten(text, 40))


def _round_up(value: float) -> float:
    """The next 1, 1.5, 2, 3, 4, 6 or 8 times a power of ten: a tidy end of an axis."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0) if step * power >= value * 0.9999)


def _log_range(costs: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis with some air; at least a factor of four wide."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.18, 0.35)
    return middle - half, middle + half


def _log_ticks(low: float, high: float) -> list[float]:
    steps = (1, 2, 5) if high - low < 2.2 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [s * 10.0**p for p in powers for s in steps if low <= math.log10(s * 10.0**p) <= high]


def _place_labels(
    labels: Sequence[str], marks: Sequence[tuple[float, float]], left: float, right: float, top: float, bottom: float
) -> list[tuple[float, float, str]]:
    """A place beside each mark: the first of a few candidates that meets no other label and no mark."""
    taken = [(px - 6, py - 6, px + 6, py + 6) for px, py in marks]
    places = []
    for label, (px, py) in zip(labels, marks, strict=True):
        wide = _CHARACTER * len(label)
        best: tuple[int, float, float, str, tuple[float, float, float, float]] | None = None
        for lift in (4.0, -9.0, 17.0, -22.0, 30.0, -35.0, 43.0):
            for anchor, lx, x1 in (("start", px + 9, px + 9), ("end", px - 9, px - 9 - wide)):
                box = (x1, py + lift - 10, x1 + wide, py + lift + 3)
                outside = box[0] < left or box[2] > right or box[1] < top - 8 or box[3] > bottom
                clashes = sum(_overlap(box, other) for other in taken) + 100 * outside
                if best is None or clashes < best[0]:
                    best = (clashes, lx, py + lift, anchor, box)
        assert best is not None
        places.append((best[1], best[2], best[3]))
        taken.append(best[4])
    return places


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _thin_out(curve: Curve, most: int = 240) -> tuple[list[float], list[float]]:
    """At most `most` points: means of equal stretches; values that are not finite are left out."""
    points = [(s, v) for s, v in zip(curve.steps, curve.values, strict=True) if math.isfinite(v)]
    size = max(1, math.ceil(len(points) / most))
    stretches = [points[i : i + size] for i in range(0, len(points), size)]
    return (
        [sum(s for s, _ in part) / len(part) for part in stretches],
        [sum(v for _, v in part) / len(part) for part in stretches],
    )


def _running_mean(values: Sequence[float]) -> list[float]:
    """The mean of each value and its neighbours, a twelfth of the curve to each side."""
    reach = len(values) // 12
    return [sum(part) / len(part) for i in range(len(values)) for part in [values[max(0, i - reach) : i + reach + 1]]]
