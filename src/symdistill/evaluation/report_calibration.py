"""The report's section on the gate: what was chosen and why, the curve over the threshold, and whether confidence can
be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdistill.evaluation import calibration_plots
from symdistill.evaluation.calibration import Calibration, Gain, GateQuality
from symdistill.evaluation.calibration_plots import threshold_words
from symdistill.evaluation.figures import NOTHING, accuracy_interval, clean, percent, points
from symdistill.evaluation.report_data import CalibrationSummary
from symdistill.evaluation.tables import Table

_SCORES = {
    "margin": "margin",
    "probability": "sequence probability",
    "entropy": "entropy",
    "agreement": "agreement of samples",
}


def calibration_section(summary: CalibrationSummary) -> Mapping[str, Any]:
    """Sentences, plots and tables about one calibrated gate."""
    c, method = summary.calibration, clean(summary.method, 80)
    return {
        "method": method,
        "n": c.n,
        "said": [_chosen(c), *_gains(c), _cost(c), *_in_use(c, summary.set_apart)],
        "in_use": summary.set_apart is not None,
        "trust": [_trust(c), _ranking(c)],
        "plot": calibration_plots.threshold_plot(
            c, f"Accuracy, questions asked again and prompt tokens over the threshold of {method}", summary.set_apart
        ),
        "reliability_plot": calibration_plots.reliability_plot(
            c, f"Share right over confidence, direct replies of {method}"
        ),
        "risk_plot": calibration_plots.risk_plot(c, f"Share wrong among the surest direct replies of {method}"),
        "reliability": _reliability(c),
        "gates": _gates(c),
        "sampled": "agreement" in c.gates,
    }


def _chosen(c: Calibration) -> str:
    rule = (
        "the highest accuracy"
        if c.rule == "best"
        else f"the fewest prompt tokens within {_share_points(c.within)} of the highest accuracy"
    )
    before = (
        f"On {c.n:,} dev question{'' if c.n == 1 else 's'}, cut from the training questions and kept from this "
        f"student's training, it answers {percent(c.never.accuracy)}% correctly when it never asks for knowledge and "
        f"{percent(c.always.accuracy)}% when it always does. "
    )
    if c.few:
        before += "So few are little better than a guess at a threshold. "
    words, point = threshold_words(c.threshold, c.score), c.choice.point
    if words in ("never", "always"):
        return before + f"The rule ({rule}) chooses {words} to ask."
    low, high = (threshold_words(at, c.score) for at in (c.choice.threshold_low, c.choice.threshold_high))
    return before + (
        f"The threshold {words}, chosen for {rule}, asks again for {percent(point.retrieval_rate)}% of them and "
        f"answers {percent(point.accuracy)}% correctly. In 95% of resamples of these questions the same rule chooses "
        f"between {low} and {high}."
    )


def _gains(c: Calibration) -> list[str]:
    words = threshold_words(c.threshold, c.score)
    found = []
    if words != "never":
        found.append(_gain("never", c.choice.over_never))
    if words != "always":
        found.append(_gain("always", c.choice.over_always))
    return found


def _gain(other: str, gain: Gain) -> str:
    unseen = (
        ""
        if gain.corrected is None
        else f"; on questions the threshold was not chosen on, by cross-validation, {points(gain.corrected)}"
    )
    return (
        f"Against {other} asking that is {_share_points(gain.difference, signed=True)} (95% interval "
        f"{points(gain.low)} to {points(gain.high)}, the threshold held){unseen}."
    )


def _share_points(share: float, signed: bool = False) -> str:
    value = points(share) if signed else f"{100 * share:g}"
    return f"{value} point" if value.lstrip("+−") in ("1", "1.0") else f"{value} points"


def _cost(c: Calibration) -> str:
    point, always = c.choice.point, c.always
    said = (
        f"Prompt tokens a question, both passes counted: {point.prompt_tokens:,.0f}; never asking takes "
        f"{c.never.prompt_tokens:,.0f}, always asking, which needs no direct pass, {always.prompt_tokens:,.0f}."
    )
    if point != always and always.accuracy >= point.accuracy and always.prompt_tokens <= point.prompt_tokens:
        said += " Here `gate: always` is as accurate and no dearer."
    return said


def _in_use(c: Calibration, threshold: float | None) -> list[str]:
    if threshold is None:
        return []
    point = c.at(threshold)
    return [
        f"This is not the threshold in use: the configuration sets {threshold_words(threshold, c.score)}, which "
        f"asks again for {percent(point.retrieval_rate)}% of the dev questions, answers {percent(point.accuracy)}% "
        f"correctly and reads {point.prompt_tokens:,.0f} prompt tokens a question."
    ]


def _trust(c: Calibration) -> str:
    mean = sum(b.n * b.confidence for b in c.reliability) / c.n
    gap = mean - c.never.accuracy
    verdict = (
        "about as sure as it is right"
        if c.ece <= 1.5 * c.ece_by_chance
        else "too sure"
        if gap > 0.02
        else "not sure enough"
        if gap < -0.02
        else "right about as often as it is sure on the whole, but not at every level"
    )
    return (
        f"Read as a probability, its confidence averages {percent(mean)}% where {percent(c.never.accuracy)}% of the "
        f"direct replies are right: it is {verdict}. The calibration error (ECE) is {c.ece:.3f} over "
        f"{len(c.reliability)} bins of about equal size; a perfect confidence would show about {c.ece_by_chance:.3f} "
        f"with so many questions. The Brier score is {c.brier:.3f}; saying the mean accuracy every time gives "
        f"{c.brier_constant:.3f}."
    )


def _ranking(c: Calibration) -> str:
    if c.never.accuracy in (0.0, 1.0):
        return f"All direct replies are {'right' if c.never.accuracy else 'wrong'}, so no score can tell them apart."
    return (
        f"Of the surest replies {percent(c.aurc)}% are wrong, on average over how many of them are kept (AURC); of "
        f"replies kept at random {percent(1 - c.never.accuracy)}%."
    )


def _reliability(c: Calibration) -> Table:
    table = [["confidence", "n", "mean confidence", "right (95%)"]]
    for b in c.reliability:
        table.append(
            [
                f"{percent(b.least)} to {percent(b.most)}",
                f"{b.n:,}",
                percent(b.confidence),
                accuracy_interval(b.accuracy, b.low, b.high),
            ]
        )
    return table


def _gates(c: Calibration) -> Table:
    """A line a score, the one in use marked, and what asking again at random gives."""
    table = [["gate", "AUROC (95%)", "AURC", "ECE", "Brier", "best accuracy", "asked again", "mean accuracy"]]
    for name, gate in c.gates.items():
        words = _SCORES.get(name, name) + (" (in use)" if name == c.score else "")
        table.append(
            [
                words,
                _auroc(gate),
                f"{gate.aurc:.3f}",
                f"{gate.ece:.3f}",
                f"{gate.brier:.3f}",
                f"{percent(gate.best_accuracy)}%",
                f"{percent(gate.best_retrieval_rate)}%",
                f"{percent(gate.mean_accuracy)}%",
            ]
        )
    chance = (c.never.accuracy + c.always.accuracy) / 2
    risk = f"{1 - c.never.accuracy:.3f}"
    return [*table, ["at random", ".50", risk, NOTHING, NOTHING, NOTHING, NOTHING, f"{percent(chance)}%"]]


def _auroc(gate: GateQuality) -> str:
    if gate.auroc is None:
        return NOTHING
    if gate.auroc_low is None or gate.auroc_high is None:
        return _two(gate.auroc)
    return f"{_two(gate.auroc)} [{_two(gate.auroc_low)}, {_two(gate.auroc_high)}]"


def _two(share: float) -> str:
    return f"{share:.2f}".removeprefix("0") if share < 0.995 else "1.0"
