"""Choosing the gate's threshold: against trying every threshold by hand, and on odd dev splits."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate_cases import a_dev_split, case, cases_of
from symdistill.errors import DataError
from symdistill.evaluation.calibration import Calibration, calibrate

ROWS = st.lists(
    st.builds(
        case,
        st.one_of(st.floats(0, 100, allow_subnormal=False), st.sampled_from([0.0, 40.0, 99.5, 100.0])),
        st.booleans(),
        st.booleans(),
        st.uuids().map(str),
        st.tuples(st.integers(1, 200), st.integers(1, 600)),
    ),
    min_size=1,
    max_size=30,
)
RULES = st.sampled_from([("best", 0.01), ("cheapest", 0.0), ("cheapest", 0.1), ("cheapest", 1.0)])


def outcome(cases, threshold):
    """What a gate with this threshold does, question by question: right answers, retrievals, prompt tokens."""
    if threshold <= 0:
        asked = [False] * len(cases)
    elif threshold >= 100:
        asked = [True] * len(cases)
    else:
        asked = [not c.margin > threshold for c in cases]
    right = sum(c.correct_known if a else c.correct_direct for a, c in zip(asked, cases, strict=True))
    # Where all are asked with knowledge, nothing is asked directly first.
    read = sum(
        c.prompt_tokens_known if all(asked) else c.prompt_tokens_direct + a * c.prompt_tokens_known
        for a, c in zip(asked, cases, strict=True)
    )
    return right, sum(asked), read


@settings(deadline=None, max_examples=60)
@given(ROWS, RULES)
def test_the_choice_is_the_best_of_all_thresholds(cases, rule):
    name, within = rule
    found = calibrate(cases, rule=name, within=within)
    n = len(cases)
    # Every margin as a threshold (a little more than 0, which means never), never, always: all a threshold can do.
    tried = [outcome(cases, t) for t in [0.0, *(max(c.margin, 1e-320) for c in cases), 100.0]]
    most = max(right for right, _, _ in tried)
    if name == "best":
        wanted = min((o for o in tried if o[0] == most), key=lambda o: o[1])
    else:
        wanted = min((o for o in tried if o[0] >= most - within * n - 1e-9), key=lambda o: (o[2], o[1]))
    assert outcome(cases, found.threshold) == wanted
    point = found.choice.point
    assert (point.accuracy, point.retrieval_rate, point.prompt_tokens) == tuple(v / n for v in wanted)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_the_curve_goes_from_never_to_always(cases):
    found = calibrate(cases)
    n = len(cases)
    assert found.never.accuracy == sum(c.correct_direct for c in cases) / n
    assert found.never.prompt_tokens == sum(c.prompt_tokens_direct for c in cases) / n
    assert found.always.accuracy == sum(c.correct_known for c in cases) / n
    assert found.always.prompt_tokens == sum(c.prompt_tokens_known for c in cases) / n
    assert (found.never.retrieval_rate, found.always.retrieval_rate) == (0.0, 1.0)
    assert len(found.curve) == len({c.margin for c in cases}) + 1
    for before, after in pairwise(found.curve):
        assert before.threshold <= after.threshold
        assert before.retrieval_rate < after.retrieval_rate
    for point in found.curve[1:]:
        asked = [c.margin <= point.threshold for c in cases]
        right = sum(c.correct_known if a else c.correct_direct for a, c in zip(asked, cases, strict=True))
        assert (point.accuracy, point.retrieval_rate) == (right / n, sum(asked) / n)


@settings(deadline=None, max_examples=30)
@given(ROWS, RULES, st.randoms(use_true_random=False))
def test_it_is_the_same_in_any_order_and_after_json(cases, rule, rng):
    found = calibrate(cases, rule=rule[0], within=rule[1])
    assert calibrate(rng.sample(cases, len(cases)), rule=rule[0], within=rule[1]) == found
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)), "x.json") == found


T, F = True, False


@pytest.mark.parametrize(
    ("rows", "threshold", "accuracy", "rate"),
    [
        # Knowledge helps where the student is unsure, hurts where it is sure.
        ([(20, F, T), (40, F, T), (80, T, F), (90, T, T)], 60.0, 1.0, 0.5),
        # All right anyway: the fewest retrievals is none.
        ([(20, T, T), (80, T, T)], 0.0, 1.0, 0.0),
        # All wrong, whatever is done.
        ([(20, F, F), (80, F, F)], 0.0, 0.0, 0.0),
        # Only knowledge is ever right.
        ([(20, F, T), (80, F, T)], 100.0, 1.0, 1.0),
        ([(50, F, T)], 100.0, 1.0, 1.0),
        ([(50, T, F)], 0.0, 1.0, 0.0),
        # Equal margins are decided together.
        ([(50, F, T), (50, T, F), (50, F, T)], 100.0, 2 / 3, 1.0),
        # The ends of the scale.
        ([(0, F, T), (100, T, F)], 50.0, 1.0, 0.5),
        ([(100, F, T), (99, T, F)], 0.0, 0.5, 0.0),
        # Two thresholds are as good: the one with fewer retrievals.
        ([(10, F, T), (20, F, F), (30, T, F), (40, F, T)], 15.0, 0.5, 0.25),
    ],
)
def test_best_by_hand(rows, threshold, accuracy, rate):
    found = calibrate(cases_of(rows))
    assert found.threshold == threshold
    assert (found.choice.point.accuracy, found.choice.point.retrieval_rate) == (accuracy, rate)
    assert found.choice.threshold_low <= found.choice.threshold_high


@pytest.mark.parametrize(
    ("within", "threshold", "rate"), [(0.0, 45.0, 0.4), (0.1, 45.0, 0.4), (0.2, 15.0, 0.2), (0.4, 0.0, 0.0)]
)
def test_cheapest_gives_up_at_most_what_it_may(within, threshold, rate):
    rows = [(10, F, T), (20, F, T), (70, T, T), (80, T, T), (90, T, F)]
    found = calibrate(cases_of(rows), rule="cheapest", within=within)
    assert found.threshold == threshold
    assert found.choice.point.retrieval_rate == rate
    assert found.choice.point.accuracy >= max(p.accuracy for p in found.curve) - within - 1e-9


def test_asking_always_needs_no_direct_pass():
    rows = [(10 * i, F, i != 9) for i in range(1, 10)]
    found = calibrate([case(*row, name=f"q{row[0]}", tokens=(100, 120)) for row in rows], rule="cheapest", within=0.0)
    # Asking all but the surest costs 100 + 8/9·120; asking all costs 120 and is as accurate.
    assert found.threshold == 100
    assert found.choice.point.prompt_tokens == 120
    assert found.curve[-2].prompt_tokens == pytest.approx(100 + 8 / 9 * 120)


def test_neighbouring_floats_have_a_threshold_between_them():
    low = 99.9
    high = math.nextafter(low, 100)
    found = calibrate(cases_of([(low, F, T), (high, T, F)]))
    assert low <= found.threshold < high
    assert found.choice.point.accuracy == 1


def test_a_question_no_item_fits_is_never_asked_again():
    cases = [*cases_of([(20, F, T), (80, T, F)]), case(30, T, T, "alone", (10, 0)), case(90, F, F, "bare", (10, 0))]
    found = calibrate(cases)
    assert found.always.retrieval_rate == 0.5
    assert found.always.prompt_tokens == (30 + 30 + 10 + 10) / 4
    assert found.choice.point.prompt_tokens == (4 * 10 + 30) / 4
    nothing = calibrate([replace(c, prompt_tokens_known=0, correct_known=c.correct_direct) for c in cases])
    assert nothing.always.retrieval_rate == 0
    assert nothing.gates["margin"].mean_accuracy == nothing.never.accuracy


def test_the_gain_is_a_paired_difference_and_choosing_is_corrected_for():
    cases = a_dev_split(150)
    choice = calibrate(cases).choice
    never = sum(c.correct_direct for c in cases) / 150
    always = sum(c.correct_known for c in cases) / 150
    for gain, other in ((choice.over_never, never), (choice.over_always, always)):
        assert gain.difference == pytest.approx(choice.point.accuracy - other)
        assert gain.low <= gain.difference <= gain.high
        assert gain.corrected < gain.difference
    assert choice.threshold_low <= choice.threshold <= choice.threshold_high


def test_the_correction_is_about_what_new_questions_take_away():
    # The verdicts have nothing to do with the margin: whatever a threshold seems to gain, it gains by chance.
    rng = random.Random(5)
    apparent, corrected = [], []
    for _ in range(40):
        rows = [(100 * rng.random(), rng.random() < 0.5, rng.random() < 0.5) for _ in range(60)]
        gain = calibrate(cases_of(rows)).choice.over_never
        apparent.append(gain.difference)
        corrected.append(gain.corrected)
    assert sum(apparent) / 40 > 0.05
    assert abs(sum(corrected) / 40) < 0.6 * sum(apparent) / 40


def test_the_correction_is_right_on_the_average_where_there_is_something_to_gain():
    # A low margin foretells a wrong reply, and knowledge then helps: what the chosen threshold brings is known.
    rng = random.Random(11)

    def one() -> tuple[float, bool, bool]:
        hard = rng.random()
        return 100 * (1 - hard), rng.random() < 0.8 - 0.5 * hard, rng.random() < 0.45 + 0.1 * hard

    apparent, corrected, truly = [], [], []
    unseen = [one() for _ in range(4000)]
    for _ in range(60):
        choice = calibrate(cases_of([one() for _ in range(40)])).choice
        apparent.append(choice.over_never.difference)
        corrected.append(choice.over_never.corrected)
        gains = [known - direct for margin, direct, known in unseen if 0 < choice.threshold >= margin]
        truly.append(sum(gains) / len(unseen))
    true = sum(truly) / 60
    assert sum(apparent) / 60 > true + 0.03
    assert abs(sum(corrected) / 60 - true) < 0.015


def test_a_single_question_says_nothing_about_others():
    assert calibrate(cases_of([(50, False, True)])).choice.over_never.corrected is None


@pytest.mark.parametrize(
    ("threshold", "accuracy", "rate", "tokens"),
    [(0, 1 / 3, 0, 10), (20, 2 / 3, 1 / 3, 20), (55, 1, 2 / 3, 30), (95, 2 / 3, 1, 40), (100, 2 / 3, 1, 30)],
)
def test_any_threshold_can_be_looked_at(threshold, accuracy, rate, tokens):
    found = calibrate(cases_of([(20, False, True), (50, False, True), (90, True, False)])).at(threshold)
    assert (found.accuracy, found.retrieval_rate, found.prompt_tokens) == (
        pytest.approx(accuracy),
        pytest.approx(rate),
        pytest.approx(tokens),
    )


@pytest.mark.parametrize(("n", "few"), [(29, True), (30, False)])
def test_few_dev_questions_are_called_few(n, few):
    assert calibrate(a_dev_split(n)).few is few


def test_gates_are_compared_on_the_same_questions():
    cases = a_dev_split(120)
    # A gate that knows which replies are right, and one that knows nothing.
    told = [replace(c, probability=0.9 if c.correct_direct else 0.1, entropy=0.5) for c in cases]
    gates = calibrate(told).gates
    assert set(gates) == {"margin", "probability", "entropy", "agreement"}
    assert gates["probability"].auroc == 1
    assert (gates["entropy"].auroc, gates["entropy"].auroc_low, gates["entropy"].auroc_high) == (0.5, 0.5, 0.5)
    assert gates["margin"].auroc_low < gates["margin"].auroc < gates["margin"].auroc_high
    direct, known = (sum(getattr(c, name) for c in told) / 120 for name in ("correct_direct", "correct_known"))
    # One group of equals can only be split at random.
    assert gates["entropy"].mean_accuracy == pytest.approx((direct + known) / 2)
    assert gates["probability"].best_accuracy == sum(c.correct_direct or c.correct_known for c in told) / 120
    assert gates["probability"].mean_accuracy > gates["entropy"].mean_accuracy
    assert gates["probability"].aurc < gates["margin"].aurc < gates["entropy"].aurc == pytest.approx(1 - direct)


@pytest.mark.parametrize("score", ["margin", "probability", "entropy", "agreement"])
def test_every_score_can_be_calibrated(score):
    found = calibrate(a_dev_split(60), score=score)
    assert 0 <= found.threshold <= (100 if score == "margin" else 1)
    assert found.gates[score].best_accuracy == found.choice.point.accuracy
    assert (found.ece, found.brier, found.aurc) == tuple(
        getattr(found.gates[score], f) for f in ("ece", "brier", "aurc")
    )


def test_a_low_entropy_is_confidence():
    cases = [replace(c, entropy=0.0 if c.correct_direct else 1.0) for c in a_dev_split(50)]
    assert calibrate(cases).gates["entropy"].auroc == 1


def test_agreement_is_left_out_unless_every_question_was_sampled():
    cases = a_dev_split(20)
    cases[3] = replace(cases[3], agreement=None)
    assert set(calibrate(cases).gates) == {"margin", "probability", "entropy"}
    with pytest.raises(ValueError, match="agreement"):
        calibrate(cases, score="agreement")


@pytest.mark.parametrize("verdict", [True, False])
def test_all_right_or_all_wrong_has_no_auroc(verdict):
    found = calibrate(cases_of([(10.0 * i, verdict, True) for i in range(1, 9)]))
    assert {g.auroc for g in found.gates.values()} == {None}
    assert found.brier_constant == 0
    assert found.aurc == (0 if verdict else 1)


@pytest.mark.parametrize(
    "change",
    [
        {"margin": math.nan},
        {"margin": 100.5},
        {"margin": -1.0},
        {"probability": math.nan},
        {"entropy": 1.2},
        {"agreement": 1.5},
        {"agreement": math.nan},
        {"prompt_tokens_known": -1},
        {"prompt_tokens_direct": math.inf},
    ],
)
def test_a_number_out_of_range_is_refused_by_name(change):
    cases = a_dev_split(5)
    cases[2] = replace(cases[2], **change)
    with pytest.raises(ValueError, match=f"q2: {next(iter(change))}"):
        calibrate(cases)


@pytest.mark.parametrize(
    ("cases", "options"),
    [([], {}), (1, {"rule": "worst"}), (1, {"within": -0.1}), (1, {"within": math.nan}), (1, {"score": "mood"})],
)
def test_what_cannot_be_calibrated_is_refused(cases, options):
    with pytest.raises(ValueError):
        calibrate(a_dev_split(cases) if cases else [], **options)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda v: v.pop("ece"), "ece"),
        (lambda v: v.update(ece="high"), "ece"),
        (lambda v: v.update(ece=math.nan), "no calibration"),
        (lambda v: v["curve"][0].update(accuracy=None), r"curve\.0\.accuracy"),
        (lambda v: v.update(rule="worst"), "rule"),
        (lambda v: v.update(curve=[]), "missing"),
        (lambda v: v.update(gates={}), "missing"),
        (lambda v: v.update(n={1, 2}), "no calibration"),
    ],
)
def test_a_damaged_file_is_named(damage, said):
    values = calibrate(a_dev_split(12)).to_dict()
    values["curve"] = [dict(p) for p in values["curve"]]
    damage(values)
    with pytest.raises(DataError, match=said) as caught:
        Calibration.from_dict(values, "run/calibration-x.json")
    assert "run/calibration-x.json" in str(caught.value)


@pytest.mark.parametrize("values", [None, [], "text", 3])
def test_what_is_no_calibration_at_all_is_named(values):
    with pytest.raises(DataError, match="here is no calibration"):
        Calibration.from_dict(values, "here")


def test_keys_of_later_versions_are_left_aside():
    found = calibrate(a_dev_split(12))
    assert Calibration.from_dict({**found.to_dict(), "mood": "good"}, "x") == found
