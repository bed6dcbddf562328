"""Plots of a grid: accuracy against operations with the Pareto front, and accuracy over what was varied.

Inline SVG like the other plots: no script, told apart by shape, dash and lightness, never by hue alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from symdistill.evaluation.figures import shorten
from symdistill.evaluation.grid import GridResult, Panel
from symdistill.evaluation.grid_arms import Arm, described
from symdistill.evaluation.plots import ACCENT, INK, LIGHT, MIDDLE, RULE, Drawing, Estimate, scatter
from symdistill.evaluation.seeds import Pooled

_WIDTH = 720.0
_COLUMNS = 3
_BAND = "#dfe5ea"


def pareto_front(arms: Sequence[Arm]) -> list[Arm]:
    """The arms that no other one beats: none is as accurate for fewer operations, or more accurate for as many.

    From the cheapest to the most accurate; arms whose operations are unknown are left out.
    """
    known = [arm for arm in arms if arm.costs.flops and arm.whole]
    front: list[Arm] = []
    for arm in sorted(known, key=lambda a: (a.costs.flops or 0.0, -(a.whole.accuracy if a.whole else 0.0))):
        best = front[-1].whole.accuracy if front and front[-1].whole else -1.0
        if arm.whole and arm.whole.accuracy > best:
            front.append(arm)
    return front


def pareto_plot(panel: Panel, title: str) -> Markup | None:
    """Accuracy against operations a question; the front is filled and joined. None for fewer than two arms."""
    arms = [arm for arm in panel.arms if arm.costs.flops and arm.whole]
    if len(arms) < 2:
        return None
    front = pareto_front(arms)
    estimates = [
        Estimate(
            panel.name(arm),
            arm.whole.accuracy,
            arm.whole.low,
            arm.whole.high,
            arm.costs.flops,
            emphasis=arm not in front,
        )
        for arm in arms
        if arm.whole and arm.costs.flops
    ]
    steps = [(arm.costs.flops, arm.whole.accuracy) for arm in front if arm.costs.flops and arm.whole]
    return scatter(estimates, title, "operations per question (logarithmic)", front=steps)


@dataclass(frozen=True, slots=True)
class Line:
    """Accuracies over one varied quantity, from the smallest on."""

    label: str
    places: Sequence[tuple[float, Pooled]]


def fraction_lines(result: GridResult, student: str) -> tuple[list[Line], list[Line]]:
    """Accuracy over the share of the training questions, a line an arm; and what does not depend on it."""
    lines: dict[str, list[tuple[float, Pooled]]] = {}
    flat: dict[str, Pooled] = {}
    for panel in result.panels:
        for arm in panel.arms if panel.student == student else ():
            if arm.whole is not None and arm.fraction is None:
                flat[panel.name(arm)] = arm.whole
            elif arm.whole is not None and arm.fraction is not None:
                lines.setdefault(panel.name(arm), []).append((arm.fraction, arm.whole))
    return _drawn(lines, flat)


def varied_lines(panel: Panel, key: str) -> tuple[list[Line], list[Line]]:
    """Accuracy over the numbers of the varied setting `key`; and the arms that it does not concern."""
    lines: dict[str, list[tuple[float, Pooled]]] = {}
    flat: dict[str, Pooled] = {}
    for arm in panel.arms:
        if arm.whole is None:
            continue
        if key not in arm.vary:
            flat[panel.name(arm)] = arm.whole
            continue
        rest = described({k: v for k, v in arm.vary.items() if k != key})
        how = [arm.how] if panel.name(arm) != arm.name else []
        label = ", ".join([arm.method, *rest, *how])
        lines.setdefault(label, []).append((float(arm.vary[key]), arm.whole))
    return _drawn(lines, flat)


def numeric_keys(result: GridResult) -> list[str]:
    """The varied settings that are numbers everywhere, and several of them."""
    keys = dict.fromkeys(key for arm in result.arms for key in arm.vary)
    found = []
    for key in keys:
        values = {arm.vary[key] for arm in result.arms if key in arm.vary}
        if len(values) > 1 and all(_is_number(value) for value in values):
            found.append(key)
    return found


def line_plot(lines: Sequence[Line], flat: Sequence[Line], title: str, *, percent: bool = False) -> Markup | None:
    """Small multiples on one scale: each line with the band of its intervals, all others thin behind it; dashed: what
    does not depend on the axis. None where there is nothing to join.

    `percent`: the axis is a share and shown in percent.
    """
    if not any(len(line.places) > 1 for line in lines):
        return None
    columns = min(_COLUMNS, len(lines))
    gap, left, right, panel_height, head = 40.0, 44.0, 20.0, 150.0, 22.0
    wide = (_WIDTH - left - right - gap * (columns - 1)) / columns if columns > 1 else _WIDTH * 0.6
    rows = math.ceil(len(lines) / columns)
    drawing = Drawing(_WIDTH, rows * (panel_height + 56), title)
    ticks = sorted({x for line in lines for x, _ in line.places})
    scale = _Scale(ticks, _roof([*lines, *flat]), wide, panel_height)
    for number, line in enumerate(lines):
        x0 = left + (number % columns) * (wide + gap)
        y0 = (number // columns) * (panel_height + 56) + head
        lows = [(x0 + scale.x(x), y0 + scale.y(p.low)) for x, p in line.places]
        highs = [(x0 + scale.x(x), y0 + scale.y(p.high)) for x, p in line.places]
        drawing.area([*lows, *reversed(highs)], _BAND)
        _frame(drawing, scale, x0, y0, line.label, ticks, labelled=number % columns == 0, percent=percent)
        for other in lines:
            if other is not line:
                drawing.path(scale.places(other, x0, y0), LIGHT, 1.2)
        for level in flat:
            y = y0 + scale.y(level.places[0][1].accuracy)
            drawing.line(x0, y, x0 + wide, y, MIDDLE, 1, "3 3")
        drawing.path(scale.places(line, x0, y0), ACCENT, 2.2)
        for x, y in scale.places(line, x0, y0):
            drawing.dot(x, y, 3.4, ACCENT)
    return drawing.svg()


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a value lies in a panel. The horizontal axis is logarithmic where its values span a factor of eight."""

    ticks: Sequence[float]
    roof: float
    wide: float
    tall: float

    def x(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        if low > 0 and high / low >= 8:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.wide * ((value - low) / (high - low) if high > low else 0.5)

    def y(self, share: float) -> float:
        return self.tall * (1 - min(share, self.roof) / self.roof)

    def places(self, line: Line, x0: float, y0: float) -> list[tuple[float, float]]:
        return [(x0 + self.x(x), y0 + self.y(p.accuracy)) for x, p in line.places]


def _frame(
    drawing: Drawing,
    scale: _Scale,
    x0: float,
    y0: float,
    label: str,
    ticks: Sequence[float],
    *,
    labelled: bool,
    percent: bool,
) -> None:
    """A panel's name, its horizontal rules and its ticks; ticks that would touch are left out."""
    drawing.text(x0, y0 - 8, shorten(label, 32 if scale.wide < 400 else 60), bold=True)
    for part in (0.0, 0.5, 1.0):
        y = y0 + scale.tall * (1 - part)
        drawing.line(x0, y, x0 + scale.wide, y, MIDDLE if part == 0 else RULE)
        if labelled:
            drawing.text(x0 - 6, y + 4, f"{100 * scale.roof * part:.0f}%", "end", MIDDLE, 11)
    free = -math.inf
    for tick in ticks:
        x = x0 + scale.x(tick)
        drawing.line(x, y0 + scale.tall, x, y0 + scale.tall + 4, MIDDLE)
        words = f"{100 * tick:g}%" if percent else f"{tick:g}"
        if x - 3.2 * len(words) >= free:
            drawing.text(x, y0 + scale.tall + 18, words, "middle", INK, 11)
            free = x + 3.2 * len(words) + 4


def _drawn(lines: dict[str, list[tuple[float, Pooled]]], flat: dict[str, Pooled]) -> tuple[list[Line], list[Line]]:
    return (
        [Line(label, sorted(places, key=lambda place: place[0])) for label, places in lines.items()],
        [Line(label, [(0.0, level)]) for label, level in flat.items()],
    )


def _roof(lines: Sequence[Line]) -> float:
    """The end of the vertical axis: the next tenth above every interval."""
    highest = max((p.high for line in lines for _, p in line.places), default=1.0)
    return min(1.0, math.ceil(highest * 10 + 1e-9) / 10)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
