"""Novelty and diversity of rounds, with values counted by hand."""

from __future__ import annotations

import pytest

from symdistill.evaluation.multilevel_metrics import Novelty, RoundFigures, diversities, novelties


def test_novelty_counts_what_no_earlier_round_had() -> None:
    rounds = [["the cat sat down"], ["the cat sat up", "the cat sat down"], ["the cat sat up"], [], ["one two three"]]
    assert novelties(rounds) == [
        None,
        Novelty(new_ngrams=1, ngrams=3, new_outputs=1, outputs=2),
        Novelty(0, 2, 0, 1),
        None,
        Novelty(1, 1, 1, 1),
    ]
    assert novelties(rounds[:1], ["the cat sat up"]) == [Novelty(1, 2, 1, 1)]
    assert Novelty(0, 0, 0, 0).share is None


def test_diversity_is_compared_on_samples_of_one_size() -> None:
    alike = ["the same words again"] * 40
    varied = [f"word{n} other{n} third{n}" for n in range(25)]
    few = ["a few words"] * 9
    first, second, third = diversities([varied, alike, few])
    assert first is not None
    assert second is not None
    assert third is None
    assert first.of == second.of == 25
    assert first.distinct_2 == 1.0
    assert second.distinct_2 == pytest.approx(3 / 75)
    assert first.vendi == pytest.approx(25, rel=0.01)
    assert second.vendi == pytest.approx(1, rel=0.01)
    assert diversities([few]) == [None]


def test_a_larger_round_is_not_less_varied_for_being_larger() -> None:
    texts = [f"{a} {b} {c}" for a in "abcdefgh" for b in "ijkl" for c in "mnop"]
    small, large = diversities([texts[::8], texts])
    assert small is not None
    assert large is not None
    assert abs(small.distinct_2 - large.distinct_2) < 0.25


def test_shares_of_nothing_are_not_known() -> None:
    one = RoundFigures(0, "file", 3, 3, 2, 2)
    assert one.precision is None
    assert one.accuracy is None
    two = RoundFigures(1, "student 1", 3, 3, 2, 2, right=1, graded=2, right_before=1, graded_before=4)
    assert (two.precision, two.accuracy) == (0.5, 0.25)
