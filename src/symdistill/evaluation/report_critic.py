"""A critic's report, as people read it: in the terminal and on a page. What it says is what `critic_metrics` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdistill.evaluation.figures import NOTHING, accuracy_interval, percent, points
from symdistill.evaluation.tables import Table, plain_text

TOO_FEW = "(too few heads for an interval)"

ONLY_ONE = (
    "The line of the critic alone is a test: to choose among the others by these labels would take the test away from "
    "them. For another threshold, set `recall` and label heads anew."
)
"""What is said beside the table of thresholds."""

_SIDES = {"train": "learned from", "validation": "calibrated on", "held_out": "judged on"}


def critic_text(report: Mapping[str, Any]) -> str:
    """The labels, the table of thresholds, calibration, and what is to be known."""
    lines = [sides_sentence(report), plain_text(critic_table(report)), ONLY_ONE]
    lines += [calibration_sentence(report), *report["notes"]]
    return "\n".join(lines)


def critic_table(report: Mapping[str, Any]) -> Table:
    """What each threshold does to the held-out texts, the chosen one first, with 95% intervals."""
    held = report["held_out"]
    table = [["held-out labels", "threshold", "kept", "precision (95%)", "gain (95%)", "recall (95%)"]]
    table.append(["no critic", NOTHING, "100.0%", share_text(held["before"]), NOTHING, "100.0"])
    within = held["chosen"].get("within") is not None
    if within:
        table[0].insert(5, "within relations (95%)")
        table[1].insert(5, NOTHING)
    named = [("critic", held["chosen"])]
    named += [
        (f"at recall {100 * recall:g}%, not chosen", other)
        for recall, other in zip(report["recalls"], held["others"], strict=True)
    ]
    for name, passed in named:
        kept = passed["kept"]
        table.append(
            [
                name,
                f"{passed['threshold']:.3f}",
                f"{percent(kept['count'] / kept['n'])}%",
                share_text(passed["precision"]),
                gain_text(passed),
                *([gain_text(passed, "within")] if within else []),
                share_text(passed["recall"]),
            ]
        )
    return table


def sides_sentence(report: Mapping[str, Any]) -> str:
    """ "412 labels: 206 learned from (160 good), …"."""
    sides = report["sides"]
    total = sum(side["good"] + side["bad"] for side in sides.values())
    parts = [
        f"{sides[name]['good'] + sides[name]['bad']:,} {words} ({sides[name]['good']:,} good)"
        for name, words in _SIDES.items()
    ]
    settings = report["settings"]
    return f"{total:,} labels, no head on two sides: {', '.join(parts)}. Features: {settings['features']}."


def calibration_sentence(report: Mapping[str, Any]) -> str:
    """How far its probabilities can be believed."""
    held = report["held_out"]
    area = NOTHING if held["auroc"] is None else f"{held['auroc']:.3f}"
    return (
        f"AUROC {area}, Brier {held['brier']:.3f}, ECE {held['ece']:.3f} "
        f"(by chance {held['ece_by_chance']:.3f}), {held['n']:,} texts of {held['heads']:,} heads."
    )


def share_text(found: Mapping[str, Any]) -> str:
    """A share with its interval, in percent; a dash of nothing."""
    if not found["n"]:
        return NOTHING
    return accuracy_interval(found["count"] / found["n"], found["low"], found["high"])


def gain_text(passed: Mapping[str, Any], name: str = "gain") -> str:
    """The gain in precision (or, `within`, that within relations) with its interval, in points; a dash where nothing
    passed."""
    if passed.get(name) is None:
        return NOTHING
    low, high = passed[f"{name}_low"], passed[f"{name}_high"]
    return f"{points(passed[name])} " + (TOO_FEW if low is None else f"[{points(low)}, {points(high)}]")
