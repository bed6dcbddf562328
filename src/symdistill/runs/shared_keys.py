"""Keys of the run's sections that an entry of `methods` may not change, because all methods have them in common."""

from __future__ import annotations

from collections.abc import Sequence

from symdistill.errors import ConfigError
from symdistill.methods import Method, MethodSettings
from symdistill.methods.base import TEACHER_KEYS
from symdistill.runs.validation import Places
from symdistill.training.settings import TrainingSettings

_EVALUATION = {
    "limit": "all methods are judged on the same questions",
    "confidence": "all intervals of a run have one confidence",
    "teacher": "the teacher is asked once, beside all methods",
}


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


def check_pacing(training: TrainingSettings, method: Method, where: str, places: Places) -> None:
    """Raises ConfigError where a method cannot learn easy examples first, or there are fewer epochs than steps.
    `training` is the section that is changed at `where`."""
    if training.curriculum == "none" or not method.trains:
        return
    own = {"skintern": "takes away what stands before its questions in steps of its own", "rl": "learns in rounds"}
    if (why := own.get(method.settings.name)) is not None:
        raise ConfigError(
            f"`training.curriculum: {training.curriculum}`{places.at('training.curriculum')} cannot order the examples "
            f"of {method.label}, which {why}.",
            f"Add `training: {{curriculum: none}}` to the entry of {method.label}.",
        )
    counted, key = training.num_train_epochs, "num_train_epochs"
    if training.max_steps > 0:
        counted, key = training.max_steps, "max_steps"
    if counted < training.curriculum_steps:
        raise ConfigError(
            f"`{where}`: `curriculum_steps` is {training.curriculum_steps}, and `{key}` is {counted:g}: each step "
            "needs one at least.",
            f"Set `{key}` to {training.curriculum_steps} or more, or choose fewer `curriculum_steps`.",
        )
    if not float(counted).is_integer():
        raise ConfigError(
            f"`{where}`: `{key}` is {counted:g}, and a curriculum divides whole epochs among its "
            f"{training.curriculum_steps} steps.",
            f"Set `{key}` to {int(counted)}, or count the training in `max_steps`.",
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
