"""Several finished runs of one family that differ in their seed alone: each figure over the seeds.

A seed divides heads or inputs anew, draws anew and trains anew, so what varies between runs is all of that together.
Intervals are Student's t over the runs' figures, and say nothing where there are too few of these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from symdistill.evaluation.figures import NOTHING
from symdistill.evaluation.student_t import t_quantile
from symdistill.evaluation.tables import Table


@dataclass(frozen=True, slots=True)
class Joined:
    """One figure of several runs: its value with each seed that has one, the mean, and its 95% interval over seeds;
    None of a single seed. A number that only names something has no mean."""

    name: str
    values: Mapping[int, float]
    mean: float | None
    low: float | None
    high: float | None


def joined(runs: Mapping[int, Mapping[str, Any]]) -> list[Joined]:
    """The figures of runs, which are the contents of their metrics.json by seed, in the order of the first that has
    them."""
    found: dict[str, dict[int, float]] = {}
    for seed, metrics in runs.items():
        for name, value in _FIGURES[metrics["family"]](metrics):
            found.setdefault(name, {})[seed] = value
    return [_over_seeds(name, values) for name, values in found.items()]


def joined_table(figures: Sequence[Joined], seeds: Sequence[int]) -> Table:
    """A figure a line: the mean with its interval, of how many seeds it is, and the value of each."""
    table = [["figure", "mean (95%)", "seeds", *(f"seed {seed}" for seed in seeds)]]
    for one in figures:
        mean, write = (NOTHING, _name) if one.mean is None else (_number(one.mean), _number)
        if one.low is not None and one.high is not None:
            mean += f" [{_number(one.low)}, {_number(one.high)}]"
        values = (NOTHING if seed not in one.values else write(one.values[seed]) for seed in seeds)
        table.append([one.name, mean, str(len(one.values)), *values])
    return table


def _over_seeds(name: str, values: Mapping[int, float]) -> Joined:
    mean, count = fmean(values.values()), len(values)
    if name == _CHOSEN:
        return Joined(name, values, None, None, None)
    if count < 2:
        return Joined(name, values, mean, None, None)
    reach = t_quantile(0.95, count - 1) * stdev(values.values()) / math.sqrt(count)
    return Joined(name, values, mean, mean - reach, mean + reach)


def _direct(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    held, judge = metrics["critic"]["held_out"], metrics["judged_by"]
    yield "share of the graph that passes", metrics["graph"]["accepted"] / metrics["graph"]["triples"]
    yield "good labels before the critic", held["before"]["count"] / held["before"]["n"]
    if held["chosen"]["gain"] is not None:
        yield "gain of the critic", held["chosen"]["gain"]
    if (own := metrics["reviewed"]) is not None and own["chosen"]["gain"] is not None:
        yield "gain on what the teacher wrote", own["chosen"]["gain"]
    for arm in metrics["arms"]:
        measures = {f"accepted by the {judge}": arm["accepted"][judge], "ROUGE-L": arm["rouge_l"], "loss": arm["loss"]}
        yield from ((f"{arm['label']}: {name}", mean["value"]) for name, mean in measures.items() if mean)
    for gap in metrics["differences"]:
        yield f"{gap['first']} − {gap['second']}: {gap['measure']}", gap["mean"]["value"]
    yield "skew, teacher to student", metrics["skew"]["teacher_to_student"]


def _multilevel(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for one in metrics["rounds"]:
        for name in ("yield", "precision", "accuracy"):
            if one[name] is not None:
                yield f"round {one['number']}: {name}", one[name]
    yield _CHOSEN, metrics["chosen"]
    for one in metrics["students"]:
        if one["student"] not in (1, metrics["chosen"]):
            continue  # who sees the reported half of all may choose by it
        reported, gap = one["reported"], one["beside_first"]
        if reported["n"] and one["student"] == 1:
            yield "student 1: reported", reported["right"] / reported["n"]
        if reported["n"] and one["student"] == metrics["chosen"]:
            yield "the chosen student: reported", reported["right"] / reported["n"]
        if gap is not None and one["student"] == metrics["chosen"]:  # where it is student 1 there is none to measure
            yield "the chosen student − student 1, where it is another: reported", gap["difference"]


_CHOSEN = "the chosen student"
_FIGURES = {"direct": _direct, "multilevel": _multilevel}


def _name(value: float) -> str:
    return f"{value:g}"


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
