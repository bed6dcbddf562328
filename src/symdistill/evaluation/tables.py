"""Results as tables: rows of text for the terminal, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich.cells import cell_len

from symdistill.evaluation.comparison import Comparison, Pairing
from symdistill.evaluation.figures import NOTHING, accuracy_interval, count, p_value, percent, points, scaled
from symdistill.evaluation.metrics import TEACHER, MetricRow, decoding_name
from symdistill.evaluation.outcome import short_names

Table = list[list[str]]
"""Lines of cells; the first line is the header."""

_MANY = 0.05
"""The share of cut replies from which it is said: a few long ones are nobody's mistake."""


def metrics_table(rows: Sequence[MetricRow], comparison: Comparison | None = None) -> Table:
    """The table a run ends with: one line a row, with the difference to the baseline where `comparison` knows it.

    tokens/q are generated tokens. A `set` column appears when the rows are not all about the same questions, the
    columns `retrieved` and `prompt/q` (prompt tokens) where a row is about a method that may look up knowledge, and
    `steps` (the share of the replies' equations that hold) where replies compute.
    """
    several = len({_set_name(row) for row in rows}) > 1
    level = f"{100 * (rows[0].confidence if rows else 0.95):g}%"
    header = ["method", "decoding", f"accuracy ({level})", "parsed", "tokens/q", "FLOPs/q"]
    knowing = any(row.retrieval_rate is not None for row in rows)
    if knowing:
        header[4:4] = ["retrieved", "prompt/q"]
    stepping = _compute(rows)
    if stepping:
        header.insert(4, "steps")
    if several:
        header.insert(2, "set")
    if comparison and len(comparison.standings) > 1:
        header.append(f"vs {short_names(comparison)[comparison.baseline]}")
    table = [header]
    for row in rows:
        line = [
            row.method,
            decoding_name(row),
            accuracy_interval(row.accuracy, row.ci_low, row.ci_high),
            f"{percent(row.parse_rate, 0)}%",
            count(row.generated_tokens),
            scaled(row.flops),
        ]
        if knowing:
            rate = NOTHING if row.retrieval_rate is None else f"{percent(row.retrieval_rate, 0)}%"
            line[4:4] = [rate, count(row.prompt_tokens)]
        if stepping:
            line.insert(4, _steps(row))
        if several:
            line.insert(2, _set_name(row))
        if comparison and len(comparison.standings) > 1:
            line.append(_against(row, comparison))
        table.append(line)
    return table


def cut_replies(rows: Sequence[MetricRow]) -> str:
    """Which students' replies were cut at the token limit, in a sentence; empty where few were. What is cut seldom
    states an answer, and the table alone does not say why none was found."""
    cut = [
        f"{' '.join([row.method, *[decoding_name(row)] * (row.samples > 1)])} {percent(row.truncated_rate, 0)}%"
        for row in rows
        if row.method != TEACHER and row.decoding != "decided"
        if row.truncated_rate is not None and row.truncated_rate >= _MANY
    ]
    return f"Replies cut at `evaluation.max_new_tokens`: {', '.join(cut)}." if cut else ""


def _compute(rows: Sequence[MetricRow]) -> bool:
    """Whether the replies of a method hold equations enough to speak of: one for every second question or more."""
    return any((row.equations or 0) >= row.n * row.samples / 2 for row in rows)


def _steps(row: MetricRow | None) -> str:
    return f"{percent(row.step_score, 0)}%" if row and row.step_score is not None else NOTHING


def pairs_table(comparison: Comparison) -> Table:
    """One line for each two methods: the difference, how many questions only one of them got right, and p."""
    level = f"{100 * comparison.confidence:g}%"
    table = [["first", "second", f"difference ({level})", "only first", "only second", "p", "p (Holm)"]]
    for p in comparison.pairs:
        table.append(
            [
                p.first,
                p.second,
                _difference(p),
                str(p.only_first),
                str(p.only_second),
                p_value(p.p).removeprefix("p").removeprefix("="),
                p_value(p.p_holm).removeprefix("p").removeprefix("="),
            ]
        )
    return table


def plain_text(table: Table) -> str:
    """The table with columns aligned by spaces: text to the left, figures to the right. For anything but a terminal."""
    widths = [max(cell_len(line[i]) for line in table) for i in range(len(table[0]))]
    right = [i > 0 and all(is_figure(line[i]) for line in table[1:]) for i in range(len(table[0]))]
    lines = (
        "  ".join(_aligned(c, w, to_the_right=r) for c, w, r in zip(line, widths, right, strict=True)) for line in table
    )
    return "\n".join(line.rstrip() for line in lines)


def _aligned(text: str, width: int, *, to_the_right: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if to_the_right else text + blanks


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """Lines of values as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def markdown(table: Table) -> str:
    """The table in Markdown, figures to the right."""
    # A pipe or a line break in a name would end the cell.
    clean = [[" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in table]
    rule = ["---"] + [
        "---:" if all(is_figure(line[i]) for line in table[1:]) else "---" for i in range(1, len(table[0]))
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [clean[0], rule, *clean[1:]])


def is_figure(cell: str) -> bool:
    """Whether a cell holds a figure, or nothing where one could stand."""
    return cell in ("", NOTHING) or cell[0] in "+−<.0123456789$"


def _difference(pairing: Pairing) -> str:
    return f"{points(pairing.difference)} [{points(pairing.low)}, {points(pairing.high)}]"


def _against(row: MetricRow, comparison: Comparison) -> str:
    """The cell of the last column; empty for rows the comparison is not about."""
    if row.task is not None or row.part is not None:
        return ""
    standing = next(
        (
            s
            for s in comparison.standings
            if (s.method, s.decoding, s.samples) == (row.method, row.decoding, row.samples)
        ),
        None,
    )
    if standing is None:
        return ""
    versus = comparison.versus_baseline(standing.label)
    return f"{points(versus.difference)}  {p_value(versus.p_holm)}" if versus else NOTHING


def _set_name(row: MetricRow) -> str:
    return " · ".join(part for part in (row.split, row.task, row.part) if part)
