"""The outcome of a run or a comparison in plain sentences, also when nothing was gained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symdistill.evaluation.comparison import Comparison, Pairing, Standing
from symdistill.evaluation.figures import p_value, percent, points, scaled
from symdistill.evaluation.metrics import TEACHER, MetricRow, decoding_name, describe_decoding


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sentence to remember, and what should be known beside it."""

    headline: str
    details: tuple[str, ...] = ()


def outcome(rows: Sequence[MetricRow], comparison: Comparison | None) -> Outcome:
    """What came out. `rows` are the rows about all questions; `comparison` is about the same methods, or None."""
    if comparison is None or len(comparison.standings) < 2:
        return _alone(rows, comparison)
    base = comparison.standing(comparison.baseline)
    others = [s for s in comparison.standings if s.label != base.label and s.method != TEACHER]
    if not others:
        return _alone(rows, comparison)
    # Equal accuracies: the cheaper decoding is the better result.
    best = max(others, key=lambda s: (s.accuracy, -s.samples))
    pairing = comparison.versus_baseline(best.label)
    assert pairing is not None
    level = 1 - comparison.confidence
    clear = pairing.p_holm < level
    name = short_names(comparison)
    interval = f"{100 * comparison.confidence:g}% interval"
    if best.accuracy > base.accuracy:
        headline = (
            f"{name[best.label]} answers {percent(best.accuracy)}% of the {comparison.n} held-out questions correctly "
            f"({interval} {percent(best.low)} to {percent(best.high)}%), {_points(pairing.difference)} more than "
            f"{name[base.label]} with {percent(base.accuracy)}%"
        )
        headline += "." if clear else ": a lead these questions cannot tell from chance."
    elif best.accuracy == base.accuracy:
        headline = (
            f"No method beats {name[base.label]}: it answers {percent(base.accuracy)}% of the {comparison.n} held-out "
            f"questions correctly ({interval} {percent(base.low)} to {percent(base.high)}%), and so does "
            f"{name[best.label]}."
        )
    else:
        headline = (
            f"{name[base.label]} is ahead: it answers {percent(base.accuracy)}% of the {comparison.n} held-out "
            f"questions correctly ({interval} {percent(base.low)} to {percent(base.high)}%), "
            f"{_points(-pairing.difference)} more than the best other method, {name[best.label]}, "
            f"with {percent(best.accuracy)}%"
        )
        headline += "." if clear else "; these questions cannot tell that from chance."
    details = [_test_sentence(pairing, comparison, name)]
    if best.accuracy > base.accuracy:
        details += _runner_up(best, others, comparison, name)
    details += _price(best, base, name)
    details += _teacher(best if best.accuracy > base.accuracy else base, comparison, name)
    return Outcome(headline, tuple(details))


def _alone(rows: Sequence[MetricRow], comparison: Comparison | None) -> Outcome:
    contenders = [r for r in rows if r.method != TEACHER] or rows
    if not contenders:
        return Outcome("No method was evaluated, so there is no result to report.")
    best = max(contenders, key=lambda r: (r.accuracy, -r.samples))
    headline = (
        f"{best.method} ({decoding_name(best)}) answers {percent(best.accuracy)}% of the {best.n} held-out questions "
        f"correctly ({100 * best.confidence:g}% interval {percent(best.ci_low)} to {percent(best.ci_high)}%)."
    )
    if comparison is None and len(rows) > 1:
        return Outcome(headline, ("The methods were not compared question by question.",))
    details = ["There is no other method in this run to compare it with."]
    if comparison is not None and best.method != TEACHER:
        student = next(s for s in comparison.standings if s.method != TEACHER)
        details += _teacher(student, comparison, short_names(comparison))
    return Outcome(headline, tuple(details))


def _test_sentence(pairing: Pairing, comparison: Comparison, name: dict[str, str]) -> str:
    first, second = name[pairing.first], name[pairing.second]
    tests = len(comparison.against_baseline)
    corrected = f", corrected for {tests} comparisons" if tests > 1 else ""
    if pairing.only_first + pairing.only_second == 0:
        return f"The two were right on exactly the same questions, so {pairing.n} questions show no difference at all."
    return (
        f"Of {pairing.n} questions, {pairing.only_first} were answered correctly by {first} alone and "
        f"{pairing.only_second} by {second} alone: a difference of {points(pairing.difference)} points, "
        f"{100 * comparison.confidence:g}% interval {points(pairing.low)} to {points(pairing.high)} "
        f"(McNemar {p_value(pairing.p_holm)}{corrected})."
    )


def _runner_up(best: Standing, others: Sequence[Standing], comparison: Comparison, name: dict[str, str]) -> list[str]:
    """Whether the best is really ahead of the next: the question a reader of the table asks."""
    rest = [s for s in others if s.label != best.label]
    if not rest:
        return []
    second = max(rest, key=lambda s: (s.accuracy, -s.samples))
    pairing = next(p for p in comparison.pairs if {p.first, p.second} == {best.label, second.label})
    if pairing.p_holm < 1 - comparison.confidence:
        return []
    return [
        f"{name[best.label]} is not clearly ahead of {name[second.label]}, which reaches {percent(second.accuracy)}% "
        f"(McNemar {p_value(pairing.p_holm)} after correction for {len(comparison.pairs)} comparisons)."
    ]


def _teacher(student: Standing, comparison: Comparison, name: dict[str, str]) -> list[str]:
    """How much of the teacher's accuracy the student keeps, where the teacher was asked too."""
    teacher = next((s for s in comparison.standings if s.method == TEACHER), None)
    if teacher is None or teacher.accuracy == 0 or teacher.label == student.label:
        return []
    share = student.accuracy / teacher.accuracy
    sizes = [one.row.parameters if one.row else None for one in (student, teacher)]
    size = f" with {percent(sizes[0] / sizes[1])}% of its weights" if sizes[0] and sizes[1] else ""
    return [
        f"The teacher itself answers {percent(teacher.accuracy)}% of these questions correctly; "
        f"{name[student.label]} reaches {percent(share, 0)}% of that{size}."
    ]


def _price(best: Standing, base: Standing, name: dict[str, str]) -> list[str]:
    if not (best.row and base.row and best.row.flops and base.row.flops):
        return []
    ratio = best.row.flops / base.row.flops
    if ratio >= 1.1:
        how = f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"
    elif ratio <= 0.9:
        how = f"{percent(ratio, 0)}% of"
    else:
        how = "about"
    return [
        f"An answer of {name[best.label]} takes {scaled(best.row.flops)}FLOP, {how} what an answer of "
        f"{name[base.label]} takes ({scaled(base.row.flops)}FLOP)."
    ]


def short_names(comparison: Comparison) -> dict[str, str]:
    """For each label the shortest name no other has: the method, with its decoding, or the whole label."""
    names = {}
    for s in comparison.standings:
        same_method = [t for t in comparison.standings if t.method == s.method]
        how = describe_decoding(s.decoding, s.samples)
        same_way = [t for t in same_method if describe_decoding(t.decoding, t.samples) == how]
        names[s.label] = s.method if len(same_method) == 1 else f"{s.method} ({how})" if len(same_way) == 1 else s.label
    return names


def _points(difference: float) -> str:
    value = f"{100 * difference:.1f}"
    return f"{value} point" if value == "1.0" else f"{value} points"
