"""What would fail only after a teacher was paid or a student trained, and can be known before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.instances import own_items
from symdistill.methods import METHODS, Method
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.skintern import Skintern
from symdistill.models.recorded import RecordedModel
from symdistill.models.registry import is_replay, load_teacher
from symdistill.models.settings import TeacherSettings
from symdistill.prompts import student_messages
from symdistill.records import Message, Sampling
from symdistill.runs.gates import looks_up
from symdistill.runs.noting import analysis_sampling
from symdistill.runs.quoting import check_price
from symdistill.runs.symbols import needs_features
from symdistill.runs.workspace import base_at
from symdistill.students.settings import StudentSettings
from symdistill.training.optimizers import PLAIN, missing_package

if TYPE_CHECKING:
    from symdistill.runs.workspace import Workspace

_LEAST_TOKENS = 2
"""Of a reply in two stretches: one of each. Of an example: one that is learned, and the end of the turn."""
_TEMPLATE = 512
"""Tokens that a chat template may add to a prompt."""


def check_beforehand(work: Workspace) -> None:
    """Raises ConfigError where a selection has nothing to go by, a reply no room, a given base no notes, or a budget no
    price; PrerequisiteError where an optimizer's package is missing."""
    _check_selection(work)
    _check_room(work)
    _check_bases(work)
    _check_given_notes(work)
    _check_recorded_notes(work)
    for where, teacher in teachers_asked(work).items():
        if teacher.budget_usd is not None:
            check_price(teacher, where)
    _check_optimizers(work)


def teachers_asked(work: Workspace) -> dict[str, TeacherSettings]:
    """The teachers that a run of methods may ask, by the section that their keys stand in, the first where several
    are the same."""
    config, found = work.config, {}
    if config.teacher.model and (work.needs_teacher or config.evaluation.teacher or needs_features(work)):
        found["teacher"] = config.teacher
    for method in _with_notes_made(work):
        found[f"{config.where_of(method)}.analysis"] = config.analysis_for(method)
    first: dict[tuple[object, ...], str] = {}
    for where, one in found.items():
        first.setdefault((one.model, one.base_url, one.api_key_env, one.price, one.budget_usd), where)
    return {where: found[where] for where in first.values()}


def _with_notes_made(work: Workspace) -> list[Nesycd | Skintern]:
    """The methods that have a teacher write notes: none where a base of them is given."""
    asked = work.involved if work.config.knowledge.path is None else ()
    return [m for m in asked if isinstance(m, Nesycd) or (isinstance(m, Skintern) and m.kinds)]


def check_lengths(work: Workspace) -> None:
    """Raises ConfigError where the prompts alone leave no training question within `training.max_length`. The student's
    tokenizer is loaded only where the shortest prompt might be too long, and only if it is on this machine."""
    for method in work.trained:
        limit = work.config.training_for(method).max_length
        prompts = sorted(
            (student_messages(example, instruction=method.student_instruction) for example in work.task.train),
            key=_bytes,
        )
        if (shortest := shortest_above(work.config.student, ((prompt, "") for prompt in prompts), limit)) is not None:
            raise ConfigError(
                f"No training question fits into `{work.config.key_for(method, 'training', 'max_length')}`, {limit:,} "
                f"tokens: for {method.label} the shortest takes {shortest:,} before what is learned begins.",
                "Raise it; 1,024 is enough for most questions with a rationale.",
            )


def shortest_above(student: StudentSettings, texts: Iterable[tuple[Sequence[Message], str]], limit: int) -> int | None:
    """The tokens of the shortest of `texts` where none can be learned within `limit` tokens: each a prompt, with what
    is learned behind it, or "" where that is not known yet. None where one can, or where the student's tokenizer is
    needed to tell and is not on this machine.

    Those that may be the shortest come first: the rest is not read then.
    """
    from symdistill.models.chat import prompt_format
    from symdistill.students.loading import student_tokenizer

    form = found = None
    for prompt, learned in texts:
        if _bytes(prompt) + len(learned.encode("utf-8", "surrogatepass")) + _TEMPLATE < limit:
            return None  # no tokenizer makes more than one token of a byte
        if form is None:
            tokenizer = student_tokenizer(student)
            if tokenizer is None:
                return None
            form = prompt_format(tokenizer, student.template)
        length = len(form.encode_prompt(prompt)) + len(form.encode_completion(learned))
        if length + (1 if learned else _LEAST_TOKENS) <= limit:
            return None
        found = length if found is None else min(found, length)
    return found


def _bytes(messages: Sequence[Message]) -> int:
    return sum(len(message.content.encode("utf-8", "surrogatepass")) for message in messages)


def _check_optimizers(work: Workspace) -> None:
    for method in work.trained:
        name = work.config.training_for(method).optim
        if (module := missing_package(name)) is not None:
            raise PrerequisiteError(
                f"`{work.config.key_for(method, 'training', 'optim')}: {name}` needs the Python module {module}, which "
                "is not installed.",
                f"Install the package that brings it, or choose one of: {', '.join(PLAIN)}.",
            )


def _check_selection(work: Workspace) -> None:
    """`likelihood` ranks replies by log-probabilities, which a teacher gives where it is asked for them."""
    config = work.config
    asked = [
        (config.curation_for(m), config.teacher_for(m), config.key_for(m, "curation", "select")) for m in work.learners
    ]
    for curation, teacher, key in asked if work.methods else [(config.curation, config.teacher, "curation.select")]:
        if curation.select == "likelihood" and (problem := _without_logprobs(teacher)):
            raise ConfigError(
                f"`{key}` is likelihood, which needs token log-probabilities, and {problem[0]}.", problem[1]
            )


def _without_logprobs(teacher: TeacherSettings) -> tuple[str, str] | None:
    if teacher.model == "dataset":
        return "rationales that the rows carry have none", "Choose another `curation.select`."
    if not teacher.logprobs:
        return "`teacher.logprobs` is false", "Set `teacher.logprobs: true`, or choose another `curation.select`."
    return None


def _check_room(work: Workspace) -> None:
    for method in (one for one in work.methods if one.asks_student):
        limit = work.config.evaluation_for(method).max_new_tokens
        if limit < _LEAST_TOKENS and method.sampling(Sampling()).then:
            raise ConfigError(
                f"{method.label} answers in two stretches, and "
                f"`{work.config.key_for(method, 'evaluation', 'max_new_tokens')}` is {limit}.",
                f"Set it to {_LEAST_TOKENS} or more; a rationale takes some 100.",
            )


def _check_bases(work: Workspace) -> None:
    """A base from elsewhere that a student is to be asked with has to be there, with items that are looked for."""
    for method in (one for one in work.methods if looks_up(one)):
        source = work.config.knowledge.path if isinstance(method, Nesycd) else work.behind_gate(method)
        if not isinstance(source, Path):
            continue
        own = method.settings.knowledge is not None
        key = f"{work.config.where_of(method)}.knowledge" if own else "knowledge.path"
        path = base_at(source)
        if not path.exists():
            _refuse_missing(method, source, key)
        kinds = work.config.knowledge.retrieval.kinds
        with KnowledgeBase(path, create=False, report=work.progress.note) as base:
            held = sorted({item.kind for item in base.items()})
        if not held:
            raise ConfigError(
                f"{method.label} is to be asked with {path} (`{key}`), which has no active item.",
                "Name another base, or a method whose notes are written.",
            )
        if not set(held) & set(kinds):
            raise ConfigError(
                f"{method.label} is to be asked with {path} (`{key}`), which holds items of the kind "
                f"{' and '.join(held)} alone, and nothing looks for these.",
                f"Set `knowledge.retrieval.kinds` to [{', '.join(held)}].",
            )


def _refuse_missing(method: Method, source: Path, key: str) -> NoReturn:
    """Raises ConfigError: no base is there, and perhaps a method was meant."""
    name = source.name
    if name in METHODS and issubclass(METHODS[name], Nesycd | Skintern):
        raise ConfigError(
            f"`{key}` names {name}, which is no method of this run, and there is no knowledge base at {source}.",
            f"Add `{name}` to `methods`, or write `knowledge: {{name: {name}}}`.",
        )
    raise ConfigError(
        f"There is no knowledge base at {source} (`{key}`), which {method.label} is to be asked with.",
        "Name a nesycd or skintern method of this run, a knowledge.sqlite, or a run directory with one.",
    )


def _check_given_notes(work: Workspace) -> None:
    """A base from elsewhere (`knowledge.path`) has to hold notes about the training questions where these are learned
    with their own."""
    path, retrieval = work.config.knowledge.path, work.config.knowledge.retrieval
    learners = [m for m in work.methods if (isinstance(m, Skintern) and m.kinds) or _learns_its_own(m)]
    if path is None or not learners:
        return
    with KnowledgeBase(path, create=False, report=work.progress.note) as base:
        items = base.items()
    for method in learners:
        kinds = method.kinds if isinstance(method, Skintern) else retrieval.kinds
        if not own_items(items, work.task.train, kinds, leaking=not retrieval.exclude_leaking):
            held = f"none of its {len(items):,} active items came from a training question" if items else "it is empty"
            raise ConfigError(
                f"{method.label} trains with the notes about each question, and {path} (`knowledge.path`) has none to "
                f"show: {held}.",
                "Name the base of a run on these questions, or leave `knowledge.path` out to have notes written.",
            )


def _check_recorded_notes(work: Workspace) -> None:
    """What is asked about a student's mistakes or a solution is not known before, but how it is asked is: a recording
    of nothing else than a teacher's rationales has no reply to it."""
    for method in _with_notes_made(work):
        settings, sampling = work.config.analysis_for(method), analysis_sampling(work, method)
        if not is_replay(settings) or settings.model == "dataset":
            continue
        model = load_teacher(settings, work.task.train, to_ask=False)
        if isinstance(model, RecordedModel) and not model.asked_with(sampling):
            told = ", ".join(f"{name} {getattr(sampling, name)}" for name in ("temperature", "max_tokens", "seed"))
            where = f"{work.config.where_of(method)}.analysis"
            raise ConfigError(
                f"{method.label} has notes written by {settings.model}, which holds no reply that was drawn as they "
                f"are ({told}).",
                f"Name a teacher that can be asked, or a recording of notes, in `{where}: {{model: …}}`; with such a "
                "recording, its settings too.",
            )


def _learns_its_own(method: object) -> bool:
    return isinstance(method, Nesycd) and method.settings.train_knowledge == "own"
