"""Results as rows of text, Markdown and CSV; and the outcome in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symdistill.evaluation.comparison import Comparison, compare
from symdistill.evaluation.evidence import RunEvidence
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.outcome import outcome
from symdistill.evaluation.statistics import wilson
from symdistill.evaluation.tables import (
    cut_replies,
    metrics_table,
    pairs_table,
    plain_text,
)


def row(method: str, right: str, decoding="greedy", samples=1, **more) -> MetricRow:
    interval = wilson(right.count("1"), len(right))
    found = MetricRow(
        method=method,
        split="test",
        n=len(right),
        accuracy=right.count("1") / len(right),
        ci_low=interval.low,
        ci_high=interval.high,
        parse_rate=0.99,
        decoding=decoding,
        samples=samples,
        prompt_tokens=70.0,
        generated_tokens=64.2,
        prompt_flops_paper=7e9,
        flops=25.2e9 * samples,
        seconds=9.0,
        seed=0,
    )
    return replace(found, **more)


def evidence(method: str, right: str, decoding="greedy", samples=1, run="r") -> RunEvidence:
    verdicts = {f"q{i}": c == "1" for i, c in enumerate(right)}
    return RunEvidence(run, method, decoding, samples, verdicts, {}, row(method, right, decoding, samples))


HALF, MOST, ALL = "1100" * 30, "1110" * 30, "1111" * 30


def three() -> list[RunEvidence]:
    return [evidence("label-only", HALF), evidence("scotd", MOST), evidence("scotd", ALL, "vote", 8)]


def test_the_table_a_run_ends_with():
    runs = three()
    table = metrics_table([r.row for r in runs], compare(runs))
    assert table == [
        ["method", "decoding", "accuracy (95%)", "parsed", "tokens/q", "FLOPs/q", "vs label-only"],
        ["label-only", "greedy", "50.0 [41.2, 58.8]", "99%", "64", "25 G", "–"],
        ["scotd", "greedy", "75.0 [66.6, 81.9]", "99%", "64", "25 G", "+25.0  p<.001"],
        ["scotd", "vote of 8", "100.0 [96.9, 100.0]", "99%", "64", "202 G", "+50.0  p<.001"],
    ]


def test_without_a_comparison_nothing_is_compared():
    assert metrics_table([row("scotd", MOST)])[0][-1] == "FLOPs/q"
    assert metrics_table([row("scotd", MOST)], compare([evidence("scotd", MOST)]))[0][-1] == "FLOPs/q"


def test_a_remote_model_has_no_operations():
    assert metrics_table([row("zero-shot", MOST, flops=None)])[1][-1] == "–"


def test_rows_on_other_questions_get_a_column_that_says_so():
    rows = [row("scotd", MOST), row("scotd", HALF, task="sums"), row("scotd", HALF, part="edited")]
    table = metrics_table(rows, compare(three()))
    assert [line[2] for line in table] == ["set", "test", "test · sums", "test · edited"]
    assert [line[-1] for line in table[1:]] == ["+25.0  p<.001", "", ""]


def test_no_rows_make_a_header_alone():
    assert len(metrics_table([])) == 1


def test_plain_text_aligns_columns_and_has_no_trailing_blanks():
    lines = plain_text(metrics_table([r.row for r in three()], compare(three()))).split("\n")
    assert len(lines) == 4
    assert all(line == line.rstrip() for line in lines)
    ends = {line.index("%") for line in lines[1:]}
    assert len(ends) == 1
    assert all(line.isprintable() for line in lines)


def test_every_two_methods_are_in_the_pairs():
    table = pairs_table(compare(three()))
    assert [line[:2] for line in table[1:]] == [
        ["scotd, greedy", "label-only, greedy"],
        ["scotd, vote of 8", "label-only, greedy"],
        ["scotd, vote of 8", "scotd, greedy"],
    ]
    assert table[1][3:5] == ["30", "0"]


def told(*runs: RunEvidence) -> str:
    comparison: Comparison = compare(list(runs))
    said = outcome([r.row for r in runs if r.row], comparison)
    return " ".join([said.headline, *said.details])


@pytest.mark.parametrize(
    ("runs", "parts", "absent"),
    [
        (
            [evidence("label-only", HALF), evidence("scotd", MOST)],
            [
                "scotd answers 75.0% of the 120 held-out questions correctly (95% interval 66.6 to 81.9%), "
                "25.0 points more than label-only with 50.0%.",
                "30 were answered correctly by scotd alone and 0 by label-only alone",
                "McNemar p<.001",
                "about what an answer of label-only takes",
            ],
            ["chance", "corrected"],
        ),
        (
            [evidence("label-only", HALF), evidence("scotd", "1" + HALF[1:-1] + "1")],
            ["0.8 points more than label-only with 50.0%: a lead these questions cannot tell from chance.", "p=1"],
            [],
        ),
        (
            [evidence("label-only", MOST), evidence("scotd", HALF)],
            [
                "label-only is ahead: it answers 75.0%",
                "25.0 points more than the best other method, scotd, with 50.0%.",
            ],
            ["scotd answers", "chance"],
        ),
        (
            [evidence("label-only", "1" + HALF[1:-1] + "1"), evidence("scotd", HALF)],
            ["label-only is ahead", "these questions cannot tell that from chance"],
            [],
        ),
        (
            [evidence("label-only", HALF), evidence("scotd", HALF)],
            ["No method beats label-only", "exactly the same questions"],
            ["ahead"],
        ),
        (
            [evidence("label-only", HALF), evidence("scotd", MOST), evidence("scotd", MOST, "vote", 8)],
            [
                "scotd (greedy) answers 75.0%",
                "scotd (greedy) is not clearly ahead of scotd (vote of 8), which reaches 75.0%",
                "corrected for 2 comparisons",
            ],
            [],
        ),
        (
            [evidence("label-only", HALF), evidence("scotd", ALL, "vote", 8)],
            ["8.0 times what an answer of label-only takes (25 GFLOP)"],
            [],
        ),
        (
            [evidence("teacher", ALL), evidence("label-only", HALF), evidence("scotd", MOST)],
            ["scotd answers 75.0%", "The teacher itself answers 100.0%", "scotd reaches 75% of that"],
            ["teacher answers 100.0%", "not clearly ahead"],
        ),
        (
            [evidence("teacher", ALL), evidence("scotd", MOST)],
            ["scotd (greedy) answers 75.0%", "no other method", "scotd reaches 75% of that"],
            ["p<", "p="],
        ),
        ([evidence("scotd", HALF)], ["scotd (greedy) answers 50.0%", "no other method"], ["p=", "p<"]),
    ],
)
def test_the_outcome_in_words(runs, parts, absent):
    text = told(*runs)
    assert [p for p in parts if p not in text] == []
    assert [a for a in absent if a in text] == []


def test_nothing_evaluated_is_said():
    assert "No method was evaluated" in outcome([], None).headline


def test_rows_about_knowledge_show_retrievals_and_the_prompt_they_cost():
    plain, gated = row("std-cot", HALF), row("nesycd", MOST, retrieval_rate=0.254, prompt_tokens=131.6)
    header, first, second = metrics_table([plain, gated])
    at = header.index("retrieved")
    assert header[at - 1 : at + 3] == ["parsed", "retrieved", "prompt/q", "tokens/q"]
    assert first[at : at + 2] == ["–", "70"]
    assert second[at : at + 2] == ["25%", "132"]
    assert "retrieved" not in metrics_table([plain])[0]


def test_methods_that_compute_show_how_many_of_their_equations_hold():
    silent, computing = row("label-only", HALF), row("std-cot", MOST, equations=60, step_score=0.714)
    header, first, second = metrics_table([silent, computing])
    at = header.index("steps")
    assert (header[at - 1], header[at + 1]) == ("parsed", "tokens/q")
    assert (first[at], second[at]) == ("–", "71%")
    seldom = row("std-cot", MOST, equations=59, step_score=0.714)
    assert "steps" not in metrics_table([silent, seldom])[0]


@pytest.mark.parametrize(
    "rows, said",
    [
        ([row("zero-shot", "00", truncated_rate=1.0), row("std-cot", "01", truncated_rate=0.04)], "zero-shot 100%"),
        (
            [row("m", "01", truncated_rate=0.5), row("m", "01", "vote", 8, truncated_rate=0.75)],
            "m 50%, m vote of 8 75%",
        ),
        ([row("m", "01", truncated_rate=0.04), row("n", "01")], None),
        ([row("teacher", "01", truncated_rate=1.0), row("tree", "01", "decided", truncated_rate=1.0)], None),
    ],
)
def test_whose_replies_were_cut(rows: list[MetricRow], said: str | None):
    assert cut_replies(rows) == (f"Replies cut at `evaluation.max_new_tokens`: {said}." if said else "")
