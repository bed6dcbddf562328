"""Figures of students that complete triples, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.evaluation.direct_metrics import (
    Completed,
    differences,
    distance,
    mean_of,
    share_mean,
    shares_by,
    together,
    variety,
)
from symdistill.evaluation.statistics import holm, wilson

SHARES = st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1), min_size=1).map(
    lambda found: {name: value / sum(found.values()) for name, value in found.items()}
)


def test_a_tail_is_compared_with_its_nearest_reference() -> None:
    one = Completed("PersonX sings", "xWant", "To rest a little.", {}, ("to hear applause", "to rest a little"))
    assert one.exact
    assert one.rouge_l == 1
    other = Completed("PersonX sings", "xWant", "to rest", {}, ("to rest a little",))
    assert not other.exact
    assert other.rouge_l == pytest.approx(2 * 2 / (2 + 4))
    assert Completed("a", "b", "c", {}).rouge_l == 0


def test_means_draw_heads_and_not_rows() -> None:
    values = [float(n % 2) for n in range(100)]
    apart = mean_of(values, [str(n) for n in range(100)])
    pairs = mean_of(values, [str(n // 2) for n in range(100)])
    assert apart is not None
    assert pairs is not None
    assert apart.value == pairs.value == 0.5
    assert pairs.high - pairs.low < 1e-9, "each head holds one of each: no drawing of heads changes the mean"
    assert 0.15 < apart.high - apart.low < 0.25
    assert mean_of([], []) is None


@pytest.mark.parametrize("heads, told", [(1, False), (9, False), (10, True)])
def test_a_few_heads_give_no_interval(heads: int, told: bool) -> None:
    about = [str(n % heads) for n in range(90)]
    [found] = together(differences("loss", {"a": [0.3] * 90, "b": [0.1] * 90}, about, [("a", "b")]))
    assert found.mean.value == pytest.approx(0.2)
    assert (found.mean.heads, found.mean.n) == (heads, 90)
    assert (found.mean.low is not None) is (found.mean.high is not None) is told
    assert found.shown is told


def test_a_share_is_no_point_where_all_verdicts_are_alike() -> None:
    none = share_mean([False] * 24, [str(n // 2) for n in range(24)])
    assert none is not None
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(wilson(0, 12).high), "a head counts as one"
    few = share_mean([False] * 24, [str(n % 9) for n in range(24)])
    assert few is not None
    assert (few.low, few.high, few.heads) == (None, None, 9)
    assert share_mean([], []) is None


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    values = {"one": (hard + 0.1).tolist(), "other": hard.tolist(), "same": hard.tolist()}
    heads = [str(n) for n in range(200)]
    found = together(differences("loss", values, heads, [("one", "other"), ("same", "other"), ("one", "absent")]))
    assert [(d.first, d.second, d.shown) for d in found] == [("one", "other", True), ("same", "other", False)]
    assert found[0].mean.value == pytest.approx(0.1)
    assert found[0].mean.high - found[0].mean.low < 1e-9, "what makes both hard is no noise in their difference"


def test_differences_that_are_told_together_are_adjusted_together() -> None:
    rng = np.random.default_rng(3)
    names = [f"s{n}" for n in range(9)]
    values = {name: rng.normal(0.05 * at, 1, 80).tolist() for at, name in enumerate(names)}
    found = differences("x", values, [str(n) for n in range(80)], [(name, "s0") for name in names[1:]])
    alone = [one.p for one in found if one.p is not None]
    assert [one.adjusted for one in together(found)] == holm(alone)
    assert any(p < 0.05 for p in alone), "one by one some would be shown"
    assert sum(one.shown for one in together(found)) < sum(p < 0.05 for p in alone)


@given(SHARES, SHARES)
def test_the_distance_of_spreads_is_a_distance(one: dict[str, float], other: dict[str, float]) -> None:
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert 0 <= distance(one, other) <= 1 + 1e-9
    assert distance(one, one) == 0


def test_spreads_and_variety_are_counted() -> None:
    assert shares_by(["a", "b", "a", "a"]) == {"a": 0.75, "b": 0.25}
    assert distance({"a": 1.0}, {"b": 1.0}) == 1
    found = variety(["to rest", "To rest.", "to sing", "to eat"])
    assert found["different"] == 0.75
    assert found["commonest"] == 0.5
    assert variety([])["different"] == 0
