"""What stands in each section of the report, from the run's data; the template only sets it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from symdistill.evaluation import plots
from symdistill.evaluation.comparison import Comparison
from symdistill.evaluation.failures import failure_section, vote_section
from symdistill.evaluation.figures import NOTHING, accuracy_interval, clean, count, dollars, duration, percent
from symdistill.evaluation.metrics import TEACHER, MetricRow, decoding_name
from symdistill.evaluation.outcome import outcome
from symdistill.evaluation.report_calibration import calibration_section
from symdistill.evaluation.report_data import CurationSummary, Limits, ReportData, TrainingHistory
from symdistill.evaluation.report_knowledge import knowledge_section
from symdistill.evaluation.report_retrieval import retrieval_section
from symdistill.evaluation.report_rounds import rounds_section
from symdistill.evaluation.report_symbolic import symbolic_section
from symdistill.evaluation.retention import retained_table
from symdistill.evaluation.tables import Table, metrics_table, pairs_table

_CONFIG_CHARACTERS = 60_000
_METHODS = 12


def sections(data: ReportData, limits: Limits) -> dict[str, Any]:
    """The template's variables."""
    main = [r for r in data.rows if r.task is None and r.part is None][: limits.listed]
    comparison = data.comparison
    return {
        "title": clean(data.title, 200),
        "created": data.created.isoformat() if data.created else "",
        "student": clean(data.student, 200),
        "teacher": data.teacher,
        "outcome": outcome(main, comparison),
        "notes": [clean(n, limits.text) for n in (*data.notes, *(comparison.notes if comparison else ()))][
            : limits.listed
        ],
        "tasks": data.tasks[: limits.listed],
        "text_limit": limits.text,
        "rows": main,
        "confidence": f"{100 * main[0].confidence:g}%" if main else "95%",
        "vote": max((r.samples for r in main if r.decoding == "vote"), default=0),
        "teacher_asked": any(r.method == TEACHER for r in main),
        "n": comparison.n if comparison else max((r.n for r in main), default=0),
        "results": metrics_table(main, comparison),
        "comparison": comparison,
        "pairs": pairs_table(comparison)[: limits.listed + 1] if comparison and len(comparison.standings) > 2 else [],
        "accuracy_plot": _accuracy_plot(main, comparison),
        "by_task": _by_task(data.rows, limits),
        "contrast": [r for r in data.rows if r.part is not None][: limits.listed],
        "flops_plot": _flops_plot(main, comparison),
        "costs": _costs(data, main),
        "curation": [_curation(c, limits) for c in data.curation[: limits.listed]],
        "histories": [_history(h) for h in data.histories[: limits.listed] if h.points],
        "loss_plot": _loss_plot(data.histories[:12]),
        "votes": vote_section(data),
        "failures": failure_section(data, limits),
        "knowledge": knowledge_section(data.knowledge, limits) if data.knowledge else None,
        "reinforced": [rounds_section(r) for r in data.reinforced[: limits.calibrations]],
        "symbolic": [symbolic_section(s) for s in data.symbolic[: limits.calibrations]],
        "retained": retained_table(main),
        "retrievals": [retrieval_section(r, data.rows) for r in data.retrievals[: limits.calibrations]],
        "calibrations": [calibration_section(c) for c in data.calibrations[: limits.calibrations]],
        "provenance": [(clean(k, 80), clean(v, 200)) for k, v in data.provenance.items()][: limits.listed],
        "config": clean(data.config, _CONFIG_CHARACTERS),
        "command": clean(data.command, 2000),
    }


def _is_baseline(row: MetricRow, comparison: Comparison | None) -> bool:
    if comparison is None or len(comparison.standings) == 1:
        return False
    base = comparison.standing(comparison.baseline)
    return (row.method, row.decoding, row.samples) == (base.method, base.decoding, base.samples)


def _estimates(rows: Sequence[MetricRow], comparison: Comparison | None) -> list[plots.Estimate]:
    return [
        plots.Estimate(
            label=f"{r.method}, {decoding_name(r)}",
            value=r.accuracy,
            low=r.ci_low,
            high=r.ci_high,
            cost=r.flops or 0.0,
            emphasis=_is_baseline(r, comparison),
        )
        for r in rows
    ]


def _accuracy_plot(rows: Sequence[MetricRow], comparison: Comparison | None) -> Markup | None:
    return plots.intervals(_estimates(rows, comparison), "Accuracy of each method with its interval") if rows else None


def _flops_plot(rows: Sequence[MetricRow], comparison: Comparison | None) -> Markup | None:
    priced = [e for e in _estimates(rows, comparison) if e.cost > 0]
    if len(priced) < 2:
        return None
    return plots.scatter(priced, "Accuracy against operations per question", "operations per question (logarithmic)")


def _loss_plot(histories: Sequence[TrainingHistory]) -> Markup | None:
    shown = [
        plots.Curve(h.method, [p["step"] for p in h.points], [p["loss"] for p in h.points])
        for h in histories
        if h.points
    ]
    return plots.curves(shown, "Training loss of each method over its optimiser steps") if shown else None


def _by_task(rows: Sequence[MetricRow], limits: Limits) -> Table:
    """Accuracy with intervals: a line a task, a column a method; empty where there is only one task."""
    found = [r for r in rows if r.task is not None and r.part is None]
    tasks = list(dict.fromkeys(r.task or "" for r in found))[: limits.listed]
    ways = list(dict.fromkeys((r.method, decoding_name(r)) for r in found))[: limits.listed]
    if len(tasks) < 2:
        return []
    cells = {(r.task, r.method, decoding_name(r)): r for r in found}
    table = [["task", "n", *(f"{method}, {how}" for method, how in ways)]]
    for task in tasks:
        here = [cells.get((task, *way)) for way in ways]
        table.append(
            [
                task,
                str(max(r.n for r in here if r)),
                *(accuracy_interval(r.accuracy, r.ci_low, r.ci_high) if r else NOTHING for r in here),
            ]
        )
    return table


def _costs(data: ReportData, rows: Sequence[MetricRow]) -> Table:
    """Stage, tokens, time, money; the last line sums what was measured."""
    lines: list[tuple[str, float | None, float | None, float | None]] = []
    if data.teacher:
        t = data.teacher
        lines.append(
            (
                f"{count(t.replies)} replies of the teacher",
                t.prompt_tokens + t.generated_tokens,
                t.seconds,
                t.cost_usd,
            )
        )
    for n in data.noted[:_METHODS]:
        stage = f"{count(n.replies)} replies of the teacher for the notes of {clean(n.method, 80)}"
        lines.append((stage, n.tokens, None, n.cost_usd))
    for h in data.histories:
        if h.points:
            last = h.points[-1]
            lines.append((f"training {h.method}", last.get("tokens"), last.get("seconds"), None))
    for summary in data.retrievals:
        if summary.reranker:
            stage = f"training the reranker of {clean(summary.method, 80)}"
            lines.append((stage, None, summary.reranker.get("seconds"), None))
    for r in rows:
        tokens = r.n * (r.prompt_tokens - (r.cached_prompt_tokens or 0) + r.generated_tokens)
        lines.append((f"evaluating {r.method}, {decoding_name(r)}", tokens, r.seconds, r.cost_usd or None))
    table = [[stage, count(t), duration(s), dollars(usd)] for stage, t, s, usd in lines]
    if len(lines) > 1:
        sums = [sum(line[i] or 0.0 for line in lines if isinstance(line[i], int | float)) for i in (1, 2, 3)]  # type: ignore[misc]
        table.append(["together", count(sums[0]), duration(sums[1]), dollars(sums[2])])
    return table


def _curation(summary: CurationSummary, limits: Limits) -> Mapping[str, Any]:
    """Kept and dropped with shares, and for each task how the shares of kept samples spread over its questions."""
    total = summary.kept + sum(summary.dropped.values())
    reasons = sorted(summary.dropped.items(), key=lambda item: -item[1])
    spreads = []
    for task, shares in list(summary.shares_kept.items())[: limits.listed]:
        if shares:
            spreads.append({"task": clean(task, 80), "n": len(shares), "plot": _spread(task, shares)})
    shares_all = [s for shares in summary.shares_kept.values() for s in shares]
    lost = sum(s == 0 for s in shares_all)
    hard = sum(0 < s <= 0.5 for s in shares_all)
    return {
        "methods": clean(", ".join(summary.methods), 200),
        "kept": summary.kept,
        "total": total,
        "share": percent(summary.kept / total, 0) if total else NOTHING,
        "dropped": [(clean(k, 80), v, percent(v / total)) for k, v in reasons],
        "spreads": spreads,
        "questions": len(shares_all),
        "lost": lost,
        "lost_share": percent(lost / len(shares_all), 0) if shares_all else NOTHING,
        "hard": hard,
        "hard_share": percent(hard / len(shares_all), 0) if shares_all else NOTHING,
    }


def _spread(task: str, shares: Sequence[float]) -> Markup:
    """Questions by the share of their samples that was kept; the ends stand alone: none, and all."""
    bins = [0] * 6
    for share in shares:
        bins[0 if share <= 0 else 5 if share >= 1 else math.ceil(share * 4 - 1e-9)] += 1
    labels = ["none", "≤25%", "≤50%", "≤75%", "<100%", "all"]
    return plots.bars(
        bins, labels, f"Questions of {task} by the share of their samples kept", dark=[bins[0], 0, 0, 0, 0, 0]
    )


def _history(history: TrainingHistory) -> Mapping[str, Any]:
    first, last = history.points[0], history.points[-1]
    tail = history.points[-max(1, len(history.points) // 10) :]
    return {
        "method": clean(history.method, 80),
        "examples": count(history.examples),
        "steps": count(last["step"]),
        "tokens": count(last.get("tokens")),
        "time": duration(last.get("seconds")),
        "first_loss": f"{first['loss']:.2f}",
        "last_loss": f"{sum(p['loss'] for p in tail) / len(tail):.2f}",
    }
