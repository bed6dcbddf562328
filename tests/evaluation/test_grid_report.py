"""The grid's page: offline, whole, small, and honest about what came out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grid_cases import a_grid, answered, cell, with_samples
from pages import Page, inside, words
from symdistill.errors import RunDirectoryError
from symdistill.evaluation.grid import gather
from symdistill.evaluation.grid_plots import fraction_lines, line_plot, pareto_plot
from symdistill.evaluation.grid_report import GridReport, headline, render_grid_report, write_grid_report
from symdistill.evaluation.report import MAX_BYTES


def page_of(cells, **changes) -> str:
    return render_grid_report(GridReport("A grid", "symdistill compare grid.yaml", gather(cells), **changes))


def test_the_page_has_every_section_and_needs_nothing_but_itself() -> None:
    text = page_of(a_grid(n=80), config="task: {}\n", provenance={"symdistill": "0.1"})
    page = Page(text)
    for heading in (
        *("Results", "Accuracy against what an answer costs", "What it cost", "How to repeat it"),
        *("Accuracy against the share of training questions", "Smaller shares of the data", "By seed", "By task"),
    ):
        assert heading in page.text, heading
    assert "In and out of domain" in page.text
    assert "out of domain, vs label-only (95%)" in page.text
    assert "Holm-corrected for the 7 comparisons" in page.text
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert not [v for _, attributes in page.tags for k, v in attributes.items() if k in ("src", "href", "onclick")]
    assert "http:" not in text
    assert "https:" not in text
    assert len(text.encode()) < 200_000


def test_the_curve_over_samples_is_drawn() -> None:
    page = Page(page_of(with_samples()))
    assert "Accuracy against teacher.samples" in page.text
    assert "Dashed: label-only, which do not depend on it." in page.text
    assert "Smaller shares" not in page.text


def test_a_large_grid_stays_small_enough() -> None:
    students = tuple(f"student-{i}" for i in range(8))
    text = page_of(a_grid(n=24, seeds=2, fractions=(0.1, 0.2, 0.4, 0.8, 1.0), students=students))
    assert len(text.encode()) <= MAX_BYTES
    assert all(student in text for student in students)


def test_hostile_names_are_text() -> None:
    word = "<script>alert(1)</script>&\u202e"
    cells = [
        replace(
            cell(word, [answered(word, [True, False] * 6, tasks=(word, "b"))], seed=s, student=word, vary={word: word}),
            title=word,
        )
        for s in (0, 1)
    ]
    cells.append(replace(cells[0], method="other", state="failed", error=word, evidence=()))
    page = Page(page_of(cells, config=word, provenance={word: word}))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "\u202e" not in page.text
    assert "alert(1)" in page.text


@pytest.mark.parametrize(
    "verdicts, says",
    [
        ((0.2, 0.9), "std-cot answers 90.0% of the 100 held-out questions correctly"),
        ((0.5, 0.52), "cannot tell from chance"),
        ((0.9, 0.2), "No method beats label-only."),
    ],
)
def test_the_headline_says_what_came_out(verdicts, says) -> None:
    cells = [
        cell(method, [answered(method, [i < 100 * share for i in range(100)])])
        for method, share in zip(("label-only", "std-cot"), verdicts, strict=True)
    ]
    result = gather(cells)
    assert says in headline(result, result.panels[0])


def test_nothing_finished_makes_a_page_too() -> None:
    page = Page(page_of([cell("label-only", [], state="missing"), cell("kard", [], state="failed", error="no corpus")]))
    assert "No run of this grid is finished yet." in page.text
    assert "no corpus" in page.text
    assert "1 failed, 1 missing" in page.text


def test_plots_stay_in_their_frames() -> None:
    result = gather(a_grid(n=40))
    lines, flat = fraction_lines(result, "smollm2-135m")
    plot = line_plot(lines, flat, "Accuracy", percent=True)
    assert plot is not None
    assert inside(plot)
    assert {"25%", "50%", "100%", "skintern"} <= set(words(plot))
    pareto = pareto_plot(result.panels[0], "Pareto")
    assert pareto is not None
    assert inside(pareto)
    assert "nesycd" in words(pareto)
    assert line_plot(lines[:1], [], "one") is not None
    assert line_plot([], flat, "none") is None
    assert pareto_plot(gather([cell("a", [answered("a", [True])])]).panels[0], "one") is None


def test_a_page_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    report = GridReport("A grid", "c", gather(a_grid(n=8, seeds=1)))
    with pytest.raises(RunDirectoryError, match="cannot be written") as problem:
        write_grid_report(report, tmp_path / "file" / "report.html")
    assert "--output" in problem.value.fix
    write_grid_report(report, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().endswith("</html>")
