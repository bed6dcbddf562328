"""The review queue, decisions, and who agrees with whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import DataError
from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.review import (
    Decision,
    append_decisions,
    audit_sample,
    raters,
    read_decisions,
    review_queue,
    standings,
)

MANY = [Triple(f"PersonX does {n}", "xWant", f"to do {n}", (n % 100) / 100) for n in range(300)]


def test_the_doubtful_with_much_depending_on_them_come_first() -> None:
    hub = [Triple("PersonX hosts", "xWant", f"tail {n}", 0.95) for n in range(20)]
    doubtful_hub, unknown, doubtful, sure = (
        Triple("PersonX hosts", "xNeed", "a house", 0.6),
        Triple("x", "r", "y", None),
        Triple("a", "r", "b", 0.5),
        Triple("c", "r", "d", 1.0),
    )
    queue = review_queue([sure, *hub, doubtful, unknown, doubtful_hub], reviewer="ann", size=3, audit_share=0)
    assert queue[0].triple == doubtful_hub
    assert {w.triple for w in queue[1:]} == {unknown, doubtful}
    assert queue[0].score == pytest.approx(0.8 * queue[0].impact)
    conflict = review_queue([sure, doubtful], reviewer="ann", conflicts={sure.id: 2}, size=1, audit_share=0)
    assert (conflict[0].triple, conflict[0].uncertainty, conflict[0].conflicts) == (sure, 1.0, 2)


def test_what_a_reviewer_judged_does_not_come_again_but_to_others_it_does() -> None:
    first = review_queue(MANY, reviewer="ann", size=10)
    done = [Decision(w.triple.id, "accept", "ann") for w in first]
    ids = {w.triple.id for w in first}
    assert not ids & {w.triple.id for w in review_queue(MANY, done, reviewer="ann", size=10)}
    assert ids == {w.triple.id for w in review_queue(MANY, done, reviewer="bob", size=10)}


def test_the_audit_slice_is_a_fair_sample_whatever_the_queue_prefers() -> None:
    truth = {t.id: (t.confidence or 0) >= 0.3 for t in MANY}
    decisions: list[Decision] = []
    for _ in range(10):
        for waiting in review_queue(MANY, decisions, reviewer="ann", size=20, audit_share=0.4):
            verdict = "accept" if truth[waiting.triple.id] else "reject"
            decisions.append(Decision(waiting.triple.id, verdict, "ann", slice=waiting.slice))
    sample = audit_sample(MANY, decisions)
    assert len(sample) >= 80
    share = sum(standing == "accepted" for standing in sample.values()) / len(sample)
    queued = [d for d in decisions if d.slice == "queue"]
    assert share == pytest.approx(0.7, abs=0.1)
    assert len(decisions) == len({d.triple for d in decisions}) == 200
    assert all(d.triple in sample or d in queued for d in decisions)
    assert audit_sample(MANY, queued) == {}


def test_where_a_triple_stands() -> None:
    decisions = [
        *(Decision("t1", "reject", "ann"), Decision("t1", "accept", "ann"), Decision("t1", "unsure", "bob")),
        *(Decision("t2", "accept", "ann"), Decision("t2", "reject", "bob")),
        *(Decision("t3", "unsure", "ann"), Decision("t4", "reject", "ann")),
    ]
    assert standings(decisions) == {"t1": "accepted", "t2": "disputed", "t3": "unsure", "t4": "rejected"}


def test_two_reviewers_are_compared_on_what_both_judged() -> None:
    verdicts = ["accept"] * 6 + ["reject"] * 4
    ann = [Decision(f"t{n}", v, "ann") for n, v in enumerate(verdicts)]  # type: ignore[arg-type]
    bob = [Decision(f"t{n}", "accept" if n < 5 else "reject", "bob") for n in range(8)]
    found = raters([*ann, *bob])
    agreement = found.pairs["ann", "bob"]
    assert (agreement.n, agreement.observed) == (8, 7 / 8)
    assert agreement.kappa == pytest.approx((7 / 8 - (6 * 5 + 2 * 3) / 64) / (1 - (6 * 5 + 2 * 3) / 64))
    assert found.alpha is not None
    assert raters(ann).pairs == {}
    assert raters(ann).alpha is None


def test_decisions_are_kept_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    assert read_decisions(path) == []
    first = Decision("t1", "accept", "ann", "2026-11-22T08:00:00Z", "a\nnote \u2028", "audit")
    append_decisions(path, [first])
    with path.open("ab") as file:
        file.write(b'{"triple": "t2", "verdict": "rej')  # the machine went off here
    append_decisions(path, [Decision("t3", "reject", "bob")])
    with pytest.raises(DataError, match="line 2"):
        read_decisions(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    assert read_decisions(path) == [first, Decision("t3", "reject", "bob")]


@pytest.mark.parametrize(
    "row, said",
    [
        ('{"triple": "t", "verdict": "accept"}', "line 1: not a decision"),
        ('{"triple": "t", "verdict": "yes", "reviewer": "ann"}', "line 1: unknown verdict 'yes'"),
        ('{"triple": "t", "verdict": "accept", "reviewer": "ann", "slice": "all"}', "line 1: unknown slice 'all'"),
        ('{"triple": 1, "verdict": "accept", "reviewer": "ann"}', "line 1: not a decision"),
    ],
)
def test_what_is_no_decision_is_told(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "d.jsonl").write_text(row)
    with pytest.raises(DataError, match=said):
        read_decisions(tmp_path / "d.jsonl")


def test_decisions_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was decided"):
        append_decisions(tmp_path / "none" / "d.jsonl", [Decision("t", "accept", "ann")])
