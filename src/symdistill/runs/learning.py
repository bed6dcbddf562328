"""The third stage: each method's students, trained once and found again by what they were trained on."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdistill.content import content_key, file_sha256
from symdistill.errors import DataError, RunDirectoryError
from symdistill.evaluation.figures import counted
from symdistill.methods import Material, Method
from symdistill.methods.rl import Rl
from symdistill.records import AnswerType, Example, Sampling, TrainingExample
from symdistill.runs.apart import cut_dev, set_apart
from symdistill.runs.directory import share_folder, write_json
from symdistill.runs.featuring import tree_files
from symdistill.runs.internalising import ensure_notes, note_makers, with_scaffold
from symdistill.runs.knowing import (
    ensure_knowledge,
    general_student,
    keep_rationales,
    knowledge_for,
    knowledge_methods,
    learned_from,
    makers,
)
from symdistill.runs.pacing import paced
from symdistill.runs.reading import with_reading
from symdistill.runs.reinforcing import reinforce, reinforced_methods, round_places
from symdistill.runs.symbols import ensure_features, with_lessons
from symdistill.runs.teaching import pool
from symdistill.runs.workspace import Workspace
from symdistill.sampling.loops import ask
from symdistill.students.answering import open_for_answering
from symdistill.students.settings import StudentSettings
from symdistill.tasks import check_answer, parse_answer
from symdistill.training.settings import LAYOUT, ORDER

if TYPE_CHECKING:
    from symdistill.students.loading import Student
    from symdistill.training import TrainingResult

CARD = "symdistill.json"  # in a student's directory: what it was trained on, and how that went


def train_students(work: Workspace) -> None:
    """Train every method of the run that trains; one already trained on the same examples is left as it is.

    Raises:
        DataError: a method has nothing to learn from. TrainingError: training went wrong. Interrupted: Ctrl-C; the
        next start goes on from the last checkpoint.
    """
    work.check()
    rationales = pool(work)
    for taker in note_makers(work):
        ensure_notes(work, taker, rationales)
    if not tree_files(work.directory.path).table.exists():
        ensure_features(work)
    plain = [m for m in work.trained if not m.uses_knowledge and not isinstance(m, Rl)]
    plans = [(method, with_scaffold_for(work, method, material_for(work, method, rationales))) for method in plain]
    plans = [(method, with_lessons(work, method, with_reading(work, method, material))) for method, material in plans]
    examples = [(method, build_examples(method, material)) for method, material in plans]
    for (method, material), (_, built) in zip(plans, examples, strict=True):
        method.prepare(material)
        train_student(work, method, material, built)
    for maker in makers(work):
        ensure_knowledge(work, maker, rationales)
    for learner in (one for one in knowledge_methods(work) if one in work.trained):
        material = material_for(work, learner, rationales)
        material = dataclasses.replace(material, knowledge=knowledge_for(work, learner))
        start = general_student(work, learner) if learner.settings.init_from == "general" else None
        train_student(work, learner, material, build_examples(learner, material), start=start)
    for reinforced in reinforced_methods(work):
        reinforce(work, reinforced, rationales)


def material_for(work: Workspace, method: Method, rationales: Sequence[Any]) -> Material:
    """What a method may build from."""
    return Material(
        examples=learned_from(work, method),
        rationales=keep_rationales(work, method, rationales),
        demonstrations=work.demonstrations_of(work.config.teacher_for(method)),
        seed=work.config.seed,
    )


def with_scaffold_for(work: Workspace, method: Method, material: Material) -> Material:
    """`with_scaffold`; the dev questions of early stopping do not stand before others."""
    return with_scaffold(work, method, material, set_apart(work, method, material))


def build_examples(method: Method, material: Material) -> list[TrainingExample]:
    """A method's training examples. Raises DataError when there is none."""
    examples = method.training_examples(material)
    if not examples:
        raise DataError(
            f"{method.label} has nothing to learn from: rationales.jsonl in the run directory holds nothing for it.",
            "See dropped.jsonl beside it for the reasons, and `curation` for the settings.",
        )
    return examples


@dataclasses.dataclass(frozen=True, slots=True)
class Course:
    """How a student is trained where that is not by the cross-entropy of examples.

    `run` takes what `training.train` takes but for the examples and what belongs to them; `identity` is all it learns
    from, as plain values. `told` says after it what the card of the student holds beside the result.
    """

    identity: Mapping[str, Any]
    run: Callable[..., TrainingResult]
    told: Callable[[], Mapping[str, Any]] = dict


def train_student(
    work: Workspace,
    method: Method,
    material: Material,
    examples: list[TrainingExample],
    *,
    target: Path | None = None,
    start: StudentSettings | None = None,
    course: Course | None = None,
) -> Path:
    """Train one student, or find it trained, here or for another method of the run that trains exactly alike.

    `target` None: where the method's student is kept. `start` None: the run's student; another one is trained further.
    With a `course` that is what it learns, and there are no examples and no early stopping.
    """
    from symdistill.models.weights import directory_fingerprint
    from symdistill.students.loading import locate_student

    begin = start or work.config.student
    settings = work.config.training_for(method)
    seed = work.training_seed(method)
    dev: list[Example] = []
    if settings.early_stopping_patience and course is None:
        dev, examples = cut_dev(material, examples, settings.dev_fraction, seed)
    examples = paced(work, method, examples)
    fingerprint = content_key(
        "t2",
        {
            "examples": [_as_written(e) for e in examples],
            "training": settings.model_dump(mode="json", exclude={*LAYOUT, *ORDER}),
            "student": work.config.student.model_dump(mode="json", exclude={"model", "batch_size", "dtype", "engine"}),
            "base": directory_fingerprint(locate_student(begin)),
            "groups": dict(method.group_weights),
            "seed": seed,
            **({"course": course.identity} if course else {}),
        },
    )
    target = target or work.student_directory(method)
    card = read_card(target)
    if card and card["fingerprint"] == fingerprint:
        work.progress.start("training")
        work.progress.finish(f"{method.label}   trained before ({counted(card['steps'], 'step')})")
        return target
    with work.alone(fingerprint):
        return _train(work, method, material, examples, dev, fingerprint, target, begin, course)


def _train(
    work: Workspace,
    method: Method,
    material: Material,
    examples: list[TrainingExample],
    dev: Sequence[Example],
    fingerprint: str,
    target: Path,
    begin: StudentSettings,
    course: Course | None,
) -> Path:
    """Train the student, or find it with a name of its own elsewhere."""
    from symdistill.students.loading import load_student
    from symdistill.training import train

    settings = work.config.training_for(method)
    if target.exists():
        shutil.rmtree(target)
    if twin := _twin(work, fingerprint):
        share_student(twin, target, method.label)
        work.progress.start("training")
        place = os.path.relpath(twin, work.directory.path)
        work.progress.finish(f"{method.label}   trained already, as {place}")
        return target
    student = load_student(begin, for_training=True)
    learn = (
        course.run
        if course
        else functools.partial(
            train,
            examples=examples,
            group_weights=method.group_weights,
            dev_accuracy=dev_accuracy(work, method, student, dev) if dev else None,
        )
    )
    result = learn(
        student,
        settings=settings,
        lora=work.config.student.lora,
        output_dir=target,
        checkpoint_dir=work.directory.checkpoints / f"{method.label}-{fingerprint[-8:]}",
        log_path=work.directory.training,
        seed=work.training_seed(method),
        progress=work.progress,
        label=method.label,
    )
    findings = smoke_findings(work, method, target, material.examples)
    card = {
        "fingerprint": fingerprint,
        "method": method.label,
        "base": student.name,
        "weights_sha256": weights_sha256(target),
        "smoke_check": findings,
        **result.to_dict(),
        **(course.told() if course else {}),
    }
    write_json(target / CARD, card)
    for finding in findings:
        work.progress.note(f"            {method.label}, smoke check on training questions: {finding}")
    for left in work.directory.checkpoints.glob(f"{method.label}-????????"):
        shutil.rmtree(left, ignore_errors=True)  # those of trainings that were given up as well
    del student
    gc.collect()  # the trainer and its parts refer to one another, and hold the weights and the optimiser's state
    return target


def _as_written(example: TrainingExample) -> dict[str, Any]:
    """The example's values; fields younger than some students only where they say something."""
    young = {"given", "phase"}
    return {name: value for name, value in dataclasses.asdict(example).items() if name not in young or value}


def _twin(work: Workspace, fingerprint: str) -> Path | None:
    """The first finished student of this run with this fingerprint; in a grid the oldest one of any cell."""

    def same(place: Path) -> bool:
        card = read_card(place)
        return card is not None and card["fingerprint"] == fingerprint

    if work.commons is None:
        return next(filter(same, trained_places(work)), None)
    places = {*trained_places(work), *work.commons.student_places()}
    return min(filter(same, places), key=lambda place: (place / CARD).stat().st_mtime, default=None)


def trained_places(work: Workspace) -> Iterator[Path]:
    """Where the run keeps students, those of its methods first."""
    for method in work.trained:
        yield work.student_directory(method)
    for method in knowledge_methods(work):
        yield work.directory.general(method.label)
    yield from round_places(work)


def student_place(work: Workspace, method: Method) -> Path:
    """Where the student lies that answers for a method: its trained one, or the untrained one of a method that only
    prompts.

    Raises:
        RunDirectoryError: it has not been trained yet.
    """
    from symdistill.students.loading import locate_student

    if not method.trains:
        return locate_student(work.config.student)
    place = work.student_directory(method)
    if not (place / CARD).exists():
        raise RunDirectoryError(
            f"{method.label} has no trained student in {place}.", "Run `symdistill train` (or `run`) first."
        )
    return original(work, place)


def original(work: Workspace, place: Path) -> Path:
    """The first place in the run with this very student: what one of its names was asked, is asked for all."""
    card = read_card(place)
    return (_twin(work, card["fingerprint"]) if card else None) or place


def share_student(source: Path, target: Path, label: str) -> None:
    """Put a trained student in a second place: its files are linked, or copied where that is not possible.

    Raises:
        RunDirectoryError: the place cannot be written.
    """
    share_folder(source, target, CARD)
    card = read_card(source) or {}
    write_json(target / CARD, {**card, "method": label, "trained_as": card.get("trained_as", card.get("method"))})


def read_card(target: Path) -> dict[str, Any] | None:
    """What a trained student's directory says of itself; None when there is no finished student."""
    path = target / CARD
    if not path.exists():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirectoryError(f"{path} is not JSON ({error}).", f"Delete {target} and train again.") from error
    return card


def weights_sha256(target: Path) -> str:
    """One hash for all weight files of a student."""
    files = sorted(target.glob("*.safetensors"))
    return content_key("w1", [file_sha256(f) for f in files])


def dev_accuracy(work: Workspace, method: Method, student: Student, dev: Sequence[Example]) -> Callable[[Any], float]:
    """Greedy accuracy on the dev questions, for a model in training."""
    from symdistill.models.transformers_local import TransformersModel

    def measure(model: Any) -> float:
        batch = work.config.student.batch_size
        local = TransformersModel(model, student.tokenizer, name="dev", batch_size=batch, template=student.template)

        def answers(requests: Sequence[Any]) -> dict[str, Any]:
            replies = ask(local, requests)
            return {r.key: c for r, c in zip(requests, replies, strict=True) if not isinstance(c, Exception)}

        sampling = Sampling(max_tokens=work.config.evaluation_for(method).max_new_tokens)
        replies = method.predict(answers, "dev", dev, sampling)
        right = [
            bool(row) and check_answer(row[0].text, e.answer or "", e.answer_type, e.choices)
            for e, row in zip(dev, replies, strict=True)
        ]
        return sum(right) / len(right)

    return measure


def smoke_findings(work: Workspace, method: Method, target: Path, examples: Sequence[Example]) -> list[str]:
    """What is wrong with a fresh student's replies to a few training questions: nothing, if all is well."""
    from symdistill.students.smoke import smoke_check

    model = open_for_answering(work.config.student, target, work.engine, trained=True)
    few = list(examples)[:4]
    return list(
        smoke_check(
            model,
            [(e, method.prompt(e)) for e in few],
            max_new_tokens=work.config.evaluation_for(method).max_new_tokens,
            then=method.sampling(Sampling()).then,
            parse=parse_answer if method.ends_in_answer else _whole,
        )
    )


def _whole(reply: str, kind: AnswerType, choices: Mapping[str, str] | None) -> str | None:
    """A reply that is not read for an answer in it."""
    return reply.strip() or None
