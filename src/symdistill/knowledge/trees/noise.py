"""Which answers hold when they are asked for again, and which features are worth keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from symdistill.knowledge.agreement import Agreement, cohen_kappa
from symdistill.knowledge.rules.observations import Observation, in_split
from symdistill.knowledge.trees.annotation import Answers
from symdistill.knowledge.trees.features import Features
from symdistill.knowledge.trees.settings import ScreeningSettings


@dataclass(frozen=True, slots=True)
class Noise:
    """What is known about the answers to one question.

    `yes` is the share of yes among the answers, `answered` the share of inputs that have one. `agreement` compares the
    first answer with a later one, a pair for every time an input was asked about again; None where none was.
    """

    name: str
    yes: float
    answered: float
    agreement: Agreement | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Screening:
    """The names of the features that are kept, and why each of the others is not."""

    kept: tuple[str, ...]
    dropped: Mapping[str, str]


def measure_noise(observations: Sequence[Observation], answers: Answers, features: Features) -> list[Noise]:
    """The noise of every feature, in their order; `observations` are the inputs that were asked about."""
    found = []
    for name in features:
        given = [one.answers[name] for one in observations if one.answers.get(name) is not None]
        first, again = _pairs(answers, name)
        found.append(
            Noise(
                name,
                sum(map(bool, given)) / len(given) if given else 0.0,
                len(given) / len(observations) if observations else 0.0,
                cohen_kappa(first, again) if first else None,
            )
        )
    return found


def _pairs(answers: Answers, name: str) -> tuple[list[bool], list[bool]]:
    first, again = [], []
    for later in answers.given[1:]:
        for example_id, said in later.items():
            before = answers.given[0].get(example_id, {})
            if name in said and name in before:
                first.append(before[name])
                again.append(said[name])
    return first, again


def screen(noise: Sequence[Noise], settings: ScreeningSettings | None = None) -> Screening:
    """Leave out what tells nothing apart, was not answered, or was answered otherwise when asked again."""
    limits = settings or ScreeningSettings()
    reasons = {one.name: reason for one in noise if (reason := _reason(one, limits))}
    return Screening(tuple(one.name for one in noise if one.name not in reasons), reasons)


def _reason(one: Noise, limits: ScreeningSettings) -> str:
    if one.answered < limits.least_answered:
        return f"unanswered: {one.answered:.0%} of inputs have an answer that can be read"
    alike = max(one.yes, 1 - one.yes)
    if alike > limits.most_alike:
        return f"tells nothing apart: {'yes' if one.yes > 0.5 else 'no'} for {alike:.1%} of inputs"
    agreement = one.agreement
    if agreement is None or agreement.n < limits.least_pairs:
        return ""
    if agreement.kappa is None:
        return f"tells nothing apart: the same answer for all {agreement.n} inputs that were asked about twice"
    if agreement.kappa < limits.least_kappa:
        return (
            f"noisy: asked again about {agreement.n} inputs, {agreement.observed:.0%} of the answers were the same, "
            f"kappa {agreement.kappa:.2f} (at least {limits.least_kappa:g} is wanted)"
        )
    return ""


def screen_training(
    observations: Sequence[Observation],
    answers: Answers,
    features: Features,
    settings: ScreeningSettings | None = None,
) -> tuple[list[Noise], Screening]:
    """The noise of the training inputs and what it leaves: held-out inputs decide nothing."""
    noise = measure_noise(in_split(observations, "train"), answers, features)
    return noise, screen(noise, settings)
