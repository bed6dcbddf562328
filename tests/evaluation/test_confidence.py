"""Confidence scores of a reply, from its first tokens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.confidence import MAX_ENTROPY, agreement_of, entropy_of, margin_of, probability_of

SURE, TORN = (1.0, 0.0), (0.5, 0.5)


@pytest.mark.parametrize(
    ("top_two", "margin"),
    [
        ([SURE], 100.0),
        ([TORN], 0.0),
        ([(0.7, 0.2), (0.9, 0.05)], 67.5),
        # The order within a pair does not matter.
        ([(0.2, 0.7)], 50.0),
        # An end token at once is a step of its own.
        ([(0.6, 0.3)], 30.0),
        # Only the first 16 steps are looked at.
        ([SURE] * 16 + [TORN] * 50, 100.0),
        ([SURE] * 8 + [TORN] * 8, 50.0),
        # 32-bit probabilities may add up to a little more than 1.
        ([(1.0000002, 0.0)], 100.0),
    ],
)
def test_margin(top_two, margin):
    assert margin_of(top_two) == pytest.approx(margin, abs=1e-4)
    assert margin_of(top_two) <= 100


@pytest.mark.parametrize(
    ("top_two", "entropy"),
    [
        ([SURE], 0.0),
        ([TORN], math.log(2)),
        ([(1 / 3, 1 / 3)], math.log(3)),
        ([(0.5, 0.25)], 0.5 * math.log(2) + 0.5 * math.log(4)),
        ([SURE] * 16 + [TORN], 0.0),
        ([SURE, TORN], math.log(2) / 2),
    ],
)
def test_entropy(top_two, entropy):
    assert entropy_of(top_two) == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("logprobs", "probability"),
    [
        ([0.0, 0.0], 1.0),
        ([math.log(0.25), math.log(1.0)], 0.5),
        ([math.log(0.5)] * 16 + [math.log(1e-9)] * 9, 0.5),
        ([-1e6], 0.0),
        ([1e-7], 1.0),
    ],
)
def test_probability_is_the_geometric_mean(logprobs, probability):
    assert probability_of(logprobs) == pytest.approx(probability)
    assert 0 <= probability_of(logprobs) <= 1


@pytest.mark.parametrize(
    ("answers", "kind", "agreement"),
    [
        (["4", "4.0", "5"], "number", 2 / 3),
        (["4", None, None, None], "number", 0.25),
        ([None, None], "text", 0.0),
        (["A"], "choice", 1.0),
    ],
)
def test_agreement_counts_replies_without_an_answer(answers, kind, agreement):
    assert agreement_of(answers, kind) == pytest.approx(agreement)


@pytest.mark.parametrize("bad", [[], [(math.nan, 0.1)], [(0.9, 0.4)], [(-0.1, 0.5)], [(math.inf, 0.0)]])
@pytest.mark.parametrize("score", [margin_of, entropy_of])
def test_what_is_no_pair_of_probabilities_is_refused(score, bad):
    with pytest.raises(ValueError):
        score(bad)


@pytest.mark.parametrize("bad", [[], [math.nan], [0.0, 0.5], [-1.0, math.nan]])
def test_what_is_no_log_probability_is_refused(bad):
    with pytest.raises(ValueError):
        probability_of(bad)


def test_no_replies_have_no_agreement():
    with pytest.raises(ValueError):
        agreement_of([])


@given(st.lists(st.floats(0.0, 1.0).flatmap(lambda p: st.tuples(st.just(p), st.floats(0.0, 1.0 - p))), min_size=1))
def test_scores_stay_in_their_range(top_two):
    assert 0 <= margin_of(top_two) <= 100
    assert 0 <= entropy_of(top_two) <= MAX_ENTROPY
