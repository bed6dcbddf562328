"""The fourth stage: every method answers the held-out questions, and what it answered is written down whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdistill.errors import DataError, RunDirectoryError
from symdistill.evaluation.comparison import Comparison, compare
from symdistill.evaluation.evidence import evidence, prediction_dict
from symdistill.evaluation.flops import Shape
from symdistill.evaluation.metrics import TEACHER, MetricRow
from symdistill.evaluation.scoring import Scored, score
from symdistill.evaluation.settings import EvaluationSettings
from symdistill.methods import Method
from symdistill.records import Completion, Example, Request, Sampling
from symdistill.runs.directory import write_json, write_rows
from symdistill.runs.learning import CARD, material_for
from symdistill.runs.teaching import held_out_requests, open_teacher, pool
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler

if TYPE_CHECKING:
    from symdistill.models.transformers_local import TransformersModel


@dataclass(frozen=True)
class Evidence:
    """What a run's methods answered: one entry a method and decoding, and how they compare."""

    scored: tuple[Scored, ...]
    comparison: Comparison | None
    questions: Mapping[str, Example]

    @property
    def rows(self) -> list[MetricRow]:
        return [row for scored in self.scored for row in scored.rows]


def evaluate_students(work: Workspace) -> Evidence:
    """Answer the held-out questions with every method and write predictions.jsonl and metrics.json.

    Raises:
        DataError: there is nothing to evaluate on. RunDirectoryError: a student has not been trained.
        Interrupted: Ctrl-C; the answers so far are stored and not asked for again.
    """
    questions = held_out(work)
    rationales = pool(work) if any(m.needs == "rationales" for m in work.methods if not m.trains) else []
    scored: list[Scored] = []
    if work.config.evaluation.teacher:
        scored.append(judge_teacher(work, questions))
    for method in work.methods:
        method.prepare(material_for(work, method, rationales))
        scored += judge_method(work, method, questions)
    write_rows(work.directory.predictions, (prediction_dict(p, s.row.decoding) for s in scored for p in s.predictions))
    write_json(work.directory.metrics, [row.as_dict() for s in scored for row in s.rows])
    several = len(scored) > 1
    comparison = (
        compare(
            [evidence(s.predictions, s.row) for s in scored],
            confidence=work.config.evaluation.confidence,
            seed=work.config.seed,
        )
        if several
        else None
    )
    return Evidence(tuple(scored), comparison, {e.id: e for e in questions})


def held_out(work: Workspace) -> list[Example]:
    """The questions to be judged on. Raises DataError when none has an answer."""
    questions = list(work.task.evaluation)
    if work.config.evaluation.limit:
        questions = questions[: work.config.evaluation.limit]
    if not any(q.answer is not None for q in questions):
        raise DataError(
            "No held-out question has an answer to check against.",
            "Give labelled questions in `task.eval_path`; the training questions may stay unlabelled.",
        )
    return questions


def judge_teacher(work: Workspace, questions: Sequence[Example]) -> Scored:
    """The teacher's own greedy answers, from the store. Raises DataError when it was not asked for them yet."""
    model = open_teacher(work)
    requests = {r.example_id: r.key for r in held_out_requests(work, model.name)}
    keys = {requests[q.id] for q in questions if q.id in requests}
    stored = work.store.completions(keys)
    unasked = keys - stored.keys() - work.store.failures(keys).keys()
    if unasked:
        raise DataError(
            f"`evaluation.teacher` is set, and the teacher was not asked {len(unasked):,} of the held-out questions.",
            "Run `symdistill sample` with the same arguments first; what is stored is not bought again.",
        )
    replies = [[c] if (c := stored.get(requests.get(q.id, ""))) else [] for q in questions]
    return score(
        questions,
        replies,
        TEACHER,
        decoding="greedy",
        seed=work.config.seed,
        model=model.name,
        confidence=work.config.evaluation.confidence,
    )


def judge_method(work: Workspace, method: Method, questions: Sequence[Example]) -> list[Scored]:
    """A method's greedy answers and, where asked for, its votes."""
    settings = work.config.evaluation_for(method)
    model, shape = open_student(work, method)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:

        def ask(requests: Sequence[Request]) -> Mapping[str, Completion]:
            return sampler.sample(requests, stage=f"evaluate {method.label}").completions

        return [
            score(
                questions,
                replies := method.predict(ask, model.name, questions, sampling, samples),
                method.label,
                decoding="vote" if samples > 1 else "greedy",
                samples=samples,
                seed=work.config.seed,
                seconds=sum(c.seconds for row in replies for c in row),
                shape=shape,
                model=model.name,
                confidence=settings.confidence,
            )
            for sampling, samples in decodings(settings, work.config.seed)
        ]


def decodings(settings: EvaluationSettings, seed: int) -> list[tuple[Sampling, int]]:
    """Greedy once and, with self-consistency, N drawn samples with the log-probabilities that break ties."""
    wanted = []
    votes = settings.self_consistency or 0
    if settings.greedy or votes < 2:
        wanted.append((Sampling(max_tokens=settings.max_new_tokens, seed=seed), 1))
    if votes > 1:
        drawn = Sampling(temperature=settings.temperature, max_tokens=settings.max_new_tokens, seed=seed, logprobs=True)
        wanted.append((drawn, votes))
    return wanted


def open_student(work: Workspace, method: Method) -> tuple[TransformersModel, Shape]:
    """The method's trained student, or the untrained one for a method that only prompts.

    Raises:
        RunDirectoryError: it has not been trained yet.
    """
    from symdistill.models.transformers_local import TransformersModel
    from symdistill.students.loading import locate_student
    from symdistill.students.shape import model_shape

    student = work.config.student
    if method.trains:
        place = work.student_directory(method)
        if not (place / CARD).exists():
            raise RunDirectoryError(
                f"{method.label} has no trained student in {place}.", "Run `symdistill train` (or `run`) first."
            )
    else:
        place = locate_student(student)
    model = TransformersModel.load(place, batch_size=student.batch_size, dtype=student.dtype, template=student.template)
    return model, model_shape(model.config)
