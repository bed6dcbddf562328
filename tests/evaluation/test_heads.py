"""Intervals from drawing heads anew: as wide as few heads ask for, and none of too few."""

from __future__ import annotations

import numpy as np
import pytest

from symdistill.evaluation.heads import Heads, share_of
from symdistill.evaluation.statistics import wilson
from symdistill.evaluation.student_t import t_quantile


def mean_interval(values: np.ndarray, heads: list[str], seed: int = 0) -> tuple[float, float] | None:
    about = Heads(heads, seed)
    found = about.interval((about.drawn @ about.sums(values)) / (about.drawn @ about.sums(np.ones_like(values))))
    return None if found is None else (found.low, found.high)


@pytest.mark.parametrize("heads", [10, 15])
def test_of_few_heads_the_interval_holds_the_truth_as_often_as_it_says(heads: int) -> None:
    rng, held, narrow = np.random.default_rng(0), 0, 0
    names = [str(n // 3) for n in range(3 * heads)]
    for trial in range(200):
        values = np.repeat(rng.normal(0, 1, heads), 3)
        low, high = mean_interval(values, names, trial) or (1.0, 0.0)
        held += low <= 0 <= high
        of_heads = values[::3]
        reach = 1.96 * of_heads.std() / np.sqrt(heads)  # what percentiles of a plain bootstrap come to
        narrow += abs(of_heads.mean()) <= reach
    assert held >= 182
    assert held > narrow


def test_the_interval_is_about_that_of_student_s_t() -> None:
    values = np.random.default_rng(1).normal(5, 1, 12)
    low, high = mean_interval(values, [str(n) for n in range(12)]) or (0.0, 0.0)
    reach = t_quantile(0.95, 11) * values.std(ddof=1) / np.sqrt(12)
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), rel=0.06)


@pytest.mark.parametrize(("heads", "told"), [(1, False), (9, False), (10, True)])
def test_too_few_heads_have_neither_interval_nor_p(heads: int, told: bool) -> None:
    values = np.linspace(0.1, 1, 30)
    names = [str(n % heads) for n in range(30)]
    assert (mean_interval(values, names) is not None) is told
    assert (Heads(names).p(values) is not None) is told


def test_p_is_of_heads_and_not_of_rows() -> None:
    values = np.tile(np.random.default_rng(2).normal(0.4, 1, 20), 10)
    apart, alike = Heads([str(n) for n in range(200)]).p(values), Heads([str(n % 20) for n in range(200)]).p(values)
    assert apart is not None
    assert alike is not None
    assert apart < 0.001 < alike
    assert Heads([str(n) for n in range(10)]).p(np.zeros(10)) == 1
    assert Heads([str(n) for n in range(10)]).p(np.full(10, 0.3)) == pytest.approx(2 / 2**10)


def test_shares_take_verdicts_about_one_head_as_alike() -> None:
    verdicts = [True, True, False, False] * 10
    apart = share_of(verdicts, [str(n) for n in range(40)])
    alike = share_of(verdicts, [str(n // 2) for n in range(40)])
    assert (apart.low, apart.high) == (wilson(20, 40).low, wilson(20, 40).high)
    assert alike.low < apart.low < apart.high < alike.high
