"""Cells put together: arms over their seeds, panels against a baseline, and what is missing."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from grid_cases import a_grid, answered, cell, with_samples
from symdistill.errors import DataError
from symdistill.evaluation.grid import gather
from symdistill.evaluation.grid_plots import fraction_lines, numeric_keys, pareto_front, varied_lines
from symdistill.evaluation.grid_tables import (
    contrast_table,
    costs_table,
    fractions_table,
    grid_csv,
    grid_latex,
    grid_markdown,
    pairs_table,
    results_table,
    seeds_table,
    tasks_table,
)
from symdistill.evaluation.latex import escape, latex_table
from symdistill.evaluation.seeds import pooled, seed_difference
from symdistill.evaluation.statistics import holm


def bits(text: str) -> list[bool]:
    return [c == "1" for c in text]


def small(**changes):
    """Two methods, two seeds, eight questions: label-only right on the first two, std-cot on more with each seed."""
    cells = [
        cell("label-only", [answered("label-only", bits("11000000"))], seed=seed, teacher_usd=None, teacher_tokens=None)
        for seed in (0, 1)
    ]
    cells += [
        cell("std-cot", [answered("std-cot", bits(row), flops=3e9)], seed=seed)
        for seed, row in enumerate(("11111000", "11110100"))
    ]
    return gather(cells, **changes)


def test_an_arm_is_a_method_over_its_seeds():
    result = small()
    [panel] = result.panels
    label, cot = panel.arms
    assert (label.seeds, cot.seeds) == ((0, 1), (0, 1))
    assert cot.whole == pooled(np.array([bits("11111000"), bits("11110100")]))
    assert cot.whole.accuracy == 5 / 8
    assert (result.baseline, panel.baselines) == ("label-only", (label,))
    [against] = panel.against
    wanted = seed_difference(cot.verdicts, label.verdicts)
    assert (against.first, against.second, against.found, against.p_holm) == (cot, label, wanted, wanted.p)


def test_tasks_that_were_learned_from_are_in_domain():
    """Questions belong to sums, dates, navigate, web_of_lies in turn; the first two were learned from."""
    result = small()
    cot = result.panels[0].arms[1]
    assert result.domains == (("dates", "sums"), ("navigate", "web_of_lies"))
    assert cot.inside.accuracy == pytest.approx((3 + 3) / 8), "q0 q1 q4 and q0 q1 q5"
    assert cot.outside.accuracy == pytest.approx(4 / 8)
    assert {task: part.n for task, part in cot.by_task.items()} == dict.fromkeys(sorted(cot.by_task), 2)
    unknown = gather([replace(c, train_tasks=None) for c in result.cells])
    assert unknown.domains == ((), ())
    assert unknown.arms[0].inside is None


def test_costs_are_means_over_seeds_and_unknown_ones_stay_unknown():
    label, cot = small().panels[0].arms
    assert (cot.costs.flops, cot.costs.train_seconds, cot.costs.teacher_usd) == (3e9, 312.0, 0.42)
    assert label.costs.teacher_usd is None


def test_p_is_corrected_for_the_comparisons_of_a_panel():
    for panel in gather(a_grid(n=60)).panels:
        raw = [one.found.p for one in panel.against]
        assert len(raw) == 7
        assert [one.p_holm for one in panel.against] == holm(raw)
        assert len(panel.pairs) == 8 * 7 // 2


def test_panels_are_students_and_shares_with_the_largest_share_first():
    result = gather(a_grid(n=40, seeds=2, students=("one", "two")))
    assert [(p.student, p.fraction) for p in result.panels] == [
        (student, fraction) for student in ("one", "two") for fraction in (1.0, 0.5, 0.25)
    ]
    assert [(p.student, p.fraction) for p in result.main] == [("one", 1.0), ("two", 1.0)]
    assert all(panel.arms[0].method == "zero-shot" for panel in result.panels), "it depends on no share"


def test_the_teacher_stands_apart():
    teacher = answered("teacher", bits("11111110"))
    cells = [replace(c, evidence=(*c.evidence, teacher)) for c in small().cells]
    [panel] = gather(cells).panels
    assert [arm.method for arm in panel.arms] == ["teacher", "label-only", "std-cot"]
    assert panel.arms[0].seeds == (None,)
    assert len(panel.against) == 1, "it is no contender"
    assert len(panel.pairs) == 1


def test_each_arm_meets_the_baseline_of_its_own_setting():
    """Where the baseline itself is varied, like is compared with like."""
    cells = []
    for rate in ("1", "2"):
        for method in ("label-only", "std-cot"):
            verdicts = bits("11110000" if method == "std-cot" else "1" * int(rate) + "0" * (8 - int(rate)))
            cells.append(cell(method, [answered(method, verdicts)], vary={"rate": rate}))
    [panel] = gather(cells).panels
    met = {one.first.name: one.second.name for one in panel.against}
    assert met == {"std-cot, rate 1": "label-only, rate 1", "std-cot, rate 2": "label-only, rate 2"}


def test_what_failed_or_is_missing_is_shown_as_such():
    cells = list(small().cells)
    cells[3] = replace(cells[3], state="failed", error="out of memory", evidence=())
    cells.append(cell("scotd", [], state="failed", error="no rationale"))
    cells.append(cell("kard", [], state="missing"))
    result = gather(cells)
    [panel] = result.panels
    assert [(arm.method, arm.state, len(arm.seeds), arm.planned) for arm in panel.arms] == [
        ("label-only", "finished", 2, 2),
        ("std-cot", "finished", 1, 2),
        ("scotd", "failed", 0, 1),
        ("kard", "missing", 0, 1),
    ]
    assert panel.arms[1].errors == ("std-cot · seed 1: out of memory",)
    table = results_table(panel, result)
    assert [line[2:4] for line in table[2:]] == [["1 of 2", table[2][3]], ["0 of 1", "failed"], ["0 of 1", "missing"]]
    text = grid_markdown(result, "A grid")
    assert "- scotd · seed 0: failed. no rationale" in text
    assert "- kard · seed 0: missing." in text
    assert [row["state"] for row in csv.DictReader(io.StringIO(grid_csv(result)))] == [a.state for a in panel.arms]


def test_nothing_finished_is_no_error():
    result = gather([cell("label-only", [], state="missing")])
    assert (result.n, result.panels[0].against) == (0, ())
    assert "missing" in grid_markdown(result, "t")


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda e: replace(e, verdicts={"other": True}), "No question was answered by all"),
        (lambda e: replace(e, golds={}), "No question was answered by all"),
    ],
)
def test_runs_about_other_questions(change, says):
    cells = list(small().cells)
    cells[0] = replace(cells[0], evidence=tuple(change(e) for e in cells[0].evidence))
    with pytest.raises(DataError, match=says):
        gather(cells)


def test_questions_that_not_all_answered_are_left_out_and_it_is_said():
    cells = list(small().cells)
    [one] = cells[0].evidence
    cells[0] = replace(
        cells[0], evidence=(replace(one, verdicts={i: v for i, v in one.verdicts.items() if i != "q7"}),)
    )
    result = gather(cells)
    assert result.n == 7
    assert "compared are the 7" in result.notes[0]
    with pytest.raises(DataError, match="The baseline can be one of: label-only, std-cot"):
        small(baseline="scotd")


def test_contrast_sets_count_pairs_of_which_both_are_right():
    """q1, q3 and q5 are edits of q0, q2 and q4. Right: q0 q1 q2 q4 with the first seed, q0 q2 q3 with the second."""
    contrasts = {f"q{i}": f"q{i - 1}" for i in (1, 3, 5)}
    rows = ("11101000", "10110000")
    cells = [cell("scotd", [answered("scotd", bits(r), contrasts=contrasts)], seed=s) for s, r in enumerate(rows)]
    result = gather(cells)
    [arm] = result.panels[0].arms
    assert arm.contrast.originals.accuracy == pytest.approx(5 / 6)
    assert arm.contrast.edited.accuracy == pytest.approx(2 / 6)
    assert arm.contrast.pairs.accuracy == pytest.approx(2 / 6)
    assert contrast_table(result.panels[0])[1][:3] == ["scotd", "greedy", "3"]
    assert contrast_table(small().panels[0]) == []


def test_the_front_holds_what_nothing_beats():
    result = gather(a_grid(n=100))
    panel = result.panels[0]
    front = pareto_front(panel.arms)
    assert 1 <= len(front) < len(panel.arms)
    for arm in panel.arms:
        beaten = any(
            (other.costs.flops <= arm.costs.flops and other.whole.accuracy > arm.whole.accuracy)
            or (other.costs.flops < arm.costs.flops and other.whole.accuracy == arm.whole.accuracy)
            for other in panel.arms
            if other is not arm
        )
        assert beaten != (arm in front)


def test_curves_follow_what_was_varied():
    result = gather(a_grid(n=40, seeds=1))
    lines, flat = fraction_lines(result, "smollm2-135m")
    assert [x for x, _ in lines[0].places] == [0.25, 0.5, 1.0]
    assert (len(lines), [line.label for line in flat]) == (7, ["zero-shot"])
    result = gather(with_samples(n=40))
    assert numeric_keys(result) == ["samples"]
    lines, flat = varied_lines(result.panels[0], "samples")
    assert [line.label for line in lines] == ["scotd, greedy", "scotd, vote of 30"]
    assert [x for x, _ in lines[1].places] == [1, 5, 10, 20, 30]
    assert [line.label for line in flat] == ["label-only"]


def test_words_are_no_axis():
    cells = [cell("scotd", [answered("scotd", bits("10"))], vary={"select": how}) for how in ("random", "all")]
    assert numeric_keys(gather(cells)) == []


def test_tables_say_what_is_known():
    result = small()
    [panel] = result.panels
    assert results_table(panel, result)[0] == [
        *("method", "decoding", "seeds", "accuracy (95%)", "vs label-only (95%)", "p"),
        *("in domain", "out of domain", "parsed"),
    ]
    label, cot = results_table(panel, result)[1:]
    assert label[:3] == ["label-only", "greedy", "2"]
    assert label[3].startswith("25.0 [")
    assert label[4:6] == ["–", ""]
    assert cot[3].startswith("62.5 [")
    assert cot[4].startswith("+37.5 [")
    assert costs_table(panel)[2] == [
        *("std-cot", "greedy", "93", "48", "1.0 G", "3.0 G", "5:12 min", "41 s", "180 k", "$0.42"),
    ]
    assert seeds_table(panel)[2] == ["std-cot", "greedy", "62.5", "62.5", "0.0"]
    assert [line[0] for line in tasks_table(panel, result)[1:]] == [
        *("dates", "sums", "navigate (out of domain)", "web_of_lies (out of domain)"),
    ]
    assert pairs_table(panel)[1][:2] == ["std-cot, greedy", "label-only, greedy"]
    assert fractions_table(result, "smollm2-135m") == []


def test_the_csv_holds_unrounded_figures():
    rows = list(csv.DictReader(io.StringIO(grid_csv(gather(with_samples(n=50))))))
    assert {row["samples"] for row in rows if row["method"] == "scotd"} <= {"1", "5", "10", "20", "30"}
    vote = next(row for row in rows if row["decoding"] == "vote")
    assert (vote["seeds"], vote["comparisons"], vote["baseline"]) == ("0;1;2", "10", "label-only, greedy")
    assert float(vote["accuracy"]) == pytest.approx(np.mean([float(a) for a in vote["seed_accuracies"].split(";")]))


def test_latex_is_escaped_and_ruled():
    cells = [replace(c, method="50% & more_$x{}") for c in small().cells[2:]]
    cells = [replace(c, evidence=tuple(replace(e, method=c.method) for e in c.evidence)) for c in cells]
    text = grid_latex(gather([*small().cells[:2], *cells]), "A_grid")
    assert r"50\% \& more\_\$x\{\}" in text
    assert r"A\_grid" in text
    assert all(word in text for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\usepackage{booktabs}"))
    for block in text.split(r"\begin{tabular}{")[1:]:
        columns = block.split("}")[0]
        body = block.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert all(line.replace(r"\&", "").count("&") == len(columns) - 1 for line in body)


def test_every_special_character_is_escaped():
    assert escape("a\\b{c}$d&e#f%g_h^i~j\nk") == (
        r"a\textbackslash{}b\{c\}\$d\&e\#f\%g\_h\textasciicircum{}i\textasciitilde{}j k"
    )
    assert escape("−3.2 – ≤5") == r"$-$3.2 -- $\leq$5"
    assert r"\label{tab:x}" in latex_table([["a", "b"], ["x", "1.0"]], "c", "tab:x")
    assert r"{lr}" in latex_table([["a", "b"], ["x", "1.0"]], "c", "tab:x")
