"""Recall of what rationales find, before and after reranking."""

from __future__ import annotations

import pytest

from symdistill.errors import DataError
from symdistill.evaluation.recall import SHARES, Mean, MixCase, RankedCase, RecallRow, best_share, recall_rows

CASES = [
    RankedCase("a", [[1, 2, 3], [4, 5, 6]], [1, 9, 4], [2, 1, 4], [1, 9, 4, 2, 5]),
    RankedCase("b", [[7]], [7, 8], [8, 7], [7, 8]),
    RankedCase("c", [[]], [1], [1], [1]),
]


def test_recall_is_the_share_of_the_rationales_best_in_the_mean_over_rationales_then_questions() -> None:
    one, three = recall_rows(CASES, [3, 1, 3])
    assert (one.k, three.k, one.n) == (1, 3, 2), "a rationale that finds nothing says nothing"
    # a: 1 of {1} and 0 of {4}; b: 1 of {7}
    assert one.before.value == pytest.approx((0.5 + 1) / 2)
    assert one.after is not None
    assert one.after.value == pytest.approx(0)
    assert one.gain is not None
    assert one.gain.value == pytest.approx(-0.75)
    assert one.reachable == pytest.approx(1.0)
    # a: {1} of {1, 2, 3} and {4} of {4, 5, 6}; reranked {1, 2} and {4}
    assert three.before.value == pytest.approx((1 / 3 + 1) / 2)
    assert three.after is not None
    assert three.after.value == pytest.approx((0.5 + 1) / 2)
    assert three.reachable == pytest.approx((2 / 3 + 1) / 2)


def test_intervals_hold_the_mean_and_shrink_with_questions() -> None:
    def row(n: int) -> RecallRow:
        return recall_rows([RankedCase(str(i), [[1]], [1 + i % 2], [1], [1, 2]) for i in range(n)], [1])[0]

    few, many = row(20), row(2_000)
    for found in (few, many):
        assert found.before.low < found.before.value < found.before.high
        assert found.gain is not None
        assert 0 < found.gain.low < 0.5 < found.gain.high
    assert many.before.high - many.before.low < (few.before.high - few.before.low) / 5
    assert row(20) == few, "the same questions give the same interval"


def test_without_a_reranker_there_is_no_after() -> None:
    [row] = recall_rows([RankedCase("a", [[1]], [1], None, [1])], [1])
    assert (row.after, row.gain, row.before) == (None, None, Mean(1.0, 1.0, 1.0))
    assert recall_rows([CASES[2]], [1]) == recall_rows([], [1]) == []


def test_a_row_is_written_and_read() -> None:
    for row in recall_rows(CASES, [1, 3]):
        assert RecallRow.from_dict(row.to_dict(), "x") == row
    with pytest.raises(DataError, match=r"retrieval\.json"):
        RecallRow.from_dict({"k": 1}, "retrieval.json")


def mix_case(similarities: list[float], wanted: int = 2) -> MixCase:
    """Three candidates in BM25's order: shares of 1, .9 and .8."""
    return MixCase([[wanted]], [1, 2, 3], similarities, [1.0, 0.9, 0.8])


@pytest.mark.parametrize(
    "cases, share",
    [
        # Where the similarities know, as much of BM25 as leaves them right: 0.5 outweighs 1.6 · 0.1; 0.02, 0.1 · 0.1.
        ([mix_case([0.0, 0.5, 0.0])] * 4, 1.6),
        ([mix_case([0.0, 0.02, 0.0])] * 4, 0.1),
        ([mix_case([0.0, 0.001, 0.0])] * 4, 0.0),
        # BM25 is right, or as right as any mix.
        ([mix_case([0.0, 0.5, 0.0], wanted=1)] * 4, None),
        ([mix_case([0.0, 0.0, 0.0])] * 4, None),
        # One question that gains among four is within the error; with more it is not.
        ([mix_case([0.0, 0.5, 0.0]), *[mix_case([0.5, 0.0, 0.0], wanted=1)] * 3], None),
        ([*[mix_case([0.0, 0.5, 0.0])] * 3, mix_case([0.5, 0.0, 0.0], wanted=1)], 1.6),
        # No evidence.
        ([mix_case([0.0, 0.5, 0.0])], None),
        ([MixCase([[]], [1], [1.0], [1.0])] * 4, None),
        ([], None),
    ],
)
def test_bm25_counts_as_much_as_it_helps(cases: list[MixCase], share: float | None) -> None:
    assert best_share(cases, 1) == share


def test_shares_go_from_almost_all_to_nothing() -> None:
    assert list(SHARES) == sorted(SHARES, reverse=True)
    assert SHARES[-1] == 0
