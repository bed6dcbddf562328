"""Figures of one family's runs over their seeds."""

from __future__ import annotations

from statistics import stdev
from typing import Any

import pytest

from symdistill.evaluation.joined import joined, joined_table
from symdistill.evaluation.student_t import t_quantile


def rounds(yielded: float, right: int, chosen: int = 2) -> dict[str, Any]:
    """The metrics of a multilevel run, as far as they are joined."""
    students = [
        {"student": 1, "reported": {"right": 4, "n": 10}, "beside_first": None},
        {"student": 2, "reported": {"right": right, "n": 10}, "beside_first": {"difference": (right - 4) / 10}},
    ]
    figures = {"number": 0, "yield": yielded, "precision": None, "accuracy": 0.5}
    return {"family": "multilevel", "rounds": [figures], "students": students, "chosen": chosen}


def test_a_figure_is_a_mean_over_seeds_with_the_interval_of_their_values() -> None:
    found = {one.name: one for one in joined({1: rounds(0.5, 6), 2: rounds(0.6, 8), 5: rounds(0.4, 7)})}
    one = found["the chosen student − student 1, where it is another: reported"]
    assert one.values == pytest.approx({1: 0.2, 2: 0.4, 5: 0.3})
    reach = t_quantile(0.95, 2) * stdev([0.2, 0.4, 0.3]) / 3**0.5
    assert (one.mean, one.low, one.high) == pytest.approx((0.3, 0.3 - reach, 0.3 + reach))
    assert "round 0: precision" not in found
    assert found["round 0: accuracy"].low == found["round 0: accuracy"].high == 0.5


def test_a_seed_that_lacks_a_figure_has_a_dash_and_one_alone_has_no_interval() -> None:
    """Where student 1 is chosen there is no difference to measure, and none is made up."""
    ungraded = rounds(0.5, 6)
    ungraded["students"][1]["beside_first"] = None
    metrics = {0: rounds(0.5, 6, chosen=1), 3: rounds(0.6, 8), 4: ungraded}
    lines = {line[0]: line for line in joined_table(joined(metrics), [0, 3, 4])}
    assert lines["figure"] == ["figure", "mean (95%)", "seeds", "seed 0", "seed 3", "seed 4"]
    assert lines["the chosen student"] == ["the chosen student", "–", "3", "1", "2", "2"]
    name = "the chosen student − student 1, where it is another: reported"
    assert lines[name] == [name, "0.400", "1", "–", "0.400", "–"]
    assert lines["the chosen student: reported"][2:] == ["3", "0.400", "0.800", "0.600"]
    assert "student 2: reported" not in lines, "nobody chooses by the reported half"
