"""Plots are well-formed, labelled, and keep their marks and words inside the frame."""

from __future__ import annotations

import math

import pytest

from pages import inside, parsed, words
from symdistill.evaluation.plots import Curve, Estimate, bars, curves, intervals, scatter

ESTIMATES = [
    Estimate("label-only, greedy", 0.3, 0.2, 0.4, 9e9, emphasis=True),
    Estimate("std-cot, greedy", 0.6, 0.5, 0.7, 25e9),
    Estimate("scotd, greedy", 0.6, 0.5, 0.7, 25e9),
    Estimate("scotd <N=4> & more, vote of 8", 1.0, 0.97, 1.0, 150e9),
]


@pytest.mark.parametrize("estimates", [ESTIMATES, ESTIMATES[:1], [Estimate("none", 0.0, 0.0, 0.1, 1.0)] * 2])
def test_estimates_stay_in_the_frame(estimates):
    for svg in (intervals(estimates, "Accuracy"), scatter(estimates, "Accuracy by cost", "operations")):
        assert inside(svg)
        assert all(e.label in words(svg) for e in estimates)
        assert parsed(svg).attrib["aria-label"].startswith("Accuracy")


def test_the_interval_is_drawn_to_scale():
    lines = [e.attrib for e in parsed(intervals(ESTIMATES, "t")).iter("line")]
    (dot, *_) = [float(e.attrib["cx"]) for e in parsed(intervals(ESTIMATES, "t")).iter("circle")]
    low, high = next(
        (float(a["x1"]), float(a["x2"])) for a in lines if a["y1"] == a["y2"] and a["stroke-width"] == "1.6"
    )
    assert (dot - low) == pytest.approx(high - dot, abs=0.2)


def test_labels_of_marks_in_one_place_do_not_cover_each_other():
    svg = scatter(ESTIMATES, "t", "x")
    places = {e.text: (e.attrib["x"], e.attrib["y"], e.attrib["text-anchor"]) for e in parsed(svg).iter("text")}
    assert places["std-cot, greedy"] != places["scotd, greedy"]


@pytest.mark.parametrize(
    "values",
    [[2.0, 1.0, 0.5], [1.0], [math.nan, 1.0, math.inf], [math.nan], [0.0, 0.0], [5.0 / s for s in range(1, 5000)]],
)
def test_curves_bear_any_history(values):
    histories = [Curve(f"method {i}", list(range(1, len(values) + 1)), values) for i in range(4)]
    svg = curves(histories, "Loss")
    assert inside(svg)
    assert "nan" not in str(svg)
    assert len(str(svg)) < 60_000
    assert {f"method {i}" for i in range(4)} <= set(words(svg))


def test_bars_show_every_count():
    svg = bars([3, 0, 12], ["none", "some", "all"], "Kept", dark=[3, 0, 4])
    assert inside(svg)
    assert words(svg) == ["3", "none", "0", "some", "12", "all"]
    # Three light columns (one of no height), two dark parts.
    assert len(list(parsed(svg).iter("rect"))) == 5


def test_names_are_escaped_and_cut():
    svg = intervals([Estimate("<script>" + "x" * 5000, 0.5, 0.4, 0.6)], "<b>" * 1000)
    assert "<script>" not in str(svg)
    assert "<b>" not in str(svg)
    assert len(str(svg)) < 6000
