"""The report's section on knowledge: the items that were used most, and the questions they turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdistill.evaluation.figures import NOTHING, clean, count, p_value
from symdistill.evaluation.report_data import ItemUse, KnowledgeSummary, Limits, TurnedQuestion
from symdistill.evaluation.statistics import mcnemar


def knowledge_section(summary: KnowledgeSummary, limits: Limits) -> Mapping[str, Any]:
    """Counts, the most used items with their lift, and questions turned right and wrong, both shown alike."""
    used = [u for u in summary.items if u.uses]
    most_used = sorted(used, key=lambda u: (-u.uses, -(u.lift.lift if u.lift else 0.0), u.item.id))
    helped, hurt = len(summary.turned_right), len(summary.turned_wrong)
    test = mcnemar([True] * helped + [False] * hurt, [False] * helped + [True] * hurt)
    return {
        "path": clean(summary.path, 200),
        "student": clean(summary.student, 120),
        "total": sum(summary.statuses.values()),
        "statuses": _counts(summary.statuses),
        "kinds": _counts(summary.kinds),
        "errors": summary.errors,
        "analysed": summary.analysed,
        "used": len(used),
        "items": [_item(u, limits) for u in most_used[: limits.items]],
        "asked": summary.asked,
        "helped": helped,
        "hurt": hurt,
        "p": p_value(test.p),
        "turned": [
            {"name": name, "total": len(cases), "cases": [_turned(c, limits) for c in cases[: limits.turned]]}
            for name, cases in (
                ("from wrong to right", summary.turned_right),
                ("from right to wrong", summary.turned_wrong),
            )
        ],
    }


def _counts(counts: Mapping[str, int]) -> str:
    """ "94 active, 3 review": the largest first."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{count(n)} {clean(name, 40)}" for name, n in ordered[:8] if n)


def _item(use: ItemUse, limits: Limits) -> Mapping[str, Any]:
    item, lift = use.item, use.lift
    figures: Sequence[str] = [NOTHING] * 4
    if lift:
        interval = f"{_signed(lift.lift)} [{_signed(lift.low)}, {_signed(lift.high)}]"
        figures = [count(lift.uses), count(lift.helped), count(lift.hurt), interval]
    sources = len(item.sources)
    origin = f"from {sources} question{'' if sources == 1 else 's'}" if sources else "written by hand"
    version = f"version {item.version}" if item.version > 1 else ""
    facts = (item.id, item.kind, item.task, origin, version, "" if item.status == "active" else item.status)
    return {
        "title": clean(item.title, 120) or clean(item.id, 40),
        "facts": clean(" · ".join(f for f in facts if f), 200),
        "text": clean(item.text, limits.text),
        "uses": count(use.uses),
        "figures": figures,
    }


def _signed(lift: float) -> str:
    text = f"{lift:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")


def _turned(case: TurnedQuestion, limits: Limits) -> Mapping[str, Any]:
    return {
        "id": clean(case.example_id, 80),
        "task": clean(case.task, 80),
        "question": clean(case.question, limits.text),
        "gold": clean(case.gold, 200),
        "titles": [clean(t, 120) for t in case.titles[:8]],
        "without": clean(case.reply_without, limits.text),
        "with": clean(case.reply_with, limits.text),
    }
