"""A task: the questions to learn from and the questions to be judged by, from wherever the settings point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from symdistill.errors import ConfigError, DataError
from symdistill.records import Example
from symdistill.tasks.columns import Draft, RowReader
from symdistill.tasks.decontamination import Overlap, decontaminate
from symdistill.tasks.examples import Tally, build_examples, infer_types
from symdistill.tasks.files import read_hub, read_rows
from symdistill.tasks.procedural import PREFIX, make_drafts
from symdistill.tasks.settings import TaskSettings
from symdistill.tasks.splitting import draw, fraction_of, with_twins

__all__ = ["Overlap", "Task", "load_task"]


@dataclass(frozen=True, slots=True)
class Task:
    """Questions, split. Every question of `evaluation` has a gold answer; one of `train` may have none.

    `removed` are training questions that gave evaluation questions away; `notes` say in a sentence each what else was
    left out, merged or added.
    """

    name: str
    train: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    removed: tuple[Overlap, ...] = ()
    notes: tuple[str, ...] = ()


def load_task(settings: TaskSettings, seed: int = 0) -> Task:
    """Read, split, decontaminate and draw, in this order.

    With `eval_path` its rows are evaluated; else rows whose split is test (or dev, where there is no test); else a
    seeded `eval_fraction` of the labelled rows, even over the tasks. Rows of the other held-out split are used for
    nothing. The same settings, rows and seed give the same task, in whatever order the rows stand.

    Raises:
        ConfigError: the settings name no source or several, or a task, generator or option that does not exist.
        DataError: a file cannot be used, an id is ambiguous, or no question is left.
        PrerequisiteError: the source needs a package that is not installed.
    """
    tally = Tally()
    notes: list[str] = []
    source, main, apart = _read(settings, seed, notes)
    everything = [*main, *apart]
    types = infer_types(everything, settings.name) if settings.answer_type is None else {}

    def built(drafts: Sequence[Draft]) -> list[Example]:
        return build_examples(
            drafts,
            name=settings.name,
            answer_type=settings.answer_type,
            instruction=settings.instruction,
            types=types,
            tally=tally,
        )

    rows = _of_tasks(built(main), settings, source)
    train, evaluation = _split(rows, _of_tasks(built(apart), settings, str(settings.eval_path)), settings, seed, notes)
    train = _without_held_out(train, evaluation, settings, notes)
    unlabelled = sum(example.answer is None for example in evaluation)
    if unlabelled:
        evaluation = [example for example in evaluation if example.answer is not None]
        notes.append(f"{unlabelled:,} held-out questions have no answer and cannot be evaluated.")
    removed: tuple[Overlap, ...] = ()
    if settings.decontaminate:
        kept, removed = decontaminate(train, evaluation)
        if train and not kept:
            distinct = len({example.question for example in train})
            notes.append(
                f"All {len(train):,} training rows ({distinct:,} different questions) ask what the evaluation asks and "
                "are left out; check the question column, or keep them with `task.decontaminate: false`."
            )
        train = list(kept)
    if settings.limit is not None:
        train, _ = draw(train, settings.limit, seed, "limit", pairs=False)
    if settings.fraction < 1:
        train = fraction_of(train, settings.fraction, seed)
    if settings.eval_limit is not None:
        evaluation, _ = draw(evaluation, settings.eval_limit, seed, "eval_limit")
    if not train and not evaluation:
        raise DataError(f"{source} holds no question that can be used.", "Check the rows and the `task` section.")
    return Task(settings.name, tuple(train), tuple(evaluation), removed, (*notes, *_described(tally)))


def _read(settings: TaskSettings, seed: int, notes: list[str]) -> tuple[str, list[Draft], list[Draft]]:
    """The source's name, its rows, and the rows of `eval_path`."""
    procedural = settings.name.startswith(PREFIX)
    named = [key for key, given in (("path", settings.path), ("hub", settings.hub)) if given]
    if procedural:
        if named or settings.eval_path:
            raise ConfigError(
                f"`task.name: {settings.name}` makes its questions, and `task.{[*named, 'eval_path'][0]}` is set.",
                "Keep one of them.",
            )
        drafts, short = make_drafts(settings, seed)
        notes += short
        return settings.name, drafts, []
    for key in ("options", "eval_options"):
        if getattr(settings, key):
            raise ConfigError(f"`task.{key}` is for `task.name: {PREFIX}NAME`.", "Take it out, or name a generator.")
    if len(named) != 1:
        problem = "Both `task.path` and `task.hub` are set." if named else "No questions are named."
        raise ConfigError(problem, f"Set one of `task.path`, `task.hub`, `task.name: {PREFIX}NAME`.")
    reader = RowReader(settings.columns)
    source = str(settings.path or settings.hub)
    rows = read_rows(settings.path, "task.path") if settings.path else read_hub(settings.hub or "")
    main = _drafts(rows, reader, source)
    apart: list[Draft] = []
    if settings.eval_path:
        apart = _drafts(read_rows(settings.eval_path, "task.eval_path"), reader, str(settings.eval_path))
    reader.check_mapping(source)
    return source, main, apart


def _drafts(rows: Iterable[tuple[str, Mapping[str, Any]]], reader: RowReader, source: str) -> list[Draft]:
    drafts = [reader.read(row, place) for place, row in rows]
    if not drafts:
        raise DataError(f"{source} holds no rows.", "It should hold one question a row.")
    return drafts


def _of_tasks(examples: list[Example], settings: TaskSettings, source: str) -> list[Example]:
    """The examples of the tasks asked for."""
    if not settings.tasks or not examples:
        return examples
    known = sorted({example.task for example in examples})
    for name in settings.tasks:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Its tasks: {', '.join(known)}."
            raise ConfigError(f"`task.tasks` names `{name}`, which no row of {source} belongs to.", hint)
    return [example for example in examples if example.task in settings.tasks]


def _split(
    rows: list[Example], apart: list[Example], settings: TaskSettings, seed: int, notes: list[str]
) -> tuple[list[Example], list[Example]]:
    """Training and evaluation questions."""
    splits = Counter(example.split for example in rows)
    if apart:
        wanted = next((s for s in ("test", "dev") if any(example.split == s for example in apart)), None)
        evaluation = [example for example in apart if wanted is None or example.split == wanted]
        _note_unused(notes, len(apart) - len(evaluation), f"rows of {settings.eval_path} are not of the split {wanted}")
        train = [example for example in rows if example.split not in ("test", "dev")]
        _note_unused(notes, len(rows) - len(train), "rows are of a held-out split, and `task.eval_path` is evaluated")
        return train, evaluation
    wanted = next((s for s in ("test", "dev") if splits[s]), None)
    if wanted:
        if wanted == "test":
            _note_unused(notes, splits["dev"], "rows are of the split dev, and the split test is evaluated")
        train = [example for example in rows if example.split not in ("test", "dev")]
        return train, [example for example in rows if example.split == wanted]
    labelled = [example for example in rows if example.answer is not None]
    if len(labelled) < 2:
        notes.append("There are too few answers to hold questions out for evaluation.")
        return rows, []
    count = max(1, round(len(labelled) * settings.eval_fraction))
    held_out, _ = draw(labelled, min(count, len(labelled) - 1), seed, "hold out")
    away = with_twins(rows, held_out)
    kept = [e for e in rows if e.id not in away]
    _note_unused(notes, len(rows) - len(kept) - len(held_out), "rows are contrast twins of held-out questions")
    return kept, held_out


def _without_held_out(
    train: list[Example], evaluation: list[Example], settings: TaskSettings, notes: list[str]
) -> list[Example]:
    """The training questions without those of tasks that are only judged on."""
    known = sorted({example.task for example in (*train, *evaluation)})
    for name in settings.held_out:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean `{close[0]}`?" if close else f"The tasks: {', '.join(known)}."
            raise ConfigError(f"`task.held_out` names `{name}`, which no question belongs to.", hint)
    kept = [example for example in train if example.task not in settings.held_out]
    _note_unused(notes, len(train) - len(kept), "training rows are of tasks that are only judged on")
    return kept


def _note_unused(notes: list[str], count: int, why: str) -> None:
    if count:
        notes.append(f"{count:,} {why}: they are not used.")


def _described(tally: Tally) -> tuple[str, ...]:
    """What the tally says, in sentences."""
    sentences: Sequence[tuple[int, Callable[[str], str]]] = (
        (tally.repeated, lambda n: f"{n} rows were repetitions of others and are left out."),
        (
            tally.merged,
            lambda n: f"{n} rows were further rationales of questions already there and are joined to them.",
        ),
        (
            tally.disputed,
            lambda n: f"{n} questions stand there with different answers; each of these counts as a question.",
        ),
        (tally.closed, lambda n: f"{n} rationales did not state an answer; the row's own was added as last sentence."),
        (tally.unstated, lambda n: f"{n} completions state no answer that can be read; they are taken as rationales."),
    )
    return tuple(say(f"{count:,}") for count, say in sentences if count)
