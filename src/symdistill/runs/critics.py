"""A critic of a graph: trained on labels, judged on those it has not seen, kept beside the graph.

critic/critic.json, weights.npz    the critic (see `training.critic`)
critic/report.json                 what it is worth on held-out labels, and what it was trained on
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from symdistill.content import content_key
from symdistill.errors import ConfigError, DataError, UnusableModel
from symdistill.evaluation.critic_metrics import critic_figures
from symdistill.knowledge.triples import Schema, Triple
from symdistill.runs.directory import forget, write_json
from symdistill.runs.validation import closest
from symdistill.students.settings import StudentSettings
from symdistill.training.critic import Critic, fit_critic, threshold_for
from symdistill.training.critic_features import OF_STUDENTS, WORDS, open_features
from symdistill.training.critic_labels import Labelled, text_of
from symdistill.training.settings import CriticSettings

REPORT = "report.json"
RECALLS = (0.5, 0.8, 0.95)
"""Shares of good validation labels whose thresholds a report shows beside the one that was chosen."""


@dataclass(frozen=True)
class TrainedCritic:
    """A critic, and its report: `held_out` is `CriticFigures.to_dict`, `sides` the labels of each part of them."""

    critic: Critic
    report: dict[str, Any]
    again: bool = False
    """Whether it had been trained before."""


def check_features(name: str, key: str) -> None:
    """`key` is the setting or option that names the features.

    Raises:
        ConfigError: they are none of the known ones, and no encoder that can be used. PrerequisiteError: a package is
            missing.
    """
    known = (WORDS, *OF_STUDENTS)
    if name in known:
        return
    from symdistill.models.encoder import check_encoder

    directory = Path(name).expanduser()
    if not directory.is_dir():
        meant = closest(name, known)
        raise ConfigError(
            f"`{key}` must be {', '.join(f'`{one}`' for one in known)} or a directory, and {name} is not a directory.",
            f"Did you mean `{meant}`?" if meant else "Name one of the three, or a sentence-transformers directory.",
        )
    try:
        check_encoder(directory)
    except UnusableModel as problem:
        raise ConfigError(f"`{key}`: {problem.message}", problem.fix) from problem


def train_critic(
    labelled: Sequence[Labelled],
    settings: CriticSettings,
    directory: Path,
    *,
    student: StudentSettings | None = None,
    seed: int = 0,
) -> TrainedCritic:
    """Train a critic, measure it on held-out labels, and write both to `directory`; or find it there.

    Raises:
        DataError: the labels will not do. PrerequisiteError, UnusableModel: what its features need is not there.
    """
    facts = [[one.text, one.good, one.group] for one in labelled]
    weights = open_features(settings.features, layers=settings.layers, student=student).identity
    asked = [facts, settings.model_dump(mode="json"), weights, seed]
    key = content_key("c5", asked)
    if found := _trained(directory, key, trust_remote_code=student is not None and student.trust_remote_code):
        return found
    critic, sides = fit_critic(labelled, settings, student=student, seed=seed)
    validation, held_out = sides["validation"], sides["held_out"]
    known = critic.probabilities([one.text for one in validation])
    good = np.array([one.good for one in validation], dtype=bool)
    figures = critic_figures(
        critic.probabilities([one.text for one in held_out]).tolist(),
        [one.good for one in held_out],
        [one.group for one in held_out],
        critic.threshold,
        others=[threshold_for(known, good, recall) for recall in RECALLS],
        kinds=[one.triple.relation if one.triple else "" for one in held_out],
        seed=seed,
    )
    notes = []
    if critic.slope == 0:
        notes.append("On the validation labels its scores foretell nothing: every text has the same probability.")
    if figures.chosen.gain is None:
        notes.append("It passes no held-out text.")
    elif figures.chosen.gain_low is None:
        notes.append(
            f"That it raises precision cannot be shown: {figures.heads:,} held-out heads are too few for an interval."
        )
    elif not figures.chosen.raises_precision:
        notes.append("That it raises precision is not shown: the interval of the gain includes 0.")
    elif figures.chosen.by_kind_alone:
        notes.append(
            "It raises precision by the relations that it passes: that it tells a good triple from a bad one of the "
            "same relation is not shown."
        )
    report = {
        "key": key,
        "settings": settings.model_dump(mode="json"),
        "l2": critic.l2,
        "sides": {name: _counts(side) for name, side in sides.items()},
        "held_out": figures.to_dict(),
        "recalls": list(RECALLS),
        "notes": notes,
    }
    forget(directory / REPORT)  # it speaks of the critic that is replaced now
    critic.save(directory)
    write_json(directory / REPORT, report)
    return TrainedCritic(critic, report)


def score_triples(critic: Critic, triples: Iterable[Triple], schema: Schema) -> list[Triple]:
    """The triples with what the critic thinks of them as their confidence. Raises DataError."""
    given = list(triples)
    said = critic.probabilities([text_of(triple, schema) for triple in given])
    return [replace(triple, confidence=float(p)) for triple, p in zip(given, said, strict=True)]


def read_report(directory: Path) -> dict[str, Any]:
    """The report of a critic that was trained. Raises DataError."""
    path = directory / REPORT
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "Train the critic again.") from None
    return report


def _trained(directory: Path, key: str, *, trust_remote_code: bool) -> TrainedCritic | None:
    if not (directory / REPORT).exists():
        return None
    report = read_report(directory)
    if report.get("key") != key:
        return None
    return TrainedCritic(Critic.load(directory, trust_remote_code=trust_remote_code), report, again=True)


def _counts(labelled: Sequence[Labelled]) -> dict[str, int]:
    good = sum(one.good for one in labelled)
    return {"good": good, "bad": len(labelled) - good, "heads": len({one.group for one in labelled})}
