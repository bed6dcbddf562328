"""Plots of a calibration keep their marks inside the frame, on any dev split, and put them where they belong."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gate_cases import a_dev_split, cases_of
from symdistill.evaluation.calibration import calibrate
from symdistill.evaluation.calibration_plots import reliability_plot, risk_plot, threshold_plot, threshold_words

SPLITS = {
    "many": a_dev_split(150),
    "more than can be drawn": a_dev_split(2500),
    "one": a_dev_split(1),
    "two": a_dev_split(2),
    "all right": [replace(c, correct_direct=True) for c in a_dev_split(30)],
    "all wrong": [replace(c, correct_direct=False, correct_known=False) for c in a_dev_split(30)],
    "only knowledge helps": [replace(c, correct_direct=False, correct_known=True) for c in a_dev_split(30)],
    "one margin": [replace(c, margin=100.0) for c in a_dev_split(30)],
    "no margin": [replace(c, margin=0.0) for c in a_dev_split(30)],
    "nearly the same": [replace(c, margin=99.9 + 1e-9 * i) for i, c in enumerate(a_dev_split(30))],
    "the whole scale": [replace(c, margin=100.0 * i / 29) for i, c in enumerate(a_dev_split(30))],
    "no tokens": [replace(c, prompt_tokens_direct=0, prompt_tokens_known=0) for c in a_dev_split(9)],
}


def parsed(svg) -> ElementTree.Element:
    return ElementTree.fromstring(str(svg))


def outside(svg) -> list[str]:
    root = parsed(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    found = []
    for element in root.iter():
        places = [tuple(map(float, place.split(","))) for place in element.attrib.get("points", "").split()]
        for name, value in element.attrib.items():
            if name in ("x", "x1", "x2", "cx"):
                places.append((float(value), 0.0))
            if name in ("y", "y1", "y2", "cy"):
                places.append((0.0, float(value)))
        # Not `>`: a coordinate that is no number is outside too.
        found += [str(p) for p in places if not (-0.1 <= p[0] <= width + 0.1 and -0.1 <= p[1] <= height + 0.1)]
    return found


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("rule", ["best", "cheapest"])
def test_any_calibration_can_be_drawn(name, rule):
    found = calibrate(SPLITS[name], rule=rule)
    for plot in (threshold_plot, reliability_plot, risk_plot):
        svg = plot(found, "A <title> & more")
        assert outside(svg) == []
        assert "nan" not in str(svg)
        assert len(str(svg)) < 90_000
        assert parsed(svg).attrib["aria-label"] == "A <title> & more"


@pytest.mark.parametrize("score", ["probability", "entropy", "agreement"])
def test_other_scores_can_be_drawn(score):
    svg = threshold_plot(calibrate(a_dev_split(40), score=score), "t")
    assert outside(svg) == []
    assert f"threshold of the gate ({score})" in str(svg)


def test_the_strips_step_where_a_score_is_passed():
    found = calibrate(cases_of([(20, False, True), (40, False, True), (80, True, False), (90, True, True)]))
    lines = [e.attrib["points"] for e in parsed(threshold_plot(found, "t")).iter("polyline")]
    accuracy, asked, _ = ([tuple(map(float, p.split(","))) for p in line.split()] for line in lines)
    # Five levels, each drawn from its left end to its right end.
    assert len(accuracy) == len(asked) == 10
    levels = [y for _, y in asked[::2]]
    assert [levels[i] - levels[i + 1] for i in range(4)] == pytest.approx([(levels[0] - levels[4]) / 4] * 4, abs=0.11)
    left, right = asked[1][0], asked[7][0]
    # The scores 20, 40, 80 and 90 to scale.
    assert [(x - left) / (right - left) for x, _ in asked[1::2][:4]] == pytest.approx([0, 2 / 7, 6 / 7, 1], abs=0.002)
    # Chosen: 60, in the middle of the level between 40 and 80.
    circles = [float(e.attrib["cx"]) for e in parsed(threshold_plot(found, "t")).iter("circle")]
    assert circles == pytest.approx([left + (right - left) * 4 / 7] * 3, abs=0.11)


def test_never_and_always_stand_at_the_ends():
    for name, words in (("all right", "chosen: never"), ("only knowledge helps", "chosen: always")):
        svg = parsed(threshold_plot(calibrate(SPLITS[name]), "t"))
        assert words in [e.text for e in svg.iter("text")]
        edges = [float(p.split(",")[0]) for e in svg.iter("polyline") for p in e.attrib["points"].split()]
        marks = {float(e.attrib["cx"]) for e in svg.iter("circle")}
        assert marks == {min(edges) if name == "all right" else max(edges)}


def test_reliability_has_a_mark_a_bin():
    found = calibrate(a_dev_split(150))
    assert len(list(parsed(reliability_plot(found, "t")).iter("circle"))) == len(found.reliability) == 10


@pytest.mark.parametrize(
    ("threshold", "score", "words"),
    [
        (0.0, "margin", "never"),
        (100.0, "margin", "always"),
        (1.0, "probability", "always"),
        (96.55, "margin", "96.5"),
        (99.99, "margin", "99.99"),
        (99.9996, "margin", "99.9996"),
        (0.004, "margin", "0.004"),
        (0.8125, "entropy", "0.812"),
    ],
)
def test_a_threshold_in_words(threshold, score, words):
    assert threshold_words(threshold, score) == words
