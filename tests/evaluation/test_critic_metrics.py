"""A critic's figures on held-out labels, checked against counts by hand."""

from __future__ import annotations

import pytest

from symdistill.evaluation.critic_metrics import critic_figures
from symdistill.evaluation.statistics import wilson, wilson_of_groups


def test_precision_recall_and_size_are_counts_of_what_passes() -> None:
    said = [0.9, 0.8, 0.7, 0.4, 0.3, 0.2]
    good = [True, True, False, True, False, False]
    found = critic_figures(said, good, list("aabbcc"), 0.5, others=[0.95])
    passed = found.chosen
    assert (found.before.count, found.before.n) == (3, 6)
    assert (passed.kept.count, passed.kept.n) == (3, 6)
    assert (passed.precision.count, passed.precision.n) == (2, 3)
    assert (passed.recall.count, passed.recall.n) == (2, 3)
    apart = critic_figures(said, good, list("abcdef"), 0.5).chosen.precision
    assert (apart.low, apart.high) == (wilson(2, 3).low, wilson(2, 3).high)
    together = wilson_of_groups([True, True, False], list("aab"))
    assert (passed.precision.low, passed.precision.high) == (together.low, together.high), "two texts of one head"
    assert passed.gain == pytest.approx(2 / 3 - 1 / 2)
    assert found.brier == pytest.approx(sum((p - g) ** 2 for p, g in zip(said, good, strict=True)) / 6)
    assert found.auroc == pytest.approx(8 / 9)
    nothing = found.others[0]
    assert (nothing.kept.count, nothing.gain, nothing.raises_precision) == (0, None, False)


def test_the_interval_of_the_gain_tells_a_critic_from_a_coin() -> None:
    heads = [f"h{n // 2}" for n in range(200)]
    good = [n % 3 > 0 for n in range(200)]
    knowing = critic_figures([0.9 if g else 0.1 for g in good], good, heads, 0.5)
    assert knowing.chosen.raises_precision
    assert knowing.chosen.gain == pytest.approx(1 - sum(good) / 200)
    guessing = critic_figures([0.9 if n % 2 else 0.1 for n in range(200)], good, heads, 0.5)
    assert guessing.chosen.gain_low < 0 < guessing.chosen.gain_high
    assert not guessing.chosen.raises_precision


def test_texts_of_one_head_are_drawn_together() -> None:
    good = [n % 2 == 0 for n in range(100)]
    said = [0.9 if g or n % 4 == 1 else 0.1 for n, g in enumerate(good)]
    apart = critic_figures(said, good, [str(n) for n in range(100)], 0.5).chosen
    clumped = critic_figures(said, good, [str(n // 4) for n in range(100)], 0.5).chosen
    assert apart.gain == clumped.gain
    assert apart.gain_high - apart.gain_low > clumped.gain_high - clumped.gain_low, "heads alike: nothing varies"


@pytest.mark.parametrize("heads, told", [(1, False), (2, False), (9, False), (10, True)])
def test_a_few_heads_give_no_verdict(heads: int, told: bool) -> None:
    good = [n % 2 == 0 for n in range(180)]
    found = critic_figures([0.9 if g else 0.1 for g in good], good, [str(n // 2 % heads) for n in range(180)], 0.5)
    assert found.chosen.gain == 0.5
    assert found.heads == heads
    assert (found.chosen.gain_low is not None) is (found.chosen.gain_high is not None) is told
    assert found.chosen.raises_precision is told


def test_everything_kept_gains_nothing() -> None:
    found = critic_figures([0.6] * 10, [True] * 7 + [False] * 3, list("abcdefghij"), 0.6)
    assert found.chosen.gain == 0
    assert not found.chosen.raises_precision
    assert found.to_dict()["chosen"]["raises_precision"] is False


def test_texts_without_labels_are_refused() -> None:
    with pytest.raises(ValueError):
        critic_figures([], [], [], 0.5)
    with pytest.raises(ValueError):
        critic_figures([0.5], [True, False], ["a"], 0.5)


def test_a_gain_by_kinds_is_told_from_one_within_them() -> None:
    """Of kind a 3 in 4 are good, of b 1 in 4; one critic passes all of a, the other just the good ones of each."""
    kinds = ["a"] * 100 + ["b"] * 100
    good = [n % 4 > 0 for n in range(100)] + [n % 4 == 0 for n in range(100)]
    heads = [f"h{n // 2 % 40}" for n in range(200)]
    choosing = critic_figures([0.9 if k == "a" else 0.1 for k in kinds], good, heads, 0.5, kinds=kinds).chosen
    assert (choosing.gain, choosing.within) == (0.25, 0.0)
    assert choosing.raises_precision
    assert choosing.by_kind_alone
    knowing = critic_figures([0.9 if g else 0.1 for g in good], good, heads, 0.5, kinds=kinds).chosen
    assert knowing.within == pytest.approx(1 - (75 * 0.75 + 25 * 0.25) / 100)
    assert knowing.within_low > 0
    assert not knowing.by_kind_alone
    one_kind = critic_figures([0.9 if g else 0.1 for g in good], good, heads, 0.5).chosen
    assert (one_kind.gain, one_kind.within, one_kind.by_kind_alone) == (knowing.gain, None, False)
    with pytest.raises(ValueError):
        critic_figures([0.5], [True], ["a"], 0.5, kinds=[])
