"""Rounds of generate → filter → train as people read them: in the terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from symdistill.evaluation import plots
from symdistill.evaluation.figures import NOTHING, accuracy_interval, clean, count, p_value, percent, points
from symdistill.evaluation.multilevel_metrics import Compared, RoundFigures, StudentFigures, compared
from symdistill.evaluation.report import environment, write_page
from symdistill.evaluation.statistics import wilson
from symdistill.evaluation.tables import Table

_LEVEL = 0.05
_UNSHOWN = (NOTHING, NOTHING)
_STOPPED = {
    "drift": "The rounds were stopped because the critic's score of what was written rose while its audited accuracy "
    "fell, by more than chance: what learning to please a critic looks like.",
    "plateau": "The rounds ended because two of them running brought no gain in accuracy worth the name.",
    "novelty": "The rounds ended because little of what the last one kept was new.",
    "diversity": "The rounds ended because what the last one kept was less varied than before.",
    "nothing kept": "The rounds ended because the last one kept nothing to learn from.",
    "rounds": "All rounds that were asked for were run.",
    "items": "The rounds ended because as many outputs were written as `stop.max_items` allows.",
    "tokens": "The rounds ended because as many tokens were written as `stop.max_tokens` allows.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An output with its input; `reason` is empty where it was kept, `right` its grade where it has one."""

    input: str
    output: str
    reason: str = ""
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class MultilevelReport:
    """Everything the page says. `students` are they on the inputs that all were asked about, student 1 first; `command`
    repeats the run; `config` is its configuration as YAML; `shown` are a few outputs of each round; `paid` is what it
    cost, in words."""

    title: str
    student: str
    figures: Sequence[RoundFigures]
    stopped: str
    chosen: int
    audited_by: str = ""
    learn: str = "all"
    train_from: str = "base"
    filters: Sequence[str] = ()
    shown: Sequence[Sequence[Shown]] = ()
    students: Sequence[StudentFigures] = ()
    paid: str = ""
    seed: int = 0
    created: date | None = None
    command: str = ""
    config: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


def write_multilevel_report(report: MultilevelReport, path: Path) -> None:
    """Write the page, whole or not at all. Raises RunDirectoryError."""
    write_page(render_multilevel_report(report), path, "Choose a --run-dir you can write to.")


def render_multilevel_report(report: MultilevelReport) -> str:
    """The page as text."""
    return environment().get_template("multilevel.html.j2").render(**_sections(report))


def outcome_sentence(report: MultilevelReport) -> str:
    """Why there were no more rounds, and what came of those there were."""
    parts = [_STOPPED.get(report.stopped, clean(report.stopped, 80))]
    first, last = report.figures[0], report.figures[-1]
    kept = sum(one.learned for one in report.figures)
    parts.append(
        f"{count(kept)} outputs were kept to learn from; yield went from {share(first.kept, first.generated)}% to "
        f"{share(last.kept, last.generated)}%."
    )
    if len(report.figures) == 1 and not report.students:
        parts.append("Student 1 learned them, and nothing was asked of it yet.")
    elif any(one.deciding for one in report.students):
        parts.append(f"Student {report.chosen} is the run's: it did best on the fixed inputs that decide.")
    else:
        parts.append(f"Nothing was audited, and the last student, {report.chosen}, is the run's.")
    return " ".join([*parts, *_result(report), report.paid]).rstrip()


def _result(report: MultilevelReport) -> Iterator[str]:
    """What the run's student is worth on the inputs that decided nothing, and beside the first student."""
    chosen = next((one for one in report.students if one.student == report.chosen), None)
    if chosen is None or not chosen.reported:
        return
    yield (
        f"On the {len(chosen.reported):,} fixed inputs that decided nothing {_right(chosen.reported)}% of its greedy "
        "outputs are right."
    )
    if gap := _beside_first(report, chosen):
        chance = ", no more than chance may do" if gap.p >= _LEVEL else ""
        yield (
            f"Beside student 1 that is {points(gap.difference)} points [{points(gap.low)}, {points(gap.high)}], "
            f"{p_value(gap.p)}{chance}."
        )


def _beside_first(report: MultilevelReport, student: StudentFigures) -> Compared | None:
    first = report.students[0]
    return None if student is first else compared(student, first, report.seed)


def _right(verdicts: Mapping[str, bool]) -> str:
    """ "25.0 [9.1, 52.2]", in percent; a dash of nothing."""
    right, n = sum(verdicts.values()), len(verdicts)
    interval = wilson(right, n)
    return accuracy_interval(right / n, interval.low, interval.high) if n else NOTHING


def students_table(report: MultilevelReport) -> Table:
    """The students on the inputs that all were asked about; none where nothing of them was graded.

    The reported half is shown of the run's student and of student 1 alone: who sees it of all may choose by it.
    """
    if not any(one.deciding or one.reported for one in report.students):
        return []
    table = [["student", "deciding (95%)", "of", "reported (95%)", "of", "beside student 1, reported (95%)", "p"]]
    for one in report.students:
        shown = one.student == report.chosen or one is report.students[0]
        gap = _beside_first(report, one) if shown else None
        line = [f"{one.student}{'*' if one.student == report.chosen else ''}", _right(one.deciding)]
        line += [count(len(one.deciding)), *([_right(one.reported), count(len(one.reported))] if shown else _UNSHOWN)]
        told = list(_UNSHOWN)
        if gap is not None:
            told = [f"{points(gap.difference)} [{points(gap.low)}, {points(gap.high)}]", p_value(gap.p)]
        table.append([*line, told[0], told[1].removeprefix("p").removeprefix("=")])
    return table


def rounds_table(figures: Sequence[RoundFigures], chosen: int | None = None) -> Table:
    """One line a round; the writer that was chosen has a star."""
    scored = next((one.scored_by for one in figures if one.scored_by), "")
    header = ["round", "written by", "inputs", "written", "kept", "yield", "audited before (95%)", "audited (95%)"]
    header += ["new 3-grams", "new", "distinct-2", "Vendi"] + ([scored] if scored else []) + ["tokens"]
    table = [header]
    for one in figures:
        star = "*" if chosen and one.number == chosen else ""
        novelty, diversity = one.novelty, one.diversity
        line = [str(one.number), f"{clean(one.writer, 60)}{star}", count(one.inputs), count(one.generated)]
        line += [count(one.kept), share(one.kept, one.generated)]
        line += [graded(one, "accuracy"), graded(one, "precision")]
        line += [share(novelty.new_ngrams, novelty.ngrams) if novelty else NOTHING]
        line += [share(novelty.new_outputs, novelty.outputs) if novelty else NOTHING]
        line += [f"{diversity.distinct_2:.2f}" if diversity else NOTHING]
        line += [f"{diversity.vendi:.1f}" if diversity else NOTHING]
        if scored:
            line.append(f"{one.score:.3f}" if one.score is not None else NOTHING)
        table.append([*line, count(one.tokens) if one.tokens else NOTHING])
    return table


def dropped_table(figures: Sequence[RoundFigures]) -> Table:
    """Outputs dropped of each round, by reason."""
    reasons = list(dict.fromkeys(reason for one in figures for reason in one.dropped))
    table = [["round", *reasons, "no reply"]]
    for one in figures:
        table.append([str(one.number), *(count(one.dropped.get(reason, 0)) for reason in reasons), count(one.failed)])
    return table


def progress_line(one: RoundFigures) -> str:
    """A round in a line, for whoever watches."""
    audited = f"   audited {graded(one, 'precision')}%" if one.graded else ""
    reasons = " · ".join(f"{reason} {number:,}" for reason, number in one.dropped.items())
    novelty = f"   {share(one.novelty.new_ngrams, one.novelty.ngrams)}% new 3-grams" if one.novelty else ""
    return f"{one.writer}   kept {one.kept:,} of {one.generated:,}{audited}{novelty}   {reasons}".rstrip()


def graded(one: RoundFigures, name: Literal["accuracy", "precision"]) -> str:
    """ "25.0 [9.1, 52.2]", in percent; a dash of nothing."""
    value, interval = getattr(one, name), one.interval(name)
    return NOTHING if value is None else accuracy_interval(value, interval.low, interval.high)


def share(part: int, whole: int) -> str:
    """A share in percent; a dash of nothing."""
    return percent(part / whole) if whole else NOTHING


def _sections(report: MultilevelReport) -> dict[str, Any]:
    diversity = next((one.diversity for one in report.figures if one.diversity), None)
    return {
        "title": clean(report.title, 200),
        "student": clean(report.student, 200),
        "created": report.created.isoformat() if report.created else "",
        "outcome": outcome_sentence(report),
        "rounds": rounds_table(report.figures, report.chosen),
        "students": students_table(report),
        "dropped": dropped_table(report.figures),
        "audited_by": clean(report.audited_by, 400),
        "sample": diversity.of if diversity else 0,
        "filters": [clean(one, 200) for one in report.filters],
        "learn": "what every round before it kept" if report.learn == "all" else "what the last round kept",
        "train_from": "the base model" if report.train_from == "base" else "the student before it",
        "plots": _plots(report.figures),
        "shown": [(number, _cases(cases)) for number, cases in enumerate(report.shown)],
        "provenance": [(clean(k, 80), clean(v, 300)) for k, v in report.provenance.items()],
        "config": clean(report.config, 60_000),
        "command": clean(report.command, 2000),
    }


def _plots(figures: Sequence[RoundFigures]) -> list[tuple[str, Any]]:
    """The yield of each round and, where there is an audit, its precision."""
    passed = [_estimate(o, "yield", o.kept / o.generated) for o in figures if o.generated]
    drawn = [("Share of the outputs that passed the filters", passed)]
    if right := [_estimate(o, "precision", o.right / o.graded) for o in figures if o.graded]:
        drawn.append(("Share of right ones among audited outputs that passed", right))
    return [(title, plots.intervals(some, title)) for title, some in drawn]


def _estimate(one: RoundFigures, name: str, value: float) -> plots.Estimate:
    interval = one.interval(name)
    return plots.Estimate(f"round {one.number}: {one.writer}", value, interval.low, interval.high)


def _cases(cases: Sequence[Shown]) -> list[Mapping[str, str]]:
    words = {True: "graded right", False: "graded wrong", None: ""}
    return [
        {
            "input": clean(case.input, 600),
            "output": clean(case.output, 600),
            "verdict": clean(", ".join(p for p in (case.reason or "kept", words[case.right]) if p), 200),
        }
        for case in cases
    ]
