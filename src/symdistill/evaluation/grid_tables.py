"""A grid as tables of text, and the tables as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from symdistill.evaluation.figures import (
    NOTHING,
    accuracy_interval,
    count,
    dollars,
    duration,
    p_value,
    percent,
    points,
    scaled,
)
from symdistill.evaluation.grid import ArmDifference, GridResult, Panel
from symdistill.evaluation.grid_arms import Arm
from symdistill.evaluation.latex import latex_table
from symdistill.evaluation.metrics import TEACHER
from symdistill.evaluation.seeds import Pooled, SeedDifference
from symdistill.evaluation.tables import Table, csv_text, markdown

_DIFFERENCE = ("difference", "difference_low", "difference_high", "p", "p_holm")


def results_table(panel: Panel, result: GridResult) -> Table:
    """One line an arm: accuracy with its interval, the difference to the baseline with its corrected p, the tasks that
    were learned from and those that were not apart, and the share of replies with an answer in them."""
    level = f"{100 * result.confidence:g}%"
    inside, outside = result.domains
    apart = bool(inside and outside)
    header = ["method", "decoding", "seeds", f"accuracy ({level})", f"vs {result.baseline} ({level})", "p"]
    header += ["in domain", "out of domain"] if apart else []
    table = [[*header, "parsed"]]
    for arm in panel.arms:
        line = [arm.name, arm.how, _seeds(arm), _accuracy(arm), *_difference(panel.versus(arm))]
        line += [_pooled(arm.inside), _pooled(arm.outside)] if apart else []
        table.append([*line, NOTHING if arm.parse_rate is None else f"{percent(arm.parse_rate, 0)}%"])
    return table


def domains_table(panel: Panel, result: GridResult) -> Table:
    """One line an arm: its difference to the baseline on the tasks that were learned from, and on those that were not,
    each with its interval and its p, corrected for the comparisons of its own column; empty where there are no two
    domains."""
    if not (panel.inside.against and panel.outside.against):
        return []
    level = f"{100 * result.confidence:g}%"
    versus = f"vs {result.baseline} ({level})"
    table = [["method", "decoding", f"in domain, {versus}", "p in", f"out of domain, {versus}", "p out"]]
    for arm in panel.arms:
        parts = [panel.inside.versus(arm), panel.outside.versus(arm)]
        table.append([arm.name, arm.how, *(cell for part in parts for cell in _difference(part))])
    return table


def costs_table(panel: Panel) -> Table:
    """One line an arm: what an answer takes, and what it took to get there. All are means over the seeds."""
    header = ["method", "decoding", "prompt/q", "generated/q", "prompt FLOPs/q", "FLOPs/q"]
    table = [[*header, "training", "evaluation", "teacher tokens", "cost"]]
    for arm in panel.arms:
        table.append(
            [
                arm.name,
                arm.how,
                count(_whole(arm.costs.prompt_tokens)),
                count(_whole(arm.costs.generated_tokens)),
                scaled(arm.costs.prompt_flops_paper),
                scaled(arm.costs.flops),
                duration(arm.costs.train_seconds),
                duration(arm.costs.evaluation_seconds),
                scaled(arm.costs.teacher_tokens),
                dollars(arm.costs.teacher_usd),
            ]
        )
    return table


def fractions_table(result: GridResult, student: str) -> Table:
    """One line an arm, a column a share of the training questions; empty where there is only one share."""
    panels = sorted((p for p in result.panels if p.student == student), key=lambda p: p.fraction or 0)
    if len(panels) < 2:
        return []
    table = [["method", "decoding", *(f"{100 * (p.fraction or 0):g}%" for p in panels)]]
    lines: dict[tuple[str, str], list[str]] = {}
    for panel in panels:
        for arm in panel.arms:
            lines.setdefault((arm.name, arm.how), [])
    for (name, how), line in lines.items():
        for panel in panels:
            found = next((a for a in panel.arms if (a.name, a.how) == (name, how)), None)
            line.append(NOTHING if found is None else _accuracy(found))
        table.append([name, how, *line])
    return table


def pairs_table(panel: Panel) -> Table:
    """One line for each two arms; where there are two domains, with the same comparison in each."""
    table = [["first", "second", "difference", "p", "p (Holm)"]]
    apart = [{(one.first, one.second): one for one in part.pairs} for part in (panel.inside, panel.outside)]
    if all(apart):
        table[0] += ["in domain", "p in (Holm)", "out of domain", "p out (Holm)"]
    for one in panel.pairs:
        line = [one.first.label, one.second.label, _interval(one), *(_bare(p) for p in (one.found.p, one.p_holm))]
        for part in apart if all(apart) else ():
            line += _difference(part.get((one.first, one.second)))
        table.append(line)
    return table


def tasks_table(panel: Panel, result: GridResult) -> Table:
    """A line a task, a column an arm; empty where there is only one task."""
    arms = [arm for arm in panel.arms if arm.by_task]
    names = [task for domain in result.domains for task in domain]
    names = names or sorted({task for arm in arms for task in arm.by_task})
    if len(names) < 2 or not arms:
        return []
    table = [["task", "n", *(arm.label for arm in arms)]]
    for task in names:
        found = [arm.by_task.get(task) for arm in arms]
        outside = " (out of domain)" if task in result.domains[1] else ""
        table.append([f"{task}{outside}", str(max(p.n for p in found if p)), *(_pooled(p) for p in found)])
    return table


def contrast_table(panel: Panel) -> Table:
    """One line an arm: originals that were edited, edited questions, what the edit changes, and pairs of which both are
    right."""
    table = [["method", "decoding", "pairs", "originals", "edited", "change", "both right"]]
    for arm in panel.arms:
        if c := arm.contrast:
            shares = [_pooled(part) for part in (c.originals, c.edited, c.pairs)]
            table.append([arm.name, arm.how, str(c.pairs.n), *shares[:2], _found(c.change), shares[2]])
    return table if len(table) > 1 else []


def seeds_table(panel: Panel) -> Table:
    """The accuracy of every seed, and their standard deviation in points; empty where there is one seed only."""
    seeds = sorted({s for arm in panel.arms for s in arm.seeds if s is not None})
    if len(seeds) < 2:
        return []
    table = [["method", "decoding", *(f"seed {s}" for s in seeds), "standard deviation"]]
    for arm in panel.arms:
        if arm.verdicts is None or arm.seeds == (None,):
            continue
        by_seed = dict(zip(arm.seeds, arm.verdicts.mean(axis=1), strict=True))
        cells = [percent(float(by_seed[s])) if s in by_seed else NOTHING for s in seeds]
        spread = arm.whole.spread if arm.whole else None
        table.append([arm.name, arm.how, *cells, NOTHING if spread is None else f"{100 * spread:.1f}"])
    return table


def panel_title(panel: Panel, result: GridResult) -> str:
    """What tells a panel from the others: its student, its share of the data."""
    parts = [panel.student] if len(result.students) > 1 else []
    if panel.fraction is not None and len({p.fraction for p in result.panels}) > 1:
        parts.append(f"{100 * panel.fraction:g}% of the training questions")
    return ", ".join(parts)


def footnote(panel: Panel, result: GridResult) -> str:
    """How the intervals and p of a table are made."""
    level = f"{100 * result.confidence:g}%"
    tests = len(panel.against)
    corrected = f", Holm-corrected for the {tests} comparisons of this table" if tests > 1 else ""
    if all(len(arm.seeds) <= 1 for arm in panel.arms):
        return (
            f"{result.n:,} questions, one seed: {level} intervals (Wilson) and p (McNemar's exact test{corrected}) are "
            "about the questions alone, not about the luck of training."
        )
    alone = list(dict.fromkeys(arm.name for arm in panel.arms if arm.luck))
    borrowed = (
        f" One seed is all there is of {', '.join(alone)}: how much another one may change is taken from the seeds of "
        "the other methods of this table."
        if alone
        else ""
    )
    return (
        f"{result.n:,} questions, up to {result.seeds} seeds. {level} intervals count both which questions were asked "
        "and how the seeds fell out: Wilson's for the number of questions that would vary as much, with quantiles of "
        "Student's t. p: the larger of an exact sign-flip test over questions with the seeds averaged and a t test "
        f"with the variance of the seeds in it{corrected}.{borrowed}"
    )


def grid_markdown(result: GridResult, title: str) -> str:
    """Every table of the grid for a page or a pull request."""
    parts = [f"# {title}", *(f"Note: {note}" for note in result.notes)]
    for panel in result.panels:
        name = panel_title(panel, result)
        parts += [f"## {name}"] if name else []
        parts += [markdown(results_table(panel, result)), footnote(panel, result), markdown(costs_table(panel))]
        for heading, table in (
            ("In and out of domain", domains_table(panel, result)),
            ("By task", tasks_table(panel, result)),
            ("Contrast sets", contrast_table(panel)),
            ("By seed", seeds_table(panel)),
            ("Every two methods", pairs_table(panel) if len(panel.pairs) > 1 else []),
        ):
            parts += [f"### {heading}", markdown(table)] if table else []
    for student in result.students:
        if table := fractions_table(result, student):
            parts += [f"## Accuracy against training data: {student}", markdown(table)]
    parts += [
        f"- {cell.title}: {cell.state}. {cell.error}".strip() for cell in result.cells if cell.state != "finished"
    ]
    return "\n\n".join(parts) + "\n"


def grid_latex(result: GridResult, title: str) -> str:
    """Every table of the grid but those of single seeds and of every two methods, for a paper.

    They need the packages booktabs and graphicx and are ASCII, so that any engine and any font encoding takes them.
    """
    parts = ["% Needs \\usepackage{booktabs,graphicx}, and nothing else."]
    for number, panel in enumerate(result.panels):
        name = panel_title(panel, result)
        where = f"{title}, {name}" if name else title
        for kind, table, caption in (
            ("results", results_table(panel, result), f"{where}. {footnote(panel, result)}"),
            ("domains", domains_table(panel, result), f"{where}: in and out of domain, against {result.baseline}."),
            ("costs", costs_table(panel), f"{where}: what answering and training take."),
            (
                "contrast",
                contrast_table(panel),
                f"{where}: contrast sets. Change: edited minus original. A pair is right when both questions are.",
            ),
            ("tasks", tasks_table(panel, result), f"{where}: accuracy by task."),
        ):
            parts += [latex_table(table, caption, f"tab:{kind}-{number}")] if table else []
    for number, student in enumerate(result.students):
        if table := fractions_table(result, student):
            caption = f"{title}, {student}: accuracy against the share of the training questions."
            parts.append(latex_table(table, caption, f"tab:shares-{number}"))
    return "\n\n".join(parts) + "\n"


def grid_csv(result: GridResult) -> str:
    """One line an arm and panel with unrounded figures; shares are between 0 and 1, differences to the baseline.

    A varied setting is in the column `vary.KEY`, the accuracy on a task in `task.NAME`: no two columns share a name. In
    and out of domain is as the line's own method learned; there are differences there where all learned from the same
    tasks, `comparisons` being as many as for all questions.
    """
    varied = list(dict.fromkeys(key for arm in result.arms for key in arm.vary))
    tasks = list(dict.fromkeys(task for arm in result.arms for task in arm.by_task))
    header = [
        *("student", "fraction", "method", *(f"vary.{key}" for key in varied)),
        *("decoding", "samples", "state", "planned_seeds", "seeds"),
        *("n", "accuracy", "ci_low", "ci_high", "seed_accuracies", "seed_sd"),
        *("baseline", *_DIFFERENCE, "comparisons"),
        *("in_domain", "in_domain_low", "in_domain_high", "out_of_domain", "out_of_domain_low", "out_of_domain_high"),
        *(f"{part}_{name}" for part in ("in_domain", "out_of_domain") for name in _DIFFERENCE),
        "contrast_pairs",
        *(f"{part}{end}" for part in ("originals", "edited", "change", "both_right") for end in ("", "_low", "_high")),
        *("parse_rate", "prompt_tokens", "generated_tokens", "prompt_flops_paper", "flops", "evaluation_seconds"),
        *("train_seconds", "teacher_tokens", "teacher_usd", "error"),
        *(f"task.{task}" for task in tasks),
    ]
    lines = [_csv_line(arm, panel, varied, tasks) for panel in result.panels for arm in panel.arms]
    return csv_text([header, *lines])


def _csv_line(arm: Arm, panel: Panel, varied: Sequence[str], tasks: Sequence[str]) -> list[object]:
    versus, contrast = panel.versus(arm), arm.contrast
    by_seed = [] if arm.verdicts is None else [f"{accuracy:.6f}" for accuracy in arm.verdicts.mean(axis=1)]
    return [
        *(panel.student, panel.fraction, arm.method, *(arm.vary.get(key) for key in varied)),
        *(arm.decoding, arm.samples, arm.state, arm.planned, ";".join("" if s is None else str(s) for s in arm.seeds)),
        *([arm.whole.n] if arm.whole else [None]),
        *_values(arm.whole),
        *(";".join(by_seed), arm.whole.spread if arm.whole else None),
        versus.second.label if versus else None,
        *_differences(versus),
        len(panel.against) if versus else None,
        *_values(arm.inside),
        *_values(arm.outside),
        *_differences(panel.inside.versus(arm)),
        *_differences(panel.outside.versus(arm)),
        contrast.pairs.n if contrast else None,
        *(_values(contrast.originals if contrast else None)),
        *(_values(contrast.edited if contrast else None)),
        *([contrast.change.difference, contrast.change.low, contrast.change.high] if contrast else [None] * 3),
        *(_values(contrast.pairs if contrast else None)),
        *(
            arm.parse_rate,
            arm.costs.prompt_tokens,
            arm.costs.generated_tokens,
            arm.costs.prompt_flops_paper,
            arm.costs.flops,
        ),
        *(
            arm.costs.evaluation_seconds,
            arm.costs.train_seconds,
            arm.costs.teacher_tokens,
            arm.costs.teacher_usd,
            "; ".join(arm.errors),
        ),
        *(arm.by_task[task].accuracy if task in arm.by_task else None for task in tasks),
    ]


def _differences(versus: ArmDifference | None) -> list[float | None]:
    """The figures of `_DIFFERENCE`."""
    if versus is None:
        return [None] * len(_DIFFERENCE)
    return [versus.found.difference, versus.found.low, versus.found.high, versus.found.p, versus.p_holm]


def _values(part: Pooled | None) -> list[float | None]:
    return [part.accuracy, part.low, part.high] if part else [None, None, None]


def _accuracy(arm: Arm) -> str:
    return arm.state if arm.whole is None else _pooled(arm.whole)


def _pooled(part: Pooled | None) -> str:
    return NOTHING if part is None else accuracy_interval(part.accuracy, part.low, part.high)


def _seeds(arm: Arm) -> str:
    """How many seeds are behind the figures, of how many; a dash where the seed changes nothing."""
    if arm.method == TEACHER or arm.seeds == (None,):
        return NOTHING
    return str(len(arm.seeds)) if len(arm.seeds) == arm.planned else f"{len(arm.seeds)} of {arm.planned}"


def _difference(versus: ArmDifference | None) -> list[str]:
    return [NOTHING, ""] if versus is None else [_interval(versus), _bare(versus.p_holm)]


def _interval(versus: ArmDifference) -> str:
    return _found(versus.found)


def _found(found: SeedDifference) -> str:
    return f"{points(found.difference)} [{points(found.low)}, {points(found.high)}]"


def _bare(p: float) -> str:
    """p without its letter: "<.001", ".042", "1"."""
    return p_value(p).removeprefix("p").removeprefix("=")


def _whole(value: float | None) -> float | None:
    """A mean number of tokens as it is shown: whole from ten on."""
    return value if value is None or value < 10 else round(value)
