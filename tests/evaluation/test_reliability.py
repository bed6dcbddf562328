"""Calibration error, Brier score, AUROC and risk–coverage against slow, obvious ways to compute the same."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.reliability import (
    CASES_A_BIN,
    MOST_BINS,
    auroc,
    brier,
    calibration_error,
    error_by_chance,
    reliability,
    risk_area,
    risk_coverage,
)
from symdistill.evaluation.statistics import wilson

# Few distinct values, so that ties are the rule.
CASES = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.booleans()),
    min_size=1,
    max_size=120,
)


def split(cases):
    return [c for c, _ in cases], [r for _, r in cases]


@given(CASES)
def test_bins_hold_every_case_once_and_never_part_equals(cases):
    confidence, right = split(cases)
    bins = reliability(confidence, right)
    assert sum(b.n for b in bins) == len(cases)
    assert sum(round(b.n * b.accuracy) for b in bins) == sum(right)
    assert 1 <= len(bins) <= max(1, min(MOST_BINS, len(cases) // CASES_A_BIN))
    for b in bins:
        inside = [(c, r) for c, r in cases if b.least <= c <= b.most]
        assert len(inside) == b.n
        assert b.confidence == pytest.approx(sum(c for c, _ in inside) / b.n)
        assert b.accuracy == pytest.approx(sum(r for _, r in inside) / b.n)
        interval = wilson(sum(r for _, r in inside), b.n)
        assert (b.low, b.high) == (interval.low, interval.high)
    for before, after in pairwise(bins):
        assert before.most < after.least


def test_bins_are_of_about_equal_mass():
    bins = reliability([i / 205 for i in range(205)], [True] * 205)
    assert [b.n for b in bins] == [21] * 9 + [16]
    assert [b.n for b in reliability([i / 47 for i in range(47)], [True] * 47)] == [12, 12, 12, 11]


def test_a_large_group_of_equals_does_not_splinter_the_rest():
    confidence = [1.0] * 60 + [i / 100 for i in range(40)]
    assert [b.n for b in reliability(confidence, [True] * 100)] == [10, 10, 10, 10, 60]
    # Two cases are no bin: they join the one before.
    assert [b.n for b in reliability([0.1] * 98 + [0.8, 0.9], [True] * 100)] == [100]


@given(CASES)
def test_calibration_error_and_brier_are_shares(cases):
    confidence, right = split(cases)
    assert 0 <= calibration_error(reliability(confidence, right)) <= 1
    assert 0 <= error_by_chance(confidence) <= 1
    assert brier(confidence, right) == pytest.approx(sum((c - r) ** 2 for c, r in cases) / len(cases))


@pytest.mark.parametrize(
    ("confidence", "right", "error", "score"),
    [
        ([1.0] * 4, [True] * 4, 0.0, 0.0),
        ([1.0] * 4, [False] * 4, 1.0, 1.0),
        ([0.0] * 4, [False] * 4, 0.0, 0.0),
        ([0.75] * 4, [True, True, True, False], 0.0, 0.1875),
        ([0.9], [False], 0.9, 0.81),
        # Two bins of ten: |.95 - .5| and |.2 - .2|.
        ([0.95] * 10 + [0.2] * 10, [True] * 5 + [False] * 5 + [True] * 2 + [False] * 8, 0.225, 0.30625),
    ],
)
def test_calibration_by_hand(confidence, right, error, score):
    assert calibration_error(reliability(confidence, right)) == pytest.approx(error)
    assert brier(confidence, right) == pytest.approx(score)


def test_a_perfect_confidence_shows_the_error_to_expect():
    rng = random.Random(3)
    confidence = [rng.random() for _ in range(150)]
    shown = [calibration_error(reliability(confidence, [rng.random() < c for c in confidence])) for _ in range(400)]
    assert error_by_chance(confidence) == pytest.approx(sum(shown) / len(shown), abs=0.004)


def test_a_confidence_of_certainties_cannot_be_off_by_chance():
    assert error_by_chance([0.0, 1.0, 1.0]) == 0


@given(CASES)
def test_auroc_is_the_share_of_pairs_in_order(cases):
    confidence, right = split(cases)
    pairs = [(a, b) for a, good in cases if good for b, fine in cases if not fine]
    found = auroc(confidence, right)
    if not pairs:
        assert found is None
        return
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    assert found == pytest.approx(won / len(pairs))
    assert auroc(confidence, [not r for r in right]) == pytest.approx(1 - found)


@given(CASES)
def test_risk_coverage_against_counting(cases):
    confidence, right = split(cases)
    curve = risk_coverage(confidence, right)
    thresholds = sorted(set(confidence), reverse=True)
    assert len(curve) == len(thresholds)
    for point, threshold in zip(curve, thresholds, strict=True):
        kept = [r for c, r in cases if c >= threshold]
        assert point.coverage == len(kept) / len(cases)
        assert point.risk == pytest.approx(1 - sum(kept) / len(kept))


@given(CASES, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_the_cases(cases, rng):
    shuffled = rng.sample(cases, len(cases))
    for figure in (reliability, brier, auroc, risk_coverage, risk_area):
        assert figure(*split(cases)) == figure(*split(shuffled))


@pytest.mark.parametrize(
    ("confidence", "right", "area"),
    [
        # Risks at coverage 1/4 … 4/4: 0, 0, 1/3, 1/2.
        ([0.9, 0.8, 0.7, 0.6], [True, True, False, False], (1 / 3 + 1 / 2) / 4),
        ([0.9, 0.8, 0.7, 0.6], [False, False, True, True], (1 + 1 + 2 / 3 + 1 / 2) / 4),
        # Equals in random order: the share of wrong ones at every coverage.
        ([0.5] * 4, [True, False, True, True], 0.25),
        ([0.5], [True], 0.0),
        ([0.5], [False], 1.0),
    ],
)
def test_risk_area_by_hand(confidence, right, area):
    assert risk_area(confidence, right) == pytest.approx(area)


def test_risk_area_of_ties_is_the_mean_over_their_orders():
    cases = [(0.9, True), (0.5, False), (0.5, True), (0.5, True), (0.1, False)]
    rng = random.Random(1)
    found = []
    for _ in range(4000):
        order = sorted(cases, key=lambda case: (-case[0], rng.random()))
        wrong = [sum(not r for _, r in order[:k]) / k for k in range(1, 6)]
        found.append(sum(wrong) / 5)
    assert risk_area(*split(cases)) == pytest.approx(sum(found) / len(found), abs=0.01)


@pytest.mark.parametrize(
    ("confidence", "right"),
    [([], []), ([math.nan], [True]), ([1.1], [True]), ([-0.1], [True]), ([0.5, 0.5], [True]), ([math.inf], [False])],
)
@pytest.mark.parametrize("figure", [reliability, brier, auroc, risk_coverage, risk_area])
def test_what_is_no_confidence_is_refused(figure, confidence, right):
    with pytest.raises(ValueError):
        figure(confidence, right)
