"""Intervals and tests against published figures and against slow, obvious ways to compute the same."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.statistics import holm, mcnemar, paired_difference, wilson, wilson_of_groups


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
        # table I, score method without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_intervals(correct, n, low, high):
    interval = wilson(correct, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@pytest.mark.parametrize(("correct", "n", "confidence"), [(7, 10, 0.95), (69, 120, 0.9), (3, 200, 0.99)])
def test_wilson_ends_are_where_the_score_test_just_rejects(correct, n, confidence):
    # The interval's definition: |p̂ - p| = z·sqrt(p(1-p)/n) at both ends.
    z = {0.9: 1.6448536269514722, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[confidence]
    interval = wilson(correct, n, confidence)
    for end in (interval.low, interval.high):
        assert abs(correct / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n))


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_stays_within_bounds(correct, wrong, confidence):
    interval = wilson(correct, correct + wrong, confidence)
    assert 0 <= interval.low <= interval.high <= 1
    if correct + wrong:
        assert interval.low <= correct / (correct + wrong) <= interval.high
    assert interval.low == 0 or correct > 0
    assert interval.high == 1 or wrong > 0


def test_wilson_of_nothing_says_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize(("correct", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 2, 1.0), (1, 2, 0.0)])
def test_wilson_refuses_the_impossible(correct, n, confidence):
    with pytest.raises(ValueError):
        wilson(correct, n, confidence)


def pairs(only_first: int, only_second: int, both: int = 3, neither: int = 2) -> tuple[list[bool], list[bool]]:
    table = [(True, False)] * only_first + [(False, True)] * only_second + [(True, True)] * both
    table += [(False, False)] * neither
    return [a for a, _ in table], [b for _, b in table]


@pytest.mark.parametrize(
    ("only_first", "only_second", "p", "p_mid"),
    [
        # Fagerland, Lydersen and Laake (2013), airway hyper-responsiveness before and after transplantation.
        (1, 7, 0.0703125, 0.0390625),
        (7, 1, 0.0703125, 0.0390625),
        # By hand: 2·(1/2)^5, and less the point probability.
        (5, 0, 0.0625, 0.03125),
        (4, 4, 1.0, 1.0),
        (0, 0, 1.0, 1.0),
    ],
)
def test_mcnemar_golden_values(only_first, only_second, p, p_mid):
    test = mcnemar(*pairs(only_first, only_second))
    assert (test.only_first, test.only_second) == (only_first, only_second)
    assert test.p == pytest.approx(p, rel=1e-12)
    assert test.p_mid == pytest.approx(p_mid, rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_disagreements(b, c):
    test = mcnemar(*pairs(b, c))
    chances = [math.comb(b + c, k) / 2 ** (b + c) for k in range(b + c + 1)]
    observed = chances[min(b, c)]
    two_sided = sum(chance for chance in chances if chance <= observed * (1 + 1e-9))
    assert test.p == pytest.approx(min(1.0, two_sided))
    assert test.p_mid <= test.p


@pytest.mark.parametrize("b, c, p", [(5, 0, 1 / 32), (0, 5, 1.0), (3, 3, 1.0), (0, 0, 1.0), (4, 1, 6 / 32)])
def test_one_side_of_mcnemar_asks_whether_the_first_is_ahead(b, c, p):
    assert mcnemar(*pairs(b, c)).p_first_ahead == pytest.approx(p)


def test_mcnemar_with_thousands_of_disagreements_neither_overflows_nor_vanishes_too_early():
    test = mcnemar(*pairs(2600, 2400))
    # Normal approximation with continuity correction: |200| - 1 over sqrt(5000).
    assert test.p == pytest.approx(math.erfc(199 / math.sqrt(5000) / math.sqrt(2)), rel=0.02)


@pytest.mark.parametrize("function", [mcnemar, paired_difference])
def test_pairs_must_match(function):
    with pytest.raises(ValueError):
        function([True], [True, False])


def test_paired_difference_agrees_with_resampling_questions_one_by_one():
    rng = np.random.default_rng(5)
    first, second = rng.random(150) < 0.7, rng.random(150) < 0.5
    result = paired_difference(first.tolist(), second.tolist(), resamples=20_000)
    gaps = first.astype(float) - second.astype(float)
    plain = gaps[rng.integers(0, 150, size=(20_000, 150))].mean(axis=1)
    assert result.difference == pytest.approx(gaps.mean())
    assert (result.low, result.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.01)


def test_paired_difference_keeps_pairs_together():
    # Nearly equal methods on questions of very mixed difficulty: unpaired, the interval would be ten times as wide.
    first = [i % 2 == 0 for i in range(400)]
    second = [right and i != 0 for i, right in enumerate(first)]
    result = paired_difference(first, second)
    assert result.difference == pytest.approx(1 / 400)
    assert result.high - result.low < 0.012


def test_paired_difference_is_reproducible_and_turns_with_its_arguments():
    first, second = pairs(20, 9, 40, 31)
    once = paired_difference(first, second, seed=3)
    assert once == paired_difference(first, second, seed=3)
    assert len({paired_difference(first, second, seed=s, resamples=30).high for s in range(8)}) > 1
    back = paired_difference(second, first, seed=3)
    assert back.difference == -once.difference
    assert (back.low, back.high) == pytest.approx((-once.high, -once.low), abs=0.015)


def test_paired_difference_narrows_with_confidence_and_covers_what_it_estimates():
    first, second = pairs(20, 9, 40, 31)
    wide, narrow = (paired_difference(first, second, confidence=c) for c in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.difference < narrow.high < wide.high


def test_paired_difference_of_nothing_is_an_error():
    with pytest.raises(ValueError):
        paired_difference([], [])


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        # 4·.005, 3·.01, 2·.03, and .04 raised to the one before.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_golden_values(raw, adjusted):
    assert holm(raw) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_order_and_lies_between_raw_and_bonferroni(raw):
    adjusted = holm(raw)
    for p, q in zip(raw, adjusted, strict=True):
        assert p <= q <= min(1.0, len(raw) * p) + 1e-12
    order = sorted(range(len(raw)), key=raw.__getitem__)
    assert all(adjusted[i] <= adjusted[j] for i, j in pairwise(order))


def test_verdicts_that_are_alike_within_groups_count_as_their_groups():
    each_its_own = [f"g{n}" for n in range(8)]
    verdicts = [True, True, False, True, False, True, True, True]
    assert wilson_of_groups(verdicts, each_its_own) == wilson(6, 8)
    four_times = wilson_of_groups([v for v in verdicts for _ in range(4)], [g for g in each_its_own for _ in range(4)])
    few, many = wilson(6, 8), wilson(24, 32)
    assert four_times.low < few.low < many.low < many.high < few.high < four_times.high
    mixed = wilson_of_groups([True, False, True, True] * 30, [f"g{n // 4}" for n in range(120)])
    assert mixed.low == pytest.approx(wilson(90, 120).low, abs=0.02), "groups that are no more alike than chance"


def test_groups_without_any_variation_are_no_point():
    assert wilson_of_groups([True] * 12, ["a"] * 6 + ["b"] * 6) == wilson(2, 2)
    assert wilson_of_groups([False] * 3, ["a"] * 3) == wilson(0, 1)
    assert wilson_of_groups([True, False], ["a", "a"]) == wilson(0.5, 1)
    assert wilson_of_groups([], []) == wilson(0, 0)
    with pytest.raises(ValueError, match="2 verdicts and 1 groups"):
        wilson_of_groups([True, False], ["a"])


def test_intervals_of_groups_hold_the_share_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        shares = rng.beta(0.7, 0.7, size=15)
        verdicts = [bool(v) for share in shares for v in rng.random(6) < share]
        interval = wilson_of_groups(verdicts, [f"g{n // 6}" for n in range(90)])
        held.append(interval.low <= 0.5 <= interval.high)
    assert np.mean(held) > 0.92
