"""Cells put together: arms over their seeds, panels against a baseline, and what is missing."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from grid_cases import a_grid, answered, bits, cell, check_tables, with_samples
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
    assert (against.first, against.second) == (cot, label)
    assert against.found.difference == 5 / 8 - 2 / 8
    assert against.found.low < 3 / 8 < against.found.high
    assert against.found.p == 2 / 2**4, "four questions differ, all one way: of their signs two ways are as far from 0"
    assert against.p_holm == against.found.p, "one comparison"


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
        corrected = [one.p_holm for one in panel.against]
        by_size = sorted(range(7), key=raw.__getitem__)
        assert corrected[by_size[0]] == pytest.approx(min(1, 7 * raw[by_size[0]])), "the smallest counts seven times"
        for rank, (before, at) in enumerate(pairwise(by_size), 1):
            alone = min(1, (7 - rank) * raw[at])
            assert corrected[at] == pytest.approx(max(alone, corrected[before])), "a later one is never below"
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


def test_the_same_ids_of_other_questions_are_not_compared():
    """Two files with questions q0, q1, …: where the words are known, they decide."""
    words = {f"q{i}": f"words {i}" for i in range(8)}
    mine = cell("std-cot", [answered("std-cot", bits("11110000"), asked=words)])
    old = cell("label-only", [answered("label-only", bits("11000000"))])
    partly = answered("scotd", bits("11000011"), asked={**words, "q3": "other words"})
    assert gather([mine, old, cell("scotd", [replace(partly, asked=words)])]).n == 8
    result = gather([mine, old, cell("scotd", [partly])])
    assert result.n == 7
    assert any("1 ids belong to different questions" in note for note in result.notes)
    other = answered("scotd", bits("11000011"), asked=dict.fromkeys(words, "other"))
    with pytest.raises(DataError, match="they belong to different questions"):
        gather([mine, old, cell("scotd", [other])])


def test_the_order_of_what_is_varied_makes_no_other_arm():
    orders = ({"a.x": "1", "b.y": "2"}, {"b.y": "2", "a.x": "1"})
    cells = [cell("m", [answered("m", bits("1100"))], seed=s, vary=vary) for s, vary in enumerate(orders)]
    [arm] = gather(cells).arms
    assert arm.seeds == (0, 1)


def test_keys_that_end_alike_are_told_apart():
    cells = [cell("m", [answered("m", bits("10"))], vary={"teacher.samples": "5", "m.samples": "2"})]
    result = gather(cells)
    assert result.arms[0].name == "m, teacher.samples 5, m.samples 2"
    [row] = csv.DictReader(io.StringIO(grid_csv(result)))
    assert (row["vary.teacher.samples"], row["vary.m.samples"], row["samples"]) == ("5", "2", "1")


def test_domains_are_those_of_each_method():
    """One method learned `sums`, another `dates`; the questions are about both."""
    cells = [
        cell("mine", [answered("mine", bits("1010"), tasks=("sums", "dates"))], train_tasks=frozenset({"sums"})),
        cell("yours", [answered("yours", bits("1010"), tasks=("sums", "dates"))], train_tasks=frozenset({"dates"})),
    ]
    result = gather(cells)
    mine, yours = result.arms
    assert (mine.inside.accuracy, mine.outside.accuracy) == (1, 0)
    assert (yours.inside.accuracy, yours.outside.accuracy) == (0, 1)
    assert result.domains == ((), ())
    assert "in domain" not in results_table(result.panels[0], result)[0]
    assert any("did not learn from the same tasks" in note for note in result.notes)


def test_an_arm_with_one_seed_left_takes_the_luck_of_the_others():
    """Three seeds of one method differ much, so one seed of another says little; the table says which one that is."""
    chance = np.random.default_rng(0)
    steady = [
        cell("steady", [answered("steady", chance.random(300) < share)], seed=s)
        for s, share in enumerate((0.35, 0.45, 0.40))
    ]
    left = [cell("left", [answered("left", np.arange(300) < 165)])]
    left += [cell("left", [], seed=s, state="failed", error="memory") for s in (1, 2)]
    result = gather([*steady, *left], baseline="steady")
    [panel] = result.panels
    arm = panel.arms[1]
    alone = pooled(arm.verdicts)
    assert (arm.seeds, arm.planned) == ((0,), 3)
    assert arm.whole.high - arm.whole.low > 2 * (alone.high - alone.low)
    assert panel.against[0].p_holm > 0.05 > seed_difference(arm.verdicts, panel.arms[0].verdicts).p
    assert "One seed is all there is of left" in grid_markdown(result, "t")
    assert "One seed is all" not in grid_markdown(gather(steady), "t")


def test_arms_of_one_student_count_once_for_the_luck_of_seeds():
    """A gate asked with four thresholds is four arms of the same three students."""
    chance = np.random.default_rng(0)
    answers = [chance.random(300) < share for share in (0.35, 0.45, 0.40)]

    def arms(of_one_student: bool):
        cells = [
            cell(f"gate{t}", [answered(f"gate{t}", right)], seed=s, weights=f"w{s}" if of_one_student else f"w{t}{s}")
            for t in range(4)
            for s, right in enumerate(answers)
        ]
        left = cell("left", [answered("left", np.arange(300) < 165)])
        return {arm.method: arm for arm in gather([*cells, left], baseline="gate0").arms}

    assert (arms(True)["left"].luck.degrees, arms(False)["left"].luck.degrees) == (2, 8)
    assert arms(True)["left"].whole.high > arms(False)["left"].whole.high


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
    assert arm.contrast.change.difference == pytest.approx(-3 / 6)
    assert arm.contrast.change.low < -3 / 6 < arm.contrast.change.high
    header, line = contrast_table(result.panels[0])
    assert line[:3] == ["scotd", "greedy", "3"]
    assert dict(zip(header, line, strict=True))["change"].startswith("−50.0 [")
    assert contrast_table(small().panels[0]) == []
    [row] = csv.DictReader(io.StringIO(grid_csv(result)))
    shares = [float(row[name]) for name in ("originals", "edited", "change", "both_right")]
    assert (row["contrast_pairs"], shares) == ("3", pytest.approx([5 / 6, 2 / 6, -3 / 6, 2 / 6]))
    assert float(row["both_right_low"]) < 2 / 6 < float(row["both_right_high"])
    assert "scotd & greedy & 3 & 83.3 [" in grid_latex(result, "t")


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
    assert numeric_keys(result) == ["teacher.samples"]
    lines, flat = varied_lines(result.panels[0], "teacher.samples")
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
    text = grid_csv(gather(with_samples(n=50)))
    header = text.splitlines()[0].split(",")
    assert len(header) == len(set(header)), "the teacher's samples and those of a vote have columns of their own"
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {(row["vary.teacher.samples"], row["samples"]) for row in rows if row["method"] == "scotd"}
    assert found == {(n, votes) for n in ("1", "5", "10", "20", "30") for votes in ("1", "30")}
    vote = next(row for row in rows if row["decoding"] == "vote")
    assert (vote["seeds"], vote["comparisons"], vote["baseline"]) == ("0;1;2", "10", "label-only, greedy")
    assert float(vote["accuracy"]) == pytest.approx(np.mean([float(a) for a in vote["seed_accuracies"].split(";")]))


def test_latex_is_escaped_and_ruled():
    cells = [replace(c, method="50% & more_$x{}") for c in small().cells[2:]]
    cells = [replace(c, evidence=tuple(replace(e, method=c.method) for e in c.evidence)) for c in cells]
    text = grid_latex(gather([*small().cells[:2], *cells]), "A_grid")
    assert r"50\% \& more\_\$x\{\}" in text
    assert r"A\_grid" in text
    assert all(word in text for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\usepackage{booktabs,graphicx}"))
    check_tables(text)


HOSTILE = ("[x]", '{"r":8}', "*", "κ × µ → 中 é ﬁ", "a\\b $x$ {y", "50%", "~^_#&|<>", "\x00\x1b\u202e", "--")


def test_latex_takes_every_name(tmp_path):
    """Names that begin like an option, varied groups of keys, letters that pdflatex does not know."""
    cells = []
    for number, name in enumerate(HOSTILE):
        right = [i % (number + 2) > 0 for i in range(12)]
        found = [answered(name, right, tasks=(name, "b"), contrasts={"q1": "q0"})]
        cells.append(cell(name, found, student=name, vary={f"student.{name}": name}))
    text = grid_latex(gather(cells), "".join(HOSTILE))
    check_tables(text)
    assert "tab:contrast-0" in text
    assert "tab:tasks-0" in text
    typeset(text, tmp_path)


def typeset(text: str, place: Path) -> None:
    """As a paper of the narrow kind takes it, where there is a pdflatex."""
    if not (pdflatex := shutil.which("pdflatex")):
        return
    packages, _, tables = text.partition("\n")
    source = [r"\documentclass{article}", packages.partition("Needs ")[2].partition(", and")[0]]
    source += [r"\begin{document}", tables, r"\end{document}", ""]
    (place / "paper.tex").write_text("\n".join(source))
    call = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    said = subprocess.run(call, cwd=place, capture_output=True, text=True, errors="replace", timeout=120)
    assert said.returncode == 0, said.stdout[-2000:]
    assert "Overfull" not in said.stdout


def test_every_table_of_the_grid_is_in_the_latex():
    text = grid_latex(gather(a_grid(n=40, seeds=2)), "A grid")
    check_tables(text)
    for label in ("results-0", "costs-0", "tasks-0", "results-2", "shares-0"):
        assert rf"\label{{tab:{label}}}" in text


def test_every_special_character_is_escaped():
    assert escape("a\\b{c}$d&e#f%g_h^i~j\nk") == (r"a$\backslash$b\{c\}\$d\&e\#f\%g\_h\^{}i\~{}j k")
    assert escape('"é" Å ç κ ½ 中') == r"''\'{e}'' {\AA} \c{c} $\kappa$ 1/2 [U+4E2D]"
    assert escape("−3.2 – ≤5") == r"$-$3.2 -- $\leq$5"
    assert r"\label{tab:x}" in latex_table([["a", "b"], ["x", "1.0"]], "c", "tab:x")
    assert r"{lr}" in latex_table([["a", "b"], ["x", "1.0"]], "c", "tab:x")
