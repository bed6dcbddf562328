"""The rounds of a method that learns from its own verified replies.

Every reply is in the store, every student is found again by what it was trained on, and the rest is computed from
those: whenever the process ends, the same command goes on where it was. What was found stands in rounds-LABEL.json,
written anew after each student.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdistill import content
from symdistill.content import content_key
from symdistill.curation.rationales import rationales as read_replies
from symdistill.curation.settings import CurationSettings
from symdistill.curation.words import squeezed
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.report_data import RoundRow, RoundsSummary
from symdistill.evaluation.report_rounds import LEARNED, audited, outcome, share
from symdistill.evaluation.scoring import predict
from symdistill.methods import Material
from symdistill.methods.reward import Judged, Scorers, judge
from symdistill.methods.rl import HACKING_LEVEL, Rl, Standing, Stop, chosen_student, stop_reason
from symdistill.methods.std_cot import StdCot, StdCotSettings, first_samples
from symdistill.records import Example, Rationale, Sampling
from symdistill.runs.directory import cannot_write, write_json
from symdistill.runs.knowing import dev_questions, learned_from
from symdistill.runs.optimising import Taken, check_controls, check_judges, course_of, judges_of, take
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler
from symdistill.students.answering import open_for_answering

if TYPE_CHECKING:
    from symdistill.runs.learning import Course


def reinforced_methods(work: Workspace) -> list[Rl]:
    """The methods of the run that learn from their own replies."""
    return [m for m in work.methods if isinstance(m, Rl)]


def round_places(work: Workspace) -> Iterator[Path]:
    """Where the run keeps the students of rounds, whether they are there or not."""
    for method in reinforced_methods(work):
        for number in range(method.settings.rounds + 1):
            yield work.directory.round(method.label, number)


def check_rewards(work: Workspace) -> None:
    """Raise ConfigError where something is to weigh in a reward that nobody judges, and as `check_judges`."""
    methods = reinforced_methods(work)
    check_controls(methods)
    for method in methods:
        for limit in check_judges(method):
            work.progress.note(limit)


def check_audits(work: Workspace) -> None:
    """Raise DataError where too few training questions have an answer to keep some apart."""
    for method in reinforced_methods(work):
        asked = [e for e in learned_from(work, method) if e.answer is not None]
        if not dev_questions(work, method) or not asked:
            raise DataError(
                f"{method.label} audits its students on training questions that it keeps apart, and too few have an "
                "answer.",
                "Add answers, or choose another `dev_fraction`.",
            )
        _check_steps_of_grpo(work, method, len(asked))
        audit = len(dev_questions(work, method))
        if method.settings.reward.only and 0.5**audit >= HACKING_LEVEL:
            raise DataError(
                f"The reward of {method.label} is not gated, and its audit has {audit:,} questions: too few to find "
                "out that a student learned to please it.",
                "Add questions with answers, or raise `dev_fraction`.",
            )


def _check_steps_of_grpo(work: Workspace, method: Rl, questions: int) -> None:
    """Raises ConfigError where a step of GRPO asks more questions than there are."""
    own = method.settings
    if own.algorithm != "grpo":
        return
    named = Rl(own.model_copy(update={"training": own.round_training()}))
    training = work.config.training_for(named)
    replies = training.per_device_train_batch_size * training.gradient_accumulation_steps
    if replies // own.samples > questions:
        raise ConfigError(
            f"One step of {method.label} asks {replies // own.samples:,} questions, and there are {questions:,} with "
            "an answer.",
            "Lower `training.per_device_train_batch_size` or `gradient_accumulation_steps` of the method.",
        )


def reinforce(work: Workspace, method: Rl, rationales: Sequence[Rationale]) -> Path:
    """Run the rounds of a method as far as they are not, and put the student that was chosen in its place.

    Raises:
        DataError: too few questions have an answer, or the untrained student gets nothing right to begin with.
        TrainingError: training went wrong. Interrupted: Ctrl-C; the next start goes on from there.
    """
    from symdistill.runs.learning import material_for

    check_audits(work)
    material = material_for(work, method, rationales if method.needs == "rationales" else ())
    taught = first_samples(material.rationales, method.settings.teacher_samples)
    place = warm_start(work, method, material)
    places = [place]
    learned = taught if method.settings.learn_teacher else []
    seen = {_identity(r) for r in taught}
    learning: dict[str, Any] = {}
    rows: list[RoundRow] = []
    standings: list[Standing] = []
    judges = judges_of(method)
    by_id = {e.id: e for e in material.examples if e.answer is not None}
    for number in range(method.settings.rounds + 1):
        drawn, right = examine(work, method, by_id, place, number, judges.scorers)
        rows.append(row_of(number, drawn, right, learning, judges.scorers))
        standings.append(Standing(rows[-1].reward, right))
        say(work, method, rows[-1])
        taken = goes_on(method, standings, rows, drawn, by_id, judges.scorers)
        if isinstance(taken, str):
            return finish(work, method, places, rows, taken, chosen_student(standings))
        write_rounds(work, method, rows)
        kept = taken.rationales
        known = {_identity(r) for r in learned}  # what the student says word for word as the teacher is learned once
        lessons = [*learned, *(r for r in kept if _identity(r) not in known)]
        course = course_of(method, taken, number + 1, judges)
        place = train_round(work, method, dataclasses.replace(material, rationales=lessons), place, number + 1, course)
        places.append(place)
        novel = sum(_identity(r) not in seen for r in kept)
        learning = learning_of(method, place, taken, drawn, novel, number + 1)
        seen |= {_identity(r) for r in kept}
    raise AssertionError("the last round always has a reason to end")


def learning_of(
    method: Rl, place: Path, taken: Taken, drawn: Sequence[Judged], novel: int, number: int
) -> dict[str, Any]:
    """What the row of a student says about its learning. Replies drawn in its midst are counted on its card."""
    from symdistill.runs.learning import read_card

    if method.settings.algorithm == "grpo":
        return dict((read_card(place) or {}).get("reinforced", {}))
    return {
        "threshold": method.settings.threshold_of(number),
        "judged": len(drawn),
        "kept": taken.count,
        "questions": taken.questions,
        "novel": novel,
    }


def goes_on(
    method: Rl,
    standings: Sequence[Standing],
    rows: Sequence[RoundRow],
    drawn: Sequence[Judged],
    by_id: Mapping[str, Example],
    scorers: Scorers,
) -> Stop | Taken:
    """Why the rounds end with the last student; else what the next one learns."""
    settings, number = method.settings, len(rows) - 1
    reason = stop_reason(standings, settings.epsilon)
    if reason is not None:
        return reason
    if number == settings.rounds:
        return "rounds"
    idle = settings.algorithm == "grpo" and number > 0 and not rows[-1].kept
    taken = None if idle else take(method, drawn, by_id, number + 1, scorers)
    if taken is not None:
        return taken
    if number == 0 and settings.init_from == "base":
        right = sum(one.parts.verified for one in drawn)
        raise DataError(
            f"{method.label} begins with an untrained student, and none of its {len(drawn):,} replies can be learned "
            f"({right:,} have the right answer).",
            "Let it learn from a teacher first (`init_from: std-cot`), draw more `samples`, or lower `threshold`.",
        )
    return "nothing kept"


def warm_start(work: Workspace, method: Rl, material: Material) -> Path | None:
    """Student 0, trained or found; None where it is the untrained one."""
    from symdistill.runs.learning import build_examples, train_student

    own = method.settings
    if own.init_from == "base":
        return None
    settings = StdCotSettings(
        name="std-cot",
        label=f"{method.label}-0",
        training={**own.training, **own.warm_start},
        curation=own.curation,
        evaluation=own.evaluation,
        samples=own.teacher_samples,
    )
    first = StdCot(settings, student_instruction=method.student_instruction)
    examples = build_examples(first, material)
    return train_student(work, first, material, examples, target=work.directory.round(method.label, 0))


def train_round(
    work: Workspace, method: Rl, material: Material, before: Path | None, number: int, course: Course | None
) -> Path:
    """The student of a round, trained or found, from the base model or from the student before it."""
    from symdistill.runs.learning import build_examples, train_student

    own = method.settings
    changes = {"label": f"{method.label}-{number}", "training": own.round_training()}
    named = Rl(own.model_copy(update=changes), student_instruction=method.student_instruction)
    start = None
    if own.goes_on and before is not None:
        start = work.config.student.model_copy(update={"model": str(before)})
    examples = [] if course else build_examples(named, material)
    target = work.directory.round(method.label, number)
    return train_student(work, named, material, examples, target=target, start=start, course=course)


def examine(
    work: Workspace, method: Rl, by_id: Mapping[str, Example], place: Path | None, number: int, scorers: Scorers
) -> tuple[list[Judged], list[bool]]:
    """What a student says to the training questions, judged, and its verdicts on the audited ones.

    A single reply a question is drawn, enough to know how it does, where no round learns from what is drawn here.
    """
    settings = method.settings
    asked = list(by_id.values())
    sampling = Sampling(
        temperature=settings.temperature, max_tokens=settings.max_tokens, top_p=settings.top_p, seed=work.config.seed
    )
    indices = range(settings.samples if number < settings.rounds and settings.algorithm != "grpo" else 1)
    audit = dev_questions(work, method)
    with asking(work, place) as (sampler, name):
        requests = [r for e in asked for r in content.samples(name, method.prompt(e), sampling, indices, e.id)]
        replies = sampler.sample(requests, stage=f"{method.label}-{number} draws").completions
        stage = f"{method.label}-{number} audit"
        greedy = Sampling(max_tokens=settings.max_tokens, seed=work.config.seed)
        rows = method.predict(lambda r: sampler.sample(r, stage=stage).completions, name, audit, greedy)
    read = read_replies(asked, requests, replies, CurationSettings())
    if scorers.ahead:
        scorers.ahead([(by_id[r.example_id], r) for r in read])
    judged = [judge(by_id[r.example_id], r, settings.reward, scorers) for r in read]
    return judged, [predict(e, row, method.label).correct for e, row in zip(audit, rows, strict=True)]


@contextlib.contextmanager
def asking(work: Workspace, place: Path | None) -> Iterator[tuple[Sampler, str]]:
    """A student that can be asked, and the name the store knows it by: students of rounds that are alike share one.
    PyTorch answers, whatever the engine of the evaluation: no other draws at a temperature."""
    from symdistill.runs.learning import read_card
    from symdistill.students.loading import locate_student

    where = place or locate_student(work.config.student)
    if place is not None:
        cards = ((other, read_card(other)) for other in round_places(work))
        own = (read_card(place) or {}).get("fingerprint")
        where = next((other for other, card in cards if card and card["fingerprint"] == own), place)
    model = open_for_answering(work.config.student, where, trained=place is not None)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:
        yield sampler, model.name


def row_of(
    number: int, drawn: Sequence[Judged], audit: Sequence[bool], learning: dict[str, Any], scorers: Scorers
) -> RoundRow:
    """One student in figures; `learning` says what it learned from."""
    return RoundRow(
        student=number,
        audited=sum(audit),
        audit=len(audit),
        replies=len(drawn),
        right=sum(one.parts.verified for one in drawn),
        unique=len({_identity(one.rationale) for one in drawn}),
        asked=len({one.rationale.example_id for one in drawn}),
        solved=len({one.rationale.example_id for one in drawn if one.parts.verified}),
        reward=sum(one.reward for one in drawn) / len(drawn),
        checkable=sum(scorers.checkable(one.rationale) for one in drawn) if scorers.checkable else None,
        **learning,
    )


def _identity(rationale: Rationale) -> tuple[str, str]:
    """What is one reply, whoever gave it."""
    return rationale.example_id, squeezed(rationale.text)


def say(work: Workspace, method: Rl, row: RoundRow) -> None:
    """A line about a student for whoever watches."""
    learned = (
        f"learned {row.kept:,} {LEARNED[method.settings.algorithm]} of {row.judged:,} replies   " if row.judged else ""
    )
    work.progress.note(
        f" rounds     {method.label}-{row.student}   {learned}audited {audited(row)}%   "
        f"draws {share(row.right, row.replies)}% right, reward {row.reward:.2f}"
    )


def finish(
    work: Workspace, method: Rl, places: Sequence[Path | None], rows: Sequence[RoundRow], reason: Stop, chosen: int
) -> Path:
    """Put the student that was chosen in the method's place, and write down why."""
    target = work.student_directory(method)
    place_student(work, method, places[chosen], target)
    write_rounds(work, method, rows, reason, chosen)
    said = outcome(summary_of(method, reason, chosen, rows))
    work.progress.note(f"            {method.label}: {said}")
    return target


def place_student(work: Workspace, method: Rl, place: Path | None, target: Path) -> None:
    """Put a student of a round in the method's place; the untrained one is copied."""
    from symdistill.runs.learning import CARD, read_card, weights_sha256
    from symdistill.students.loading import locate_student

    if place is not None:
        put_student(place, target, method.label)
        return
    source = locate_student(work.config.student)
    card, before = _untrained(method, source), read_card(target)
    if before and before["fingerprint"] == card["fingerprint"]:
        return
    shutil.rmtree(target, ignore_errors=True)
    scratch = target.with_name(f".{target.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        shutil.copytree(source, scratch)
        write_json(scratch / CARD, {**card, "weights_sha256": weights_sha256(scratch)})
        scratch.rename(target)
    except OSError as error:
        raise cannot_write(target, error) from error


def put_student(source: Path, target: Path, label: str) -> None:
    """Put a student that was trained where one is looked for, unless it is there. Raises RunDirectoryError."""
    from symdistill.runs.learning import read_card, share_student

    card, before = read_card(source), read_card(target)
    if before and card and before["fingerprint"] == card["fingerprint"]:
        return
    shutil.rmtree(target, ignore_errors=True)
    share_student(source, target, label)


def _untrained(method: Rl, source: Path) -> dict[str, Any]:
    """What the directory of an untrained student says of itself, in the words of a trained one's."""
    from symdistill.models.weights import directory_fingerprint

    made = {"fingerprint": content_key("t1", {"untrained": directory_fingerprint(source)}), "method": method.label}
    return {**made, "base": source.name, "examples": 0, "steps": 0, "seconds": 0.0, "smoke_check": []}


def write_rounds(
    work: Workspace, method: Rl, rows: Sequence[RoundRow], reason: str = "", chosen: int | None = None
) -> None:
    """rounds-LABEL.json; without a reason while there are rounds to come."""
    settings = method.settings.model_dump(
        mode="json", include={"algorithm", "init_from", "samples", "epsilon", "reward"}
    )
    settings |= {"train_from": "previous" if method.settings.goes_on else "base", "beta": method.settings.held}
    write_json(
        work.directory.rounds(method.label),
        {
            "method": method.label,
            "settings": settings,
            "stopped": reason or None,
            "chosen": chosen,
            "students": [dataclasses.asdict(row) for row in rows],
        },
    )


def rounds_summaries(work: Workspace) -> list[RoundsSummary]:
    """For the report: the methods whose rounds are over."""
    found = []
    for method in reinforced_methods(work):
        path = work.directory.rounds(method.label)
        if not path.exists():
            continue
        told = work.directory.read_json(path)
        if told["stopped"]:
            rows = [RoundRow(**row) for row in told["students"]]
            found.append(summary_of(method, told["stopped"], told["chosen"], rows))
    return found


def summary_of(method: Rl, reason: str, chosen: int, rows: Sequence[RoundRow]) -> RoundsSummary:
    """The rounds of a method that are over."""
    own = method.settings
    return RoundsSummary(method.label, reason, chosen, rows, own.algorithm, own.held, gated=not own.reward.only)
