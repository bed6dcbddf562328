"""The grid's report.html: one offline page, made like that of a run (see `report`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from markupsafe import Markup

from symdistill.evaluation import plots
from symdistill.evaluation.figures import clean, p_value, percent, points, scaled
from symdistill.evaluation.grid import GridResult, Panel
from symdistill.evaluation.grid_arms import Arm
from symdistill.evaluation.grid_plots import fraction_lines, line_plot, numeric_keys, pareto_plot, varied_lines
from symdistill.evaluation.grid_tables import (
    contrast_table,
    costs_table,
    domains_table,
    footnote,
    fractions_table,
    pairs_table,
    panel_title,
    results_table,
    seeds_table,
    tasks_table,
)
from symdistill.evaluation.metrics import TEACHER
from symdistill.evaluation.report import MAX_BYTES, environment, write_page

_MOST_PAIRS = 120
_MOST_COLUMNS = 12  # of the table by task
_MOST_CELLS = 60


@dataclass(frozen=True, slots=True)
class GridReport:
    """Everything the page says. `command` repeats it; `config` is the grid's configuration as YAML."""

    title: str
    command: str
    result: GridResult
    config: str = ""
    created: date | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)


def write_grid_report(report: GridReport, path: Path) -> None:
    """Write the page, whole or not at all. Raises RunDirectoryError."""
    write_page(render_grid_report(report), path, "Choose another --output.")


def render_grid_report(report: GridReport) -> str:
    """The page as text, below `report.MAX_BYTES` in UTF-8: where it would not be, the tables of detail go."""
    template = environment().get_template("grid.html.j2")
    page = template.render(**_sections(report, detailed=True))
    return page if len(page.encode("utf-8")) <= MAX_BYTES else template.render(**_sections(report, detailed=False))


def headline(result: GridResult, panel: Panel) -> str:
    """What came out for one student, in a sentence."""
    done = [arm for arm in panel.arms if arm.whole and arm.method != TEACHER]
    if not done:
        return "No run of this grid is finished yet."
    ranked = [one for one in panel.against if one.first.method != TEACHER]
    level = f"{100 * result.confidence:g}% interval"
    on = f"the {result.n:,} held-out questions"
    if not ranked:
        best = max(done, key=_accuracy)
        return f"{panel.name(best)} answers {_share(best)} of {on} correctly ({level} {_range(best)})."
    top = max(ranked, key=lambda one: (_accuracy(one.first), -one.first.samples))
    base, best_name, base_name = top.second, panel.name(top.first), panel.name(top.second)
    gap = f"{points(top.found.difference)} points against {base_name} with {_share(base)} ({p_value(top.p_holm)})"
    clear = top.p_holm < 1 - result.confidence
    if top.found.difference <= 0:
        best_other = f"The best other, {best_name}, answers {_share(top.first)} of {on}"
        return f"No method beats {base_name}. {best_other}: {gap}."
    doubt = "" if clear else ": a lead that these questions and seeds cannot tell from chance"
    return f"{best_name} answers {_share(top.first)} of {on} correctly ({level} {_range(top.first)}), {gap}{doubt}."


def _accuracy(arm: Arm) -> float:
    return arm.whole.accuracy if arm.whole else -1.0


def _share(arm: Arm) -> str:
    return f"{percent(_accuracy(arm))}%"


def _range(arm: Arm) -> str:
    assert arm.whole is not None
    return f"{percent(arm.whole.low)} to {percent(arm.whole.high)}%"


def _sections(report: GridReport, *, detailed: bool) -> dict[str, Any]:
    result = report.result
    states = Counter(cell.state for cell in result.cells)
    main = result.main
    others = [panel for panel in result.panels if panel not in main]
    return {
        "title": clean(report.title, 200),
        "created": report.created.isoformat() if report.created else "",
        "headlines": [_headline(result, panel) for panel in main],
        "notes": [clean(note, 600) for note in result.notes],
        "counts": [(state, states[state]) for state in ("finished", "failed", "missing") if states[state]],
        "cells": len(result.cells),
        "unfinished": [
            (clean(c.title, 200), c.state, clean(c.error, 600)) for c in result.cells if c.state != "finished"
        ][:_MOST_CELLS],
        "n": result.n,
        "domains": [clean(", ".join(domain), 800) for domain in result.domains],
        "apart": all(result.domains),
        "level": f"{100 * result.confidence:g}%",
        "baseline": clean(result.baseline, 120),
        "panels": [_panel(panel, result, detailed) for panel in main],
        "others": [_brief(panel, result) for panel in others] if detailed else [],
        "curves": _curves(result),
        "teacher_asked": any(arm.method == TEACHER for arm in result.arms),
        "votes": sorted({arm.samples for arm in result.arms if arm.decoding == "vote"}),
        "several_seeds": result.seeds > 1,
        "provenance": [(clean(k, 80), clean(v, 300)) for k, v in report.provenance.items()],
        "config": clean(report.config, 60_000),
        "command": clean(report.command, 2000),
    }


def _headline(result: GridResult, panel: Panel) -> str:
    named = f"{panel.student}: " if len(result.students) > 1 else ""
    return clean(f"{named}{headline(result, panel)}", 1000)


def _panel(panel: Panel, result: GridResult, detailed: bool) -> Mapping[str, Any]:
    """Everything about the main panel of a student."""
    name = panel_title(panel, result)
    by_task = tasks_table(panel, result)
    return {
        **_brief(panel, result),
        "plot": _intervals(panel, name),
        "pareto": pareto_plot(panel, f"Accuracy against operations per question{f': {name}' if name else ''}"),
        "prices": _prices(panel),
        "costs": costs_table(panel),
        "domains": domains_table(panel, result),
        "contrast": contrast_table(panel),
        "tasks": by_task if by_task and len(by_task[0]) <= _MOST_COLUMNS else [],
        "seeds": seeds_table(panel),
        "pairs": pairs_table(panel)[: _MOST_PAIRS + 1] if detailed and len(panel.pairs) > 1 else [],
    }


def _brief(panel: Panel, result: GridResult) -> Mapping[str, Any]:
    return {
        "title": clean(panel_title(panel, result), 200),
        "results": results_table(panel, result),
        "base": [f"{arm.name}, {arm.how}" for arm in panel.baselines][:1],
        "footnote": footnote(panel, result),
    }


def _intervals(panel: Panel, name: str) -> Markup | None:
    """Accuracies with their intervals; the dashed line is the baseline's."""
    found = [
        plots.Estimate(
            panel.name(arm), arm.whole.accuracy, arm.whole.low, arm.whole.high, emphasis=arm in panel.baselines
        )
        for arm in panel.arms
        if arm.whole
    ]
    return (
        plots.intervals(found, f"Accuracy of each method with its interval{f': {name}' if name else ''}")
        if found
        else None
    )


def _prices(panel: Panel) -> str:
    """What the most accurate answer costs beside the baseline's, in words."""
    priced = [one for one in panel.against if one.first.costs.flops and one.second.costs.flops]
    if not priced:
        return ""
    top = max(priced, key=lambda one: _accuracy(one.first))
    first, base = top.first.costs.flops or 0.0, top.second.costs.flops or 1.0
    return (
        f"An answer of {panel.name(top.first)} takes {scaled(first)}FLOP, {_ratio(first / base)} that of "
        f"{panel.name(top.second)} ({scaled(base)}FLOP)."
    )


def _ratio(ratio: float) -> str:
    return f"{percent(ratio, 0)}% of" if ratio < 0.95 else f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def _curves(result: GridResult) -> list[Mapping[str, Any]]:
    """The plots over what was varied in numbers: the share of the data first."""
    found: list[Mapping[str, Any]] = []
    for student in result.students:
        named = f", {student}" if len(result.students) > 1 else ""
        lines, flat = fraction_lines(result, student)
        title = f"Accuracy against the share of training questions{named}"
        found.append(
            {
                "title": title,
                "plot": line_plot(lines, flat, title, percent=True),
                "flat": _names(flat),
                "table": fractions_table(result, student),
            }
        )
    for key in numeric_keys(result):
        for panel in result.main:
            named = f", {panel.student}" if len(result.students) > 1 else ""
            lines, flat = varied_lines(panel, key)
            title = f"Accuracy against {key}{named}"
            found.append(
                {"title": clean(title, 160), "plot": line_plot(lines, flat, title), "flat": _names(flat), "table": []}
            )
    return [curve for curve in found if curve["plot"] is not None]


def _names(lines: Sequence[Any]) -> str:
    return clean(", ".join(line.label for line in lines), 400)
