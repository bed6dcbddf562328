"""The report's section on passages."""

from __future__ import annotations

from typing import Any

from symdistill.evaluation.recall import Mean, RecallRow
from symdistill.evaluation.report import render_report
from symdistill.evaluation.report_data import ReportData, RetrievalSummary

ROWS = [
    RecallRow(1, 40, Mean(0.25, 0.1, 0.4), 0.8, Mean(0.5, 0.35, 0.65), Mean(0.25, 0.1, 0.4)),
    RecallRow(3, 40, Mean(0.3, 0.2, 0.4), 0.9, Mean(0.2, 0.1, 0.3), Mean(-0.1, -0.2, 0.0)),
]
CARD = {"interaction": "late-interaction", "base": "table", "cases": 1200, "fingerprint": "x1"}


def page(**changes: Any) -> str:
    values: dict[str, Any] = {
        "method": "kard",
        "corpus": "wiki.jsonl",
        "passages": 12_345,
        "documents": 678,
        "words": 128,
        "read": 3,
        "candidates": 100,
        "reranker": CARD,
        "learned_from": 360,
        "rows": ROWS,
    }
    summary = RetrievalSummary(**(values | changes))
    html = render_report(ReportData(title="t", command="c", config="", retrievals=[summary]))
    return " ".join(html.split("What it reads")[1].split("</section>")[0].split()) if "What it reads" in html else ""


def test_the_section_says_what_is_read_and_what_reranking_changes() -> None:
    said = page()
    assert "3 passages of at most 128 words, out of 12,345 from 678 documents in wiki.jsonl" in said
    assert "late interaction over the student&#39;s token vectors" in said
    assert "1,200 rationales of 360 training questions" in said
    for cell in ("recall@1", "25.0 [10.0, 40.0]", "50.0 [35.0, 65.0]", "+25.0 [+10.0, +40.0]", "−10.0 [−20.0, 0.0]"):
        assert cell in said
    assert "40 training questions that the reranker did not learn from" in said


def test_without_a_reranker_or_a_measurement_it_says_so() -> None:
    bare = [RecallRow(3, 40, Mean(0.3, 0.2, 0.4), 0.9)]
    said = page(reranker=None, rows=bare, read=1)
    assert "nothing is reranked" in said
    assert "one passage of at most" in said
    assert "30.0 [20.0, 40.0]" in said
    assert "too few questions" in page(rows=[])


def test_what_a_corpus_is_called_is_text() -> None:
    assert "<b>" not in page(corpus="<b>x</b>", method="<b>kard</b>")


def test_a_run_that_reads_nothing_has_no_such_section() -> None:
    assert "What it reads" not in render_report(ReportData(title="t", command="c", config=""))
