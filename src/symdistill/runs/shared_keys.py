"""What an entry of `methods` may change of the run's sections, and what these have to be for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symdistill.errors import ConfigError
from symdistill.methods import Method, MethodSettings
from symdistill.methods.base import TEACHER_KEYS
from symdistill.methods.nesycd import NesycdSettings
from symdistill.methods.rl import RlSettings
from symdistill.methods.skintern import USUAL_ANALYSIS, SkinternSettings
from symdistill.runs.validation import Places, closest
from symdistill.training.optimizers import OPTIMIZERS, PLAIN
from symdistill.training.settings import TrainingSettings

ANALYSIS_TOKENS = 512
"""Tokens of the teacher's two notes about a mistake at most, where the configuration does not say."""

NOT_IN_ANALYSIS = ("samples", "instruction", "demonstrations", "show_answer", "logprobs")
"""Keys of `teacher` that have no part in its notes: about each question it is asked once, in a wording of its own."""

_EVALUATION = {
    "limit": "all methods are judged on the same questions",
    "confidence": "all intervals of a run have one confidence",
    "teacher": "the teacher is asked once, beside all methods",
}


def key_in(section: str, name: str, changes: Mapping[str, Any], where: str) -> str:
    """Where the key `name` of a section stands: among the `changes` of an entry, at `where`, or in the section."""
    return f"{where}.{name}" if name in changes else f"{section}.{name}"


def analysis_changes(settings: NesycdSettings | SkinternSettings) -> dict[str, Any]:
    """The keys of `teacher` that are changed where it writes its notes, about mistakes or about solutions."""
    if isinstance(settings, SkinternSettings):
        return {**USUAL_ANALYSIS, **settings.analysis}
    return {"temperature": 0.0, "max_tokens": ANALYSIS_TOKENS, **settings.analysis}


def check_shared(settings: MethodSettings, where: str, places: Places) -> None:
    """Raises ConfigError where a method changes what cannot differ between methods. `where` is its place."""
    for key, why in _EVALUATION.items():
        if key in settings.evaluation:
            found = f"{where}.evaluation.{key}"
            raise ConfigError(
                f"`{found}`{places.at(found)} cannot differ between methods: {why}.",
                f"Set `evaluation.{key}` for the whole run.",
            )


def check_teacher(method: Method, where: str, places: Places) -> None:
    """Raises ConfigError where a method changes of `teacher` what is the run's, or learns from no such reply."""
    for key in method.settings.teacher:
        if key not in TEACHER_KEYS:
            found = f"{where}.teacher.{key}"
            raise ConfigError(
                f"`{found}`{places.at(found)} cannot differ between methods: who is asked, and within which limits, is "
                "the run's.",
                f"Set `teacher.{key}` for the whole run; a grid can vary it.",
            )
    if method.settings.teacher and method.needs != "rationales":
        raise ConfigError(
            f"`{where}.teacher`{places.at(f'{where}.teacher')} has no meaning: {method.label} does not learn from a "
            "teacher's replies.",
            "Take it out.",
        )


def check_pacing(
    training: TrainingSettings, method: Method, changes: Mapping[str, Any], where: str, places: Places
) -> None:
    """Raises ConfigError where a method cannot learn easy examples first, or its epochs do not make the steps of that.
    `training` is the section with the `changes` that stand at `where`."""
    if training.curriculum == "none" or not method.trains:
        return
    own = {"skintern": "takes away what stands before its questions in steps of its own", "rl": "learns in rounds"}
    if (why := own.get(method.settings.name)) is not None:
        key = key_in("training", "curriculum", changes, where)
        raise ConfigError(
            f"`{key}`{places.at(key)} is {training.curriculum}, which cannot order the examples of {method.label}: it "
            f"{why}.",
            f"Add `training: {{curriculum: none}}` to the entry of {method.label}.",
        )
    key = key_in("training", "curriculum_steps", changes, where)
    check_epochs(training, training.curriculum_steps, key, changes, where, places)


def check_epochs(
    training: TrainingSettings, steps: int, key: str, changes: Mapping[str, Any], where: str, places: Places
) -> None:
    """Raises ConfigError where `training` cannot be divided among so many `steps`, which `key` asks for: there are
    fewer epochs, or a part of one. `changes` of the section stand at `where`."""
    counted, name = training.num_train_epochs, "num_train_epochs"
    if training.max_steps > 0:
        counted, name = training.max_steps, "max_steps"
    length = key_in("training", name, changes, where)
    told = f"`{length}`{places.at(length)} is {counted:g}"
    if name in changes and places.lines and length not in places.lines and not places.overridden(length):
        told = f"the paper's `{name}` is {counted:g}"  # see `usual.with_epochs`
    if counted < steps:
        raise ConfigError(
            f"`{key}`{places.at(key)} is {steps}, and {told}: each step needs one at least.",
            f"Set `{length}` to {steps} or more, or choose fewer steps.",
        )
    if not float(counted).is_integer():
        raise ConfigError(
            f"{told[0].upper()}{told[1:]}, and `{key}` divides whole epochs among {steps} steps.",
            f"Set `{length}` to {math.floor(counted)}, or count the training in `max_steps`.",
        )


def check_optimizer(training: TrainingSettings, changes: Mapping[str, Any], where: str, places: Places) -> None:
    """Raises ConfigError where `training`, with the `changes` that stand at `where`, names no optimizer."""
    name = training.optim
    if name in OPTIMIZERS:
        return
    key = key_in("training", "optim", changes, where)
    families = {known.partition("_")[0]: known for known in reversed(OPTIMIZERS)}
    family = families.get(closest(name, list(families)) or "")
    close = closest(name, OPTIMIZERS) or family if "_" in name else family or closest(name, OPTIMIZERS)
    usual = f"Known: {', '.join(PLAIN)}, and those of bitsandbytes and other packages that transformers knows."
    raise ConfigError(
        f"`{key}`{places.at(key)} must be the name of an optimizer, not `{name}`.",
        f"Did you mean `{close}`?" if close else usual,
    )


def check_batches(training: TrainingSettings, settings: RlSettings, where: str) -> None:
    """Raises ConfigError where the replies of a step do not make the groups an algorithm compares."""
    batch, parts = training.per_device_train_batch_size, training.gradient_accumulation_steps
    if settings.algorithm == "kto" and batch < 2:
        raise ConfigError(
            f"The algorithm kto of `{where}` compares the replies of a batch, and `per_device_train_batch_size` is 1.",
            f"Add `training: {{per_device_train_batch_size: 8}}` to `{where}`.",
        )
    if settings.algorithm == "grpo" and batch * parts % settings.samples:
        raise ConfigError(
            f"A step of grpo in `{where}` takes {batch * parts} replies (`per_device_train_batch_size` times "
            f"`gradient_accumulation_steps`), and `samples` is {settings.samples}: the last group would be cut.",
            f"Make it a multiple: `training: {{per_device_train_batch_size: {settings.samples}}}` in `{where}`.",
        )


def check_replies(methods: Sequence[tuple[str, Method, str]], places: Places) -> None:
    """Raises ConfigError where methods read different parts of a reply. Each has its place and what it reads."""
    if len({read for _, _, read in methods}) < 2:
        return
    for where, method, read in methods:
        if "rationale_from" in method.settings.curation:
            found = f"{where}.curation.rationale_from"
            raise ConfigError(
                f"`{found}`{places.at(found)} is {read}, and another method of the run reads another part of the same "
                "replies.",
                "Set `curation.rationale_from` for the whole run, or give each its own run (a grid does).",
            )
