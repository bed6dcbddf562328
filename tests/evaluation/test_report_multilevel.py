"""The page of a multilevel run: whole, escaped, and honest about what is not known."""

from __future__ import annotations

import dataclasses

import pytest

from pages import Page
from symdistill.evaluation.multilevel_metrics import Diversity, Novelty, RoundFigures, StudentFigures
from symdistill.evaluation.report_multilevel import (
    MultilevelReport,
    Shown,
    dropped_table,
    outcome_sentence,
    progress_line,
    render_multilevel_report,
    rounds_table,
    students_table,
)
from symdistill.evaluation.statistics import Interval

FIGURES = [RoundFigures(0, "file seeds.jsonl", 20, 20, 18, 14, dropped={"steps": 2}, right=4, graded=4, right_before=4)]
FIGURES = [
    dataclasses.replace(FIGURES[0], graded_before=4),
    RoundFigures(
        1,
        "student 1",
        20,
        40,
        10,
        8,
        failed=1,
        dropped={"steps": 20, "cut": 10},
        right=1,
        graded=2,
        right_before=2,
        graded_before=8,
        novelty=Novelty(30, 40, 8, 8),
        diversity=Diversity(0.4, 0.71, 7.25, 10),
        score=0.625,
        scored_by="critic",
        tokens=1234,
    ),
]
HALVES = [
    StudentFigures(n, {f"d{at}": at < n for at in range(4)}, {f"r{at}": at < 5 * n for at in range(10)}) for n in (1, 2)
]
REPORT = MultilevelReport(
    "rounds <b>",
    "smollm2-135m",
    FIGURES,
    "rounds",
    1,
    audited_by="the inputs' gold answers",
    students=HALVES[:1],
    paid="Paid for: 7 replies.",
    filters=["steps (min_checked 1)"],
    shown=[[Shown("in", "out", "", True)], [Shown("<script>alert(1)</script>", "\x1b[31mred", "steps: no", False)]],
    command="symdistill run x.yaml",
    config="seed: 0",
    provenance={"Python": "3.11"},
)


def test_the_page_is_whole_and_says_what_happened() -> None:
    page = Page(render_multilevel_report(REPORT))
    assert "All rounds that were asked for were run. 22 outputs were kept to learn from" in page.text
    assert "yield went from 90.0% to 25.0%" in page.text
    assert "Student 1 is the run's: it did best on the fixed inputs that decide." in page.text
    assert (
        "On the 10 fixed inputs that decided nothing 50.0 [23.7, 76.3]% of its greedy outputs are right." in page.text
    )
    assert "Paid for: 7 replies." in page.text
    assert "Audited by the inputs' gold answers" in page.text
    assert "steps: no, graded wrong" in page.text
    assert "kept, graded right" in page.text
    assert "are of 10 outputs of each round" in page.text
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert "\x1b" not in page.text


def test_the_table_has_a_line_a_round_and_a_star_for_the_student() -> None:
    header, first, second = rounds_table(FIGURES, 1)
    assert dict(zip(header, second, strict=True)) == {
        "round": "1",
        "written by": "student 1*",
        "inputs": "20",
        "written": "40",
        "kept": "10",
        "yield": "25.0",
        "audited before (95%)": "25.0 [7.1, 59.1]",
        "audited (95%)": "50.0 [9.5, 90.5]",
        "new 3-grams": "75.0",
        "new": "100.0",
        "distinct-2": "0.71",
        "Vendi": "7.2",
        "critic": "0.625",
        "tokens": "1,234",
    }
    assert first[-2:] == ["–", "–"]
    assert dropped_table(FIGURES) == [
        ["round", "steps", "cut", "no reply"],
        ["0", "2", "0", "0"],
        ["1", "20", "10", "1"],
    ]
    assert progress_line(FIGURES[1]).startswith("student 1   kept 10 of 40   audited 50.0 [9.5, 90.5]%   75.0% new")


def test_the_intervals_of_a_round_are_those_that_were_measured() -> None:
    wider = dataclasses.replace(
        FIGURES[1], intervals={"precision": Interval(0.01, 0.99), "accuracy": Interval(0.02, 0.98)}
    )
    header, line = rounds_table([wider])
    shown = dict(zip(header, line, strict=True))
    assert (shown["audited (95%)"], shown["audited before (95%)"]) == ("50.0 [1.0, 99.0]", "25.0 [2.0, 98.0]")
    assert "audited 50.0 [1.0, 99.0]%" in progress_line(wider)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stopped": "drift"}, "learning to please a critic"),
        ({"stopped": "novelty"}, "little of what the last one kept was new"),
        ({"figures": FIGURES[:1], "stopped": "items", "students": ()}, "nothing was asked of it yet"),
        ({"students": ()}, "Nothing was audited, and the last student, 1, is the run's."),
        (
            {"students": HALVES, "chosen": 2},
            "Beside student 1 that is +50.0 points [+20.0, +80.0], p=.062, no more than chance may do.",
        ),
    ],
)
def test_the_outcome_in_a_sentence(changes: dict[str, object], said: str) -> None:
    assert said in outcome_sentence(dataclasses.replace(REPORT, **changes))  # type: ignore[arg-type]
    Page(render_multilevel_report(dataclasses.replace(REPORT, **changes)))  # type: ignore[arg-type]


def test_students_stand_beside_the_first_on_what_decided_nothing() -> None:
    header, first, second = students_table(dataclasses.replace(REPORT, students=HALVES, chosen=2))
    assert (first[0], first[-2:]) == ("1", ["–", "–"])
    assert dict(zip(header, second, strict=True)) == {
        "student": "2*",
        "deciding (95%)": "50.0 [15.0, 85.0]",
        "of": "10",
        "reported (95%)": "100.0 [72.2, 100.0]",
        "beside student 1, reported (95%)": "+50.0 [+20.0, +80.0]",
        "p": ".062",
    }
    assert students_table(dataclasses.replace(REPORT, students=[StudentFigures(1, {}, {})])) == []
    three = [*HALVES, dataclasses.replace(HALVES[1], student=3)]
    header, *lines = students_table(dataclasses.replace(REPORT, students=three, chosen=3))
    assert [line[3:] == ["–"] * 4 for line in lines] == [False, True, False], "nobody chooses by what is reported"
    assert lines[1][1:3] == lines[2][1:3]


def test_without_an_audit_the_page_says_so() -> None:
    page = Page(render_multilevel_report(dataclasses.replace(REPORT, audited_by="")))
    assert "Nothing was audited" in page.text
