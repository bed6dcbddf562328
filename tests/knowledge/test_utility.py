"""Measured utility: helped, hurt and the shrunken lift."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.items import KnowledgeItem, Use
from symdistill.knowledge.utility import KAPPA, harmful, lift_of, lifts, versions_of_text


def use(
    item: str = "k_1", example: str = "e1", *, right: tuple[bool, bool], version: int = 1, student: str = "s"
) -> Use:
    """`right`: without the item, with it."""
    return Use(item, version, example, "q", "run", student, right[1], right[0], "with", "without")


HELPED, HURT, SAME = (False, True), (True, False), (True, True)


def test_lift_counts_changes_in_either_direction_and_shrinks_them() -> None:
    outcomes = [HELPED] * 5 + [HURT] * 2 + [SAME] * 3 + [(False, False)] * 5
    found = lifts(use(example=f"e{n}", right=right) for n, right in enumerate(outcomes))["k_1"]
    assert (found.helped, found.hurt, found.uses) == (5, 2, 15)
    assert found.lift == pytest.approx(3 / (15 + KAPPA))
    assert found.low < found.lift < found.high


def test_the_latest_measurement_of_a_question_stands() -> None:
    found = lifts([use(right=HURT), use(right=HELPED), use(example="e2", right=SAME)])["k_1"]
    assert (found.helped, found.hurt, found.uses) == (1, 0, 2)


def test_a_question_counts_once_however_many_students_answered_it() -> None:
    students = [use(right=HURT, student=f"s{n}") for n in range(5)]
    found = lifts(students)["k_1"]
    assert (found.helped, found.hurt, found.uses) == (0, 1, 1)
    assert harmful(lifts(students)) == {}
    mixed = [
        use(right=HURT),
        use(right=HELPED, student="b"),
        use(right=SAME, student="c"),
        use(example="e2", right=SAME),
    ]
    found = lifts(mixed)["k_1"]
    assert (found.helped, found.hurt, found.uses) == (pytest.approx(1 / 3, abs=1e-5), pytest.approx(1 / 3, abs=1e-5), 2)
    assert found.lift == 0
    thirds = lifts([use(right=HURT if n else HELPED, student=f"s{n}") for n in range(3)])["k_1"]
    assert thirds.lift == pytest.approx(-1 / 3 / (1 + KAPPA), abs=1e-6)


def test_uses_of_an_older_text_do_not_count() -> None:
    measured = [use(right=HURT), use(example="e2", right=HELPED, version=2), use(example="e3", right=HURT, version=3)]
    assert lifts(measured)["k_1"].uses == 1
    assert lifts(measured, {"k_1": {2, 3}})["k_1"].uses == 2
    assert lifts(measured, {"k_1": {4}}) == {}


def test_a_change_of_status_is_no_new_text() -> None:
    def at(version: int, text: str) -> KnowledgeItem:
        return KnowledgeItem("k_1", "summary", "t", text, "task", version=version)

    assert versions_of_text([at(1, "a"), at(2, "b"), at(3, "b"), at(4, "a")]) == {1, 4}


def test_harmful_items_are_those_below_the_line_that_were_used_enough() -> None:
    bad = [use("k_bad", f"e{n}", right=HURT) for n in range(6)]
    worse = [use("k_worse", f"e{n}", right=HURT) for n in range(9)]
    rare = [use("k_rare", f"e{n}", right=HURT) for n in range(4)]
    good = [use("k_good", f"e{n}", right=HELPED) for n in range(9)]
    still = [use("k_still", f"e{n}", right=SAME) for n in range(9)]
    everything = [*bad, *rare, *good, *worse, *still]
    measured = lifts(everything)
    assert list(harmful(measured)) == ["k_worse", "k_bad"]
    assert list(harmful(measured, min_lift=-0.4, by_estimate=True)) == ["k_worse"]
    assert list(harmful(measured, min_lift=0.1, by_estimate=True)) == ["k_worse", "k_bad", "k_still"]
    assert list(harmful(measured, min_lift=0.1)) == ["k_worse", "k_bad"]
    assert "k_rare" in harmful(measured, min_uses=4, by_estimate=True)


def test_one_unlucky_question_of_five_is_no_evidence() -> None:
    unlucky = lifts([use("k_1", f"e{n}", right=SAME if n else HURT) for n in range(5)])
    assert harmful(unlucky) == {}
    assert list(harmful(unlucky, by_estimate=True)) == ["k_1"]
    assert unlucky["k_1"].high > 0 > unlucky["k_1"].lift


def test_more_evidence_narrows_the_interval_and_moves_it_to_the_data() -> None:
    few, many = lift_of(3, 1, 10), lift_of(300, 100, 1000)
    assert many.high - many.low < few.high - few.low
    assert many.low > 0 > few.low
    assert many.lift == pytest.approx(0.2, abs=0.01)


def test_the_interval_agrees_with_the_normal_one_where_there_is_much_data() -> None:
    found = lift_of(400, 200, 2000)
    total = 2000 + KAPPA
    mean = 200 / total
    spread = (((401 + 201) / total - mean**2) / (total + 1)) ** 0.5
    assert found.low == pytest.approx(mean - 1.96 * spread, abs=0.003)
    assert found.high == pytest.approx(mean + 1.96 * spread, abs=0.003)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_helped_and_hurt_are_mirror_images(helped: int, hurt: int, unchanged: int) -> None:
    uses = helped + hurt + unchanged
    one, other = lift_of(helped, hurt, uses), lift_of(hurt, helped, uses)
    assert one.lift == -other.lift
    assert -1 < one.low <= one.lift <= one.high < 1
    assert one.low == pytest.approx(-other.high, abs=0.02)


@pytest.mark.parametrize("counts", [(-1, 0, 1), (1, 1, 1), (0, 2, 1)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        lift_of(*counts)


def test_no_uses_give_the_prior() -> None:
    assert lift_of(0, 0, 0).lift == 0
    assert lifts([]) == {}
