"""Intervals and tests over seeds and questions: known answers, and promises kept in simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.seeds import luck_of, pooled, seed_difference, sign_flip
from symdistill.evaluation.statistics import mcnemar, wilson
from symdistill.evaluation.student_t import t_quantile, t_tails


def table(*seeds: str) -> np.ndarray:
    """Verdicts written as rows of 1 and 0, one a seed."""
    return np.array([[c == "1" for c in row] for row in seeds])


@pytest.mark.parametrize(
    "degrees, quantile",
    [(1, 12.7062), (2, 4.3027), (4, 2.7764), (10, 2.2281), (30, 2.0423), (1e9, 1.9600)],
)
def test_quantiles_are_those_of_the_printed_tables(degrees, quantile):
    assert t_quantile(0.95, degrees) == pytest.approx(quantile, abs=5e-5)
    assert t_tails(quantile, degrees) == pytest.approx(0.05, abs=2e-5)


def test_one_degree_of_freedom_is_cauchys_distribution():
    for t in (0.1, 1.0, 7.5):
        assert t_tails(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
    assert t_tails(0.0, 3.7) == pytest.approx(1.0)


def test_degrees_of_freedom_need_not_be_whole():
    between = [t_quantile(0.95, d) for d in (2, 2.5, 3)]
    assert between == sorted(between, reverse=True)
    with pytest.raises(ValueError, match="degrees"):
        t_tails(1.0, 0)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 4))
def test_seeds_that_agree_on_everything_add_nothing(verdicts, seeds):
    found = pooled(np.array([verdicts] * seeds))
    alone = wilson(sum(verdicts), len(verdicts))
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    assert found.accuracy == pytest.approx(sum(verdicts) / len(verdicts))
    assert found.spread == (None if seeds == 1 else 0.0)


def test_seeds_that_differ_widen_the_interval():
    """Two seeds, one right on everything and one on nothing: two observations, not sixteen."""
    found = pooled(table("1" * 8, "0" * 8))
    assert found.accuracy == 0.5
    assert found.low < 0.02
    assert found.high > 0.98
    assert found.spread == pytest.approx(math.sqrt(0.5))


def test_the_variance_is_that_of_the_questions_and_of_the_seeds():
    """By hand: shares 1, ½, ½, 0, so U = .125/4; seeds .75 and .25, so W = .125/2; 2 seeds leave one degree, and
    Satterthwaite makes (U+W)²/W² of it."""
    found = pooled(table("1110", "1000"))
    asked, trained = 0.125 / 4, 0.125 / 2
    quantile = t_quantile(0.95, (asked + trained) ** 2 / trained**2)
    size = 0.25 / (asked + trained)
    half = quantile / (1 + quantile**2 / size) * math.sqrt(0.25 / size + quantile**2 / (4 * size**2))
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_with_one_seed_the_sign_test_is_mcnemars(pairs):
    first, second = zip(*pairs, strict=True)
    assert sign_flip(np.array([first]), np.array([second])) == pytest.approx(mcnemar(first, second).p)


@given(st.data())
def test_the_sign_test_counts_every_way_to_flip(data):
    """Against all 2^n flips, for seeds whose numbers differ."""
    n = data.draw(st.integers(1, 7))
    row = st.lists(st.booleans(), min_size=n, max_size=n)
    first = np.array(data.draw(st.lists(row, min_size=1, max_size=3)))
    second = np.array(data.draw(st.lists(row, min_size=1, max_size=2)))
    gaps = first.mean(axis=0) - second.mean(axis=0)
    seen = abs(gaps.sum()) - 1e-9
    flips = list(itertools.product((-1, 1), repeat=n))
    wanted = sum(abs(np.dot(flip, gaps)) >= seen for flip in flips) / len(flips)
    assert sign_flip(first, second) == pytest.approx(wanted)


def test_thousands_of_questions_neither_overflow_nor_take_long():
    chance = np.random.default_rng(0)
    first, second = chance.random((3, 4000)) < 0.6, chance.random((2, 4000)) < 0.5
    assert 0 < sign_flip(first, second) < 1e-10
    assert sign_flip(first, first) == 1.0


def test_a_gain_on_every_question_is_certain_only_as_far_as_the_questions_go():
    found = seed_difference(table("11111"), table("00000"))
    assert found.difference == 1.0
    assert found.p == pytest.approx(2 / 32)
    assert found.low < 0.7
    assert found.high == 1.0


def test_two_methods_that_never_differ():
    found = seed_difference(table("1100", "1100"), table("1100"))
    assert (found.difference, found.p) == (0.0, 1.0)
    assert found.low == -found.high < 0


def test_the_luck_of_one_seed_is_not_taken_for_a_method():
    """Two hundred questions speak clearly for the first method; its seeds do not."""
    steady = np.zeros((3, 200), bool)
    steady[:, :60] = True
    lucky = np.zeros((3, 200), bool)
    for seed, right in enumerate((140, 60, 58)):
        lucky[seed, :right] = True
    found = seed_difference(lucky, steady)
    assert sign_flip(lucky, steady) < 1e-6
    assert found.p > 0.3
    assert found.low < 0 < found.high


def test_swapping_the_methods_mirrors_the_result():
    chance = np.random.default_rng(1)
    first, second = chance.random((3, 50)) < 0.5, chance.random((2, 50)) < 0.4
    one, other = seed_difference(first, second), seed_difference(second, first)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p == pytest.approx(other.p)


@pytest.mark.parametrize(
    "first, second",
    [(np.zeros((1, 3), bool), np.zeros((1, 4), bool)), (np.zeros((0, 3), bool), np.zeros((1, 3), bool))],
)
def test_what_cannot_be_compared(first, second):
    with pytest.raises(ValueError, match=r"seed|same questions"):
        seed_difference(first, second)


def experiments(count: int, n: int, seeds: int, spread: float, level: float = 0.45):
    """Simulated experiments of one method whose expected accuracy is known: hard and easy questions, lucky seeds."""
    chance = np.random.default_rng(5)
    for _ in range(count):
        hardness, luck = chance.normal(0, 0.2, n), chance.normal(0, spread, (seeds, 1))
        yield chance.random((seeds, n)) < np.clip(level + hardness + luck, 0, 1)


@pytest.mark.parametrize("n, seeds, spread", [(100, 3, 0.0), (200, 3, 0.03), (500, 3, 0.06), (100, 5, 0.04)])
def test_intervals_hold_what_they_promise(n, seeds, spread):
    """Of 95% intervals at least about 95% hold the truth, whatever share of the variance is the seeds'."""
    truth = float(np.clip(0.45 + np.random.default_rng(0).normal(0, math.hypot(0.2, spread), 200_000), 0, 1).mean())
    held = [found.low <= truth <= found.high for v in experiments(400, n, seeds, spread) for found in [pooled(v)]]
    assert np.mean(held) >= 0.925


@pytest.mark.parametrize("n, seeds, spread", [(100, 1, 0.0), (100, 3, 0.0), (200, 3, 0.04), (500, 3, 0.06)])
def test_equal_methods_are_seldom_called_different(n, seeds, spread):
    chance = np.random.default_rng(9)
    wrong = 0
    for _ in range(400):
        hardness = chance.normal(0, 0.2, n)
        both = [
            chance.random((seeds, n)) < np.clip(0.45 + hardness + chance.normal(0, spread, (seeds, 1)), 0, 1)
            for _ in range(2)
        ]
        wrong += seed_difference(*both).p < 0.05
    assert wrong / 400 <= 0.075


def test_the_luck_of_others_is_their_variance_in_common():
    """By hand: accuracies 1 and 0 (variance ½, one degree), ½, ½ and ½ (none, two degrees); one seed says nothing."""
    others = [[table("11", "00")], [table("10", "01", "10")], [table("11")]]
    found = luck_of(others)
    assert found is not None
    assert (found.variance, found.degrees) == (pytest.approx(0.5 / 3), 3)
    assert luck_of([[table("11")]]) is None


def test_students_that_are_asked_in_several_ways_show_once_what_a_seed_changes():
    """Thresholds of a gate, greedy and a vote: the same three students, so two degrees, however they are asked."""
    first, other = table("1110", "1000", "1100"), table("0110", "1000", "1110")
    alone = luck_of([[first]])
    assert luck_of([[first] * 7]) == alone
    assert alone is not None
    assert alone.degrees == 2
    both = luck_of([[first, other]])
    apart = luck_of([[first], [other]])
    assert (both.variance, both.degrees, apart.degrees) == (pytest.approx(apart.variance), 2, 4)


def test_one_seed_with_the_luck_of_others_is_not_called_certain():
    luck = luck_of([[table("1" * 8, "0" * 8)]])
    for alone in (table("1" * 8), table("1" * 4 + "0" * 4), table("0" * 8)):
        own, wider = pooled(alone), pooled(alone, luck=luck)
        assert wider.accuracy == own.accuracy
        assert wider.high - wider.low > own.high - own.low
    assert pooled(table("10", "11"), luck=luck) == pooled(table("10", "11")), "who has seeds needs no other's"


@pytest.mark.parametrize("lend, wrong_at_most", [(True, 0.075), (False, 1.0)])
def test_one_seed_left_of_equal_methods_is_seldom_called_different(lend, wrong_at_most):
    """One seed against three, where seeds differ by 4 points: without the luck of others one in ten is a discovery."""
    chance = np.random.default_rng(3)
    wrong = 0
    for _ in range(300):
        hardness = chance.normal(0, 0.2, 300)
        first, second, third = (
            chance.random((seeds, 300)) < np.clip(0.45 + hardness + chance.normal(0, 0.04, (seeds, 1)), 0, 1)
            for seeds in (1, 3, 3)
        )
        luck = luck_of([[second], [third]]) if lend else None
        wrong += seed_difference(first, second, lucks=(luck, None)).p < 0.05
    assert wrong / 300 <= wrong_at_most
    assert lend or wrong / 300 > 0.1
