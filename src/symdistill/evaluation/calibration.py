"""The gate's threshold chosen on dev questions, and how far the student's confidence can be trusted.

Nothing here looks at a test question. The curve says what every threshold would have done; a stated rule chooses one of
them; the figures beside it say whether confidence foretells right answers at all (ECE, Brier score, risk–coverage,
AUROC), and whether another score would make a better gate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from symdistill.errors import DataError
from symdistill.evaluation.confidence import agreement_of, entropy_of, margin_of, probability_of
from symdistill.evaluation.gating import (
    SCORES,
    Choice,
    CurvePoint,
    DevCase,
    Gain,
    Gate,
    Rule,
    Score,
    check_cases,
    top_of,
)
from symdistill.evaluation.reliability import (
    Bin,
    RiskPoint,
    auroc,
    brier,
    calibration_error,
    error_by_chance,
    reliability,
    risk_area,
    risk_coverage,
)

__all__ = [
    "Bin",
    "Calibration",
    "Choice",
    "CurvePoint",
    "DevCase",
    "Gain",
    "GateQuality",
    "RiskPoint",
    "Rule",
    "Score",
    "agreement_of",
    "calibrate",
    "entropy_of",
    "margin_of",
    "probability_of",
]


@dataclass(frozen=True, slots=True)
class GateQuality:
    """One score as a gate.

    auroc: the chance that a right direct reply scores higher than a wrong one, with its 95% bootstrap interval; None
        where all direct replies are right or all are wrong.
    aurc, ece, brier: see `evaluation.reliability`; the score, scaled to 0..1, is taken as a probability of being right.
    best_*: the threshold of the highest accuracy, chosen on these questions, and what it does there. Thresholds are
        on the scale of the score; that of entropy is 1 - entropy / ln 3.
    mean_accuracy: accuracy at a retrieval rate drawn at random. Asking again at random instead of by the gate gives
        half the sum of the accuracies of never and always.
    """

    auroc: float | None
    auroc_low: float | None
    auroc_high: float | None
    aurc: float
    ece: float
    brier: float
    best_threshold: float
    best_accuracy: float
    best_retrieval_rate: float
    best_prompt_tokens: float
    mean_accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A chosen threshold with its evidence, from `n` dev questions.

    score, rule, within: what was chosen, and how; see `calibrate`.
    choice: the threshold, what it does on the dev questions, how stable it is and what it gains.
    curve: every split a threshold can make, with the lowest threshold that makes it; never first (0: the gate is
        switched off), always last.
    reliability, risk_coverage, ece, brier, aurc: see `evaluation.reliability`. `ece_by_chance` is what a perfect
        confidence would show with so few questions, `brier_constant` what the mean accuracy as everybody's
        confidence would.
    gates: every score that was measured, as a gate, by name.
    """

    score: Score
    rule: Rule
    within: float
    n: int
    choice: Choice
    curve: tuple[CurvePoint, ...]
    reliability: tuple[Bin, ...]
    risk_coverage: tuple[RiskPoint, ...]
    ece: float
    ece_by_chance: float
    brier: float
    brier_constant: float
    aurc: float
    gates: Mapping[str, GateQuality]

    @property
    def threshold(self) -> float:
        return self.choice.threshold

    @property
    def few(self) -> bool:
        """Are the dev questions so few that the threshold is little better than a guess?"""
        return self.n < ENOUGH

    def at(self, threshold: float) -> CurvePoint:
        """What another threshold does on the same questions."""
        if threshold <= 0 or threshold >= top_of(self.score):
            return self.never if threshold <= 0 else self.always
        point = next(p for p in reversed(self.curve) if p.threshold <= threshold)
        if point != self.always:
            return point
        # Every reply is below it, and yet each question is asked directly first.
        return replace(point, prompt_tokens=point.prompt_tokens + self.never.prompt_tokens * point.retrieval_rate)

    @property
    def never(self) -> CurvePoint:
        return self.curve[0]

    @property
    def always(self) -> CurvePoint:
        return self.curve[-1]

    def to_dict(self) -> dict[str, Any]:
        """The calibration for a JSON file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object, where: str) -> Calibration:
        """The calibration `to_dict` wrote; keys this version does not know are left aside. `where` names the place.

        Raises:
            DataError: something is missing, of another type, or not a finite number.
        """
        try:
            # By way of JSON: strict about types, NaN refused, lists taken as the tuples they were.
            found = _adapter().validate_json(json.dumps(values, allow_nan=False), strict=True)
        except (TypeError, RecursionError) as error:
            raise DataError(f"{where} is no calibration: {error}.", _AGAIN) from None
        except ValueError as error:
            if not isinstance(error, ValidationError):
                raise DataError(f"{where} is no calibration: {error}.", _AGAIN) from None
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise DataError(f"{where} is no calibration: {place}: {first['msg']}.", _AGAIN) from None
        if not found.curve or not found.reliability or found.score not in found.gates:
            raise DataError(f"{where} is no calibration: its curve, bins or gates are missing.", _AGAIN)
        return found


ENOUGH = 30
"""Dev questions below which a chosen threshold is called a guess."""

_AGAIN = "Remove the file and run the same command to calibrate again."


def calibrate(
    cases: Sequence[DevCase], *, rule: Rule = "best", within: float = 0.01, score: Score = "margin"
) -> Calibration:
    """Choose the threshold of the gate on `cases`.

    Rule `best` takes the highest accuracy and, where several thresholds reach it, the one with the fewest retrievals;
    `cheapest` takes the fewest prompt tokens among those at most `within` (a share: 0.01 is one point) below the
    highest accuracy, ties again to the fewest retrievals. The threshold is set midway between the two scores it parts,
    0 where nothing, and the score's top where everything is asked again. The order of `cases` changes nothing.

    Raises:
        ValueError: there are no cases, a number is out of range or NaN, a case lacks `score`, or `within` is not
            between 0 and 1.
    """
    check_cases(cases)
    if rule not in ("best", "cheapest"):
        raise ValueError(f"there is no rule {rule!r}: best or cheapest")
    if not 0 <= within <= 1:
        raise ValueError(f"`within` is a share between 0 and 1, not {within}")
    gates = {s: Gate(cases, s) for s in SCORES if s != "agreement" or all(c.agreement is not None for c in cases)}
    if score not in gates:
        raise ValueError(f"some dev questions have no {score}")
    gate = gates[score]
    right = [bool(v) for v in gate.direct]
    confidence = (gate.scores / gate.top).tolist()
    bins = reliability(confidence, right)
    share = sum(right) / len(right)
    return Calibration(
        score=score,
        rule=rule,
        within=within,
        n=gate.n,
        choice=gate.choose(rule, within),
        curve=gate.curve(),
        reliability=bins,
        risk_coverage=risk_coverage(confidence, right),
        ece=calibration_error(bins),
        ece_by_chance=error_by_chance(confidence),
        brier=brier(confidence, right),
        brier_constant=share * (1 - share),
        aurc=risk_area(confidence, right),
        gates={name: _quality(g) for name, g in gates.items()},
    )


def _quality(gate: Gate) -> GateQuality:
    right = [bool(v) for v in gate.direct]
    confidence = (gate.scores / gate.top).tolist()
    interval = gate.auroc_interval()
    threshold, best = gate.best()
    return GateQuality(
        auroc=auroc(confidence, right),
        auroc_low=interval[0] if interval else None,
        auroc_high=interval[1] if interval else None,
        aurc=risk_area(confidence, right),
        ece=calibration_error(reliability(confidence, right)),
        brier=brier(confidence, right),
        best_threshold=threshold,
        best_accuracy=best.accuracy,
        best_retrieval_rate=best.retrieval_rate,
        best_prompt_tokens=best.prompt_tokens,
        mean_accuracy=gate.mean_accuracy(),
    )


@cache
def _adapter() -> TypeAdapter[Calibration]:
    return TypeAdapter(Calibration)
