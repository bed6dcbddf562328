"""The report's section on passages: what is read, and how much of what rationales find their questions find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdistill.evaluation.figures import NOTHING, clean, count, percent, points
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.recall import Mean, RecallRow
from symdistill.evaluation.report_data import RetrievalSummary
from symdistill.evaluation.tables import Table


def retrieval_section(summary: RetrievalSummary, rows: Sequence[MetricRow] = ()) -> Mapping[str, Any]:
    """One sentence about the passages, one about the reranker, and recall before and after it. `rows` are the run's
    results: they tell for how many questions the passages made the prompt too long."""
    return {
        "method": clean(summary.method, 80),
        "read": _read(summary) + _shortened(summary, rows),
        "reranker": _reranker(summary),
        "recall": _recall(summary.rows) if summary.rows else [],
        "n": summary.rows[0].n if summary.rows else 0,
    }


def _read(summary: RetrievalSummary) -> str:
    before = "one passage" if summary.read == 1 else f"{summary.read} passages"
    return (
        f"Before each question stand {before} of at most {summary.words} words, out of {count(summary.passages)} from "
        f"{count(summary.documents)} documents in {clean(summary.corpus, 200)}: in training those that BM25 finds with "
        f"the rationale, at inference those found with the question."
    )


def _shortened(summary: RetrievalSummary, rows: Sequence[MetricRow]) -> str:
    most = max((r.shortened or 0 for r in rows if r.method == summary.method and r.task is None), default=0)
    if not most:
        return ""
    return f" Before {count(most)} held-out questions stood fewer passages, since the student reads no longer prompt."


def _reranker(summary: RetrievalSummary) -> str:
    card = summary.reranker
    if card is None:
        return "At inference they are BM25's best; nothing is reranked."
    stands = "an encoder" if card.get("base") == "encoder" else "the student's token vectors"
    kind = clean(str(card.get("interaction", "")), 40).replace("late-interaction", "late interaction")
    share = card.get("lexical")
    mix = f"its score counts BM25's with a share of {share:g}" if share is not None else "BM25's order is kept"
    return (
        f"At inference a reranker ({kind} over {stands}) chooses them out of BM25's {count(summary.candidates)} best. "
        f"It learned from {count(card.get('cases'))} rationales of {count(summary.learned_from)} training questions; "
        f"{mix}{_why(summary, share)}. FLOPs/q hold what it computes."
    )


def _why(summary: RetrievalSummary, share: float | None) -> str:
    if not summary.chosen_on:
        return ""
    others = f"{count(summary.chosen_on)} other training questions"
    return f", as was best on {others}" if share is not None else f": no other was clearly better on {others}"


def _recall(rows: Sequence[RecallRow]) -> Table:
    table = [["passages found of the rationale's best", "BM25(q)", "reranked", "difference", "among the candidates"]]
    for row in rows:
        gain = NOTHING
        if row.gain is not None:
            gain = f"{points(row.gain.value)} [{points(row.gain.low)}, {points(row.gain.high)}]"
        table.append([f"recall@{row.k}", _share(row.before), _share(row.after), gain, percent(row.reachable)])
    return table


def _share(mean: Mean | None) -> str:
    return NOTHING if mean is None else f"{percent(mean.value)} [{percent(mean.low)}, {percent(mean.high)}]"
