"""What answers for a run's students: one engine for a whole evaluation, so that all its numbers compare.

`student.engine` names it, or leaves it to the run (`auto`): both engines then answer a few training questions with
every student that is to be judged, and the faster one is taken if the replies are the same, character by character.
What decided is written into engine.json, and holds for these students whenever the run goes on. What a run learns
does not hang on it: until an evaluation has chosen, PyTorch answers.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symdistill import content
from symdistill.errors import ConfigError, PrerequisiteError, UnusableModel
from symdistill.methods import Method
from symdistill.models.base import LocalModel
from symdistill.models.ctranslate2_conversion import ctranslate2_installed, require_ctranslate2
from symdistill.records import Completion, Message, Sampling
from symdistill.runs.directory import RunDirectory, write_json
from symdistill.sampling.loops import ask
from symdistill.students.answering import open_for_answering
from symdistill.students.settings import Engine
from symdistill.tasks.splitting import draw

if TYPE_CHECKING:
    from symdistill.runs.config import RunConfig
    from symdistill.runs.workspace import Workspace

PROBE = 16
"""Training questions that both engines answer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Both engines with one student: how many of the `questions` they answered `alike`, and tokens a second."""

    student: str
    questions: int
    alike: int
    torch: float
    ctranslate2: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that `auto` came to, in one sentence why, and what was measured."""

    engine: Engine
    reason: str
    trials: tuple[Trial, ...] = ()


def check_engine(config: RunConfig, methods: Sequence[Method], *, gated: bool = False) -> None:
    """Whether the engine that is named can do all that will be asked of it. `gated`: a gate was added to the methods.

    Raises:
        ConfigError: it cannot. PrerequisiteError: it is not installed.
    """
    if config.student.engine != "ctranslate2":
        return
    if found := obstacle(config, methods, gated=gated):
        what, instead = found
        raise ConfigError(
            f"`student.engine: ctranslate2` gives greedy replies and nothing else, and {what}.",
            f"Set `student.engine: torch`{instead}.",
        )
    require_ctranslate2()


def obstacle(config: RunConfig, methods: Sequence[Method], *, gated: bool = False) -> tuple[str, str] | None:
    """What an evaluation needs beyond greedy replies, and how it would do without it; None for nothing."""
    for method in (one for one in methods if one.asks_student):
        votes = config.evaluation_for(method).self_consistency or 1
        if votes > 1:
            return (
                f"{method.label} is to draw {votes} samples a question (`evaluation.self_consistency`)",
                ", or `self_consistency: 1`",
            )
        if (gate := method.gating) is not None and gate.mode != "never":
            return (
                f"{method.label} measures probabilities on its dev questions (`gate: {gate.mode}`)",
                f", or `gate: never` for {method.label}",
            )
        if method.sampling(Sampling()).then:
            return f"{method.label} answers in two stretches", ""
    if gated:
        return "`--gate confidence` decides by probabilities", ", or another `--gate`"
    return None


def prepare_engine(work: Workspace) -> None:
    """Find out whether the engine that is named can compute the student, on the untrained one.

    Raises:
        UnusableModel, PrerequisiteError: it cannot.
    """
    from symdistill.students.loading import locate_student

    student = work.config.student
    if student.engine == "ctranslate2":
        open_for_answering(student, locate_student(student), "ctranslate2")


def choose_engine(work: Workspace, *, gated: bool = False) -> None:
    """Settle what answers in an evaluation that begins, and say so where it is not simply PyTorch.

    Raises:
        ConfigError, PrerequisiteError: as `check_engine`. RunDirectoryError: a student has not been trained.
    """
    check_engine(work.config, work.methods, gated=gated)
    if work.config.student.engine != "auto":
        return
    choice = _choice(work, gated)
    write_json(work.directory.engine, asdict(choice))
    work.engine = choice.engine
    work.progress.note(f" engine     {choice.engine}: {choice.reason}")


def chosen_engine(config: RunConfig, directory: RunDirectory) -> Engine:
    """What answers for the students of a run that was evaluated: the engine that is named, or that `auto` came to."""
    if config.student.engine != "auto":
        return config.student.engine
    if not directory.engine.exists():
        return "torch"
    return "ctranslate2" if directory.read_json(directory.engine).get("engine") == "ctranslate2" else "torch"


def _choice(work: Workspace, gated: bool) -> Choice:
    from symdistill.models.weights import model_name
    from symdistill.runs.learning import student_place

    if found := obstacle(work.config, work.methods, gated=gated):
        return Choice("torch", f"CTranslate2 gives greedy replies and nothing else, and {found[0]}")
    if not ctranslate2_installed():
        return Choice("torch", "ctranslate2 is not installed")
    by_place = {student_place(work, method): method for method in reversed(work.methods) if method.asks_student}
    students = {model_name(place, place): (place, method) for place, method in by_place.items()}
    if (before := _before(work, students)) is not None:
        return before
    trials = []
    for name, (place, method) in students.items():
        try:
            trials.append(_try(work, name, place, method))
        except (UnusableModel, PrerequisiteError) as problem:
            return Choice("torch", problem.message, tuple(trials))
        gc.collect()
        if trials[-1].alike < trials[-1].questions:
            break
    return _judged(tuple(trials))


def _judged(trials: tuple[Trial, ...]) -> Choice:
    last = trials[-1]
    asked, alike = sum(t.questions for t in trials), sum(t.alike for t in trials)
    if alike < asked:
        return Choice(
            "torch",
            f"CTranslate2's int8 answers {last.alike} of {last.questions} training questions as PyTorch does",
            trials,
        )
    torch, other = (sum(getattr(t, name) for t in trials) / len(trials) for name in ("torch", "ctranslate2"))
    speeds = f"{other:.0f} tokens/s against {torch:.0f} of PyTorch, same replies to {asked} training questions"
    return Choice("ctranslate2" if other > torch else "torch", f"CTranslate2's int8 makes {speeds}", trials)


def _try(work: Workspace, name: str, place: Path, method: Method) -> Trial:
    """Both engines with one student.

    Raises:
        UnusableModel, PrerequisiteError: CTranslate2 cannot compute it, or its conversion cannot be kept.
    """
    settings = work.config.student
    questions = draw(work.task.train, PROBE, work.config.seed, "engine")[0]
    prompts = [method.prompt(question) for question in questions]
    limit = work.config.evaluation_for(method).max_new_tokens
    other = open_for_answering(settings, place, "ctranslate2", trained=method.trains)
    found, speed = _timed(other, prompts, limit)
    del other
    wanted, usual = _timed(open_for_answering(settings, place, "torch"), prompts, limit)
    alike = sum(a == b for a, b in zip(found, wanted, strict=True))
    return Trial(name, len(prompts), alike, torch=usual, ctranslate2=speed)


def _timed(model: LocalModel, prompts: Sequence[tuple[Message, ...]], limit: int) -> tuple[list[str | None], float]:
    """The greedy replies, None for one that failed, and tokens a second, loading left out."""
    ask(model, [content.request(model.name, prompts[0], Sampling(max_tokens=1))])
    began = time.perf_counter()
    replies = ask(model, [content.request(model.name, prompt, Sampling(max_tokens=limit)) for prompt in prompts])
    seconds = time.perf_counter() - began
    answered = [reply for reply in replies if isinstance(reply, Completion)]
    tokens = sum(reply.completion_tokens for reply in answered)
    return [reply.text if isinstance(reply, Completion) else None for reply in replies], tokens / seconds


def _before(work: Workspace, students: Collection[str]) -> Choice | None:
    """What was decided for these students before."""
    if not work.directory.engine.exists():
        return None
    told = work.directory.read_json(work.directory.engine)
    trials = tuple(Trial(**trial) for trial in told["trials"])
    settled = {t.student for t in trials} == set(students) or any(
        t.alike < t.questions and t.student in students for t in trials
    )
    return Choice(told["engine"], told["reason"], trials) if settled else None
