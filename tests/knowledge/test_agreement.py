"""Agreement beyond chance, against published worked examples and its own definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.agreement import cohen_kappa, krippendorff_alpha


def test_kappa_of_a_two_by_two_table() -> None:
    # 20 both yes, 15 both no, 5 and 10 apart: observed 0.70, by chance 0.50.
    first = ["y"] * 20 + ["y"] * 5 + ["n"] * 10 + ["n"] * 15
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    found = cohen_kappa(first, second)
    assert (found.n, found.observed, found.expected) == (50, 0.7, 0.5)
    assert found.kappa == pytest.approx(0.4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < found.high
    assert cohen_kappa(first, second) == found


@pytest.mark.parametrize(
    "first, second, kappa",
    [("aabb", "aabb", 1.0), ("aabb", "bbaa", -1.0), ("aaaa", "aaaa", None), ("abab", "aabb", 0.0), ("a", "b", 0.0)],
)
def test_kappa_at_its_ends(first: str, second: str, kappa: float | None) -> None:
    found = cohen_kappa(first, second).kappa
    assert found == (None if kappa is None else pytest.approx(kappa))


@pytest.mark.parametrize("first, second", [("", ""), ("a", "ab")])
def test_kappa_needs_pairs(first: str, second: str) -> None:
    with pytest.raises(ValueError):
        cohen_kappa(first, second)


def test_alpha_of_krippendorffs_own_example() -> None:
    # Four observers, twelve units, nominal data: alpha = 0.743 (Krippendorff, "Computing Krippendorff's Alpha").
    rows = ["1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"]
    observers = [[None if cell == "*" else cell for cell in row.split()] for row in rows]
    assert krippendorff_alpha(list(zip(*observers, strict=True))) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    "ratings, alpha", [([], None), ([["a"], ["b", None]], None), ([["a", "a"]], None), ([["a", "a"], ["b", "b"]], 1.0)]
)
def test_alpha_at_its_ends(ratings: list[list[str | None]], alpha: float | None) -> None:
    assert krippendorff_alpha(ratings) == alpha


@given(st.lists(st.lists(st.sampled_from(["a", "b", None]), min_size=2, max_size=4), min_size=1, max_size=12))
def test_alpha_does_not_depend_on_the_order_of_raters_or_items(ratings: list[list[str | None]]) -> None:
    found = krippendorff_alpha(ratings)
    other = krippendorff_alpha([list(reversed(item)) for item in reversed(ratings)])
    assert other == (None if found is None else pytest.approx(found))
    assert found is None or found <= 1
