"""The fourth stage: every method answers the held-out questions, and what it answered is written down whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from symdistill.errors import DataError
from symdistill.evaluation.comparison import Comparison, compare
from symdistill.evaluation.evidence import evidence, prediction_dict
from symdistill.evaluation.metrics import TEACHER, MetricRow
from symdistill.evaluation.report_symbolic import SymbolicSummary
from symdistill.evaluation.retention import with_teacher_share
from symdistill.evaluation.scoring import Scored, score
from symdistill.evaluation.settings import EvaluationSettings
from symdistill.knowledge.retrieval import Retriever
from symdistill.methods import Method
from symdistill.methods.base import Knowledge, Reply
from symdistill.methods.gate import RELEASED_THRESHOLD, Gate, WithKnowledge, gated
from symdistill.methods.gate_settings import GATE_TEMPERATURE, GateMode
from symdistill.methods.kard import Kard
from symdistill.methods.symbolic import Symbolic
from symdistill.models.base import LocalModel
from symdistill.models.gguf_header import gguf_parameters
from symdistill.models.registry import parse_model_name
from symdistill.models.settings import TeacherSettings
from symdistill.records import Completion, Example, Request, Sampling
from symdistill.runs.directory import write_json, write_rows
from symdistill.runs.engines import choose_engine
from symdistill.runs.gates import looks_up
from symdistill.runs.knowing import read_knowledge
from symdistill.runs.learning import material_for, original, student_place
from symdistill.runs.measuring import Measured, measure, threshold_of
from symdistill.runs.paths import absolute
from symdistill.runs.reading import search_seconds, with_reading
from symdistill.runs.summing import symbolic_summaries
from symdistill.runs.symbols import Judged, judge_symbolic
from symdistill.runs.teaching import held_out_requests, open_teacher, pool
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler
from symdistill.students.answering import open_for_answering
from symdistill.students.shape import ModelShape
from symdistill.tasks.labels import Labels, labels_of


@dataclass(frozen=True)
class Evidence:
    """What a run's methods answered: one entry a method and decoding, and how they compare."""

    scored: tuple[Scored, ...]
    comparison: Comparison | None
    questions: Mapping[str, Example]
    shown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For each method, by its label, the number of held-out questions that each item stood before."""
    measured: Sequence[Measured] = ()
    symbolic: Sequence[SymbolicSummary] = ()

    @property
    def rows(self) -> list[MetricRow]:
        return [row for scored in self.scored for row in scored.rows]


@dataclass(frozen=True, slots=True)
class AddedKnowledge:
    """A knowledge base to try with every trained student. `threshold` None: the student's own, else the paper's."""

    path: Path
    mode: GateMode = "confidence"
    threshold: float | None = None


def evaluate_students(work: Workspace, added: AddedKnowledge | None = None) -> Evidence:
    """Answer the held-out questions with every method and write predictions.jsonl and metrics.json; for those that
    decide by a tree or rules also what these are and how well they explain.

    With `added`, every trained student also answers with that knowledge base, as a method beside the others whose rows
    name the base.

    Raises:
        DataError: there is nothing to evaluate on. RunDirectoryError: a student has not been trained.
        ConfigError: the engine that is named cannot answer as the methods ask.
        Interrupted: Ctrl-C; the answers so far are stored and not asked for again.
    """
    questions = held_out(work)
    for method in (one for one in work.methods if one.asks_student):
        student_place(work, method)  # one that is missing stops it before the others have answered
    wanting = (m for m in work.methods if not m.trains or isinstance(m, Kard))
    rationales = pool(work) if any(m.needs == "rationales" for m in wanting) else []
    scored: list[Scored] = []
    measured: list[Measured] = []
    decided: list[Judged] = []
    answered: dict[tuple[str, str], Sequence[Reply]] = {}
    materials = {m.label: with_reading(work, m, material_for(work, m, rationales)) for m in work.methods}
    for method in (one for one in work.methods if one.asks_student):
        method.prepare(materials[method.label])  # engines are compared on the prompts that will be asked
    choose_engine(work, gated=added is not None and added.mode == "confidence")
    if work.config.evaluation.teacher:
        scored.append(judge_teacher(work, questions))
    for method in work.methods:
        material, own = materials[method.label], None
        if isinstance(method, Symbolic):
            decided.append(judge_symbolic(work, method, material, questions))
            scored.append(decided[-1].scored)
            continue
        judge = method
        if looks_up(method):
            knowledge, found = measure(work, method)
            judge = gated(method, replace(material, knowledge=knowledge))
            own = threshold_of(method, knowledge.threshold)
            measured += [found] if found else []
        asked = [judge, with_base(work, method, added, own)] if added and method.trains else [judge]
        for one in asked:
            for judged, replies in judge_method(work, one, questions):
                if added and one is not judge:
                    judged = _with_base_named(judged, added.path)
                scored.append(judged)
                answered[judged.row.method, judged.row.decoding] = replies
    scored = with_teacher_share(scored, confidence=work.config.evaluation.confidence, seed=work.config.seed)
    write_rows(work.directory.predictions, prediction_rows(scored, answered, questions))
    write_json(work.directory.metrics, [row.as_dict() for s in scored for row in s.rows])
    several = len(scored) > 1
    comparison = (
        compare(
            [evidence(s.predictions, s.row, questions=questions) for s in scored],
            confidence=work.config.evaluation.confidence,
            seed=work.config.seed,
        )
        if several
        else None
    )
    symbolic = symbolic_summaries(work, decided, scored)
    shown = items_shown(answered, questions)
    return Evidence(tuple(scored), comparison, {e.id: e for e in questions}, shown, measured, symbolic)


def items_shown(
    answered: Mapping[tuple[str, str], Sequence[Reply]], questions: Sequence[Example]
) -> dict[str, Mapping[str, int]]:
    """For each method the questions each item stood before. Decoding a method in two ways asks no new question."""
    found: dict[str, set[tuple[str, str]]] = {}
    for (label, _), replies in answered.items():
        for question, reply in zip(questions, replies, strict=True):
            found.setdefault(label, set()).update((item.id, question.id) for item in reply.knowledge)
    return {label: Counter(item for item, _ in sorted(pairs)) for label, pairs in found.items()}


def prediction_rows(
    scored: Sequence[Scored], answered: Mapping[tuple[str, str], Sequence[Reply]], questions: Sequence[Example]
) -> Iterator[dict[str, Any]]:
    """The lines of predictions.jsonl; where knowledge was at hand, with what was shown and how sure the student was."""
    asked = {question.id: question for question in questions}
    for judged in scored:
        replies = answered.get((judged.row.method, judged.row.decoding), ())
        reply_to = dict(zip((q.id for q in questions), replies, strict=False))
        for prediction in judged.predictions:
            row = prediction_dict(prediction, judged.row.decoding, asked[prediction.example_id])
            if judged.row.knowledge_base is not None:
                row["knowledge_base"] = judged.row.knowledge_base
            if judged.row.retrieval_rate is not None:
                reply = reply_to[prediction.example_id]
                shown = [item.id for item in reply.knowledge] + [passage.id for passage in reply.passages]
                row |= {"confidence": reply.confidence, "knowledge": shown}
            yield row


def held_out(work: Workspace) -> list[Example]:
    """The questions to be judged on. Raises DataError when none has an answer."""
    questions = list(work.task.evaluation)
    if work.config.evaluation.limit:
        questions = questions[: work.config.evaluation.limit]
    if not any(q.answer is not None for q in questions):
        raise DataError(
            "There is no held-out question with an answer to check against.",
            "Give two labelled rows or more, or labelled questions in `task.eval_path`; the others may be unlabelled.",
        )
    return questions


def with_base(work: Workspace, method: Method, added: AddedKnowledge, own: float | None) -> WithKnowledge:
    """The trained student of a method with another knowledge base, as a method of its own. `own` is the threshold its
    gate has without that, if any.

    Of a base that holds none of the kinds that are looked for, those it holds are: the configuration says what students
    are trained and asked with, and cannot be changed for a base that is only tried.
    """
    threshold = added.threshold if added.threshold is not None else own
    if added.mode == "confidence" and threshold is None:
        threshold = RELEASED_THRESHOLD
        work.progress.note(
            f" gate       {method.label} has no dev questions it was not trained on: threshold {threshold:g}, that of "
            "NesyCD's code; --threshold sets another"
        )
    temperature = method.gating.temperature if method.gating else GATE_TEMPERATURE
    knowledge = read_knowledge(work, added.path)
    if knowledge.items and not len(knowledge.retriever):
        held = sorted({item.kind for item in knowledge.items})
        work.progress.note(f" knowledge  {added.path} holds items of the kind {' and '.join(held)} alone: these it is")
        settings = work.config.knowledge.retrieval.model_copy(update={"kinds": tuple(held)})
        knowledge = Knowledge(knowledge.items, Retriever(knowledge.items, settings))
    gate = Gate(added.mode, RELEASED_THRESHOLD if threshold is None else threshold, temperature)
    return WithKnowledge(method, gate, knowledge, f"{method.label} + knowledge ({added.mode})")


def _with_base_named(scored: Scored, path: Path) -> Scored:
    """The same results, every row with the base that was tried."""
    base = absolute(path)

    def named(row: MetricRow) -> MetricRow:
        return replace(row, knowledge_base=base)

    return replace(
        scored,
        row=named(scored.row),
        task_rows=tuple(map(named, scored.task_rows)),
        contrast_rows=tuple(map(named, scored.contrast_rows)),
    )


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
        labels=_labels(work),
        parameters=teacher_parameters(work.config.teacher),
    )


def _labels(work: Workspace) -> Labels:
    """The labels that the answers of all questions show, whatever share of them is learned from or asked."""
    return labels_of((*work.task.train, *work.task.evaluation))


def teacher_parameters(teacher: TeacherSettings) -> float | None:
    """The weights of the teacher: as the configuration says, else as its GGUF file does; None where neither tells."""
    if teacher.parameters is not None or not teacher.model:
        return teacher.parameters
    backend, rest = parse_model_name(teacher.model)
    return gguf_parameters(Path(rest).expanduser()) if backend == "llama_cpp" else None


def judge_method(work: Workspace, method: Method, questions: Sequence[Example]) -> list[tuple[Scored, Sequence[Reply]]]:
    """A method's greedy answers and, where asked for, its votes, with the replies behind them."""
    settings = work.config.evaluation_for(method)
    model, shape = open_student(work, method)
    looks_up = method.uses_knowledge or isinstance(method, Kard)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:

        def ask(requests: Sequence[Request]) -> Mapping[str, Completion]:
            return sampler.sample(requests, stage=f"evaluate {method.label}").completions

        judged: list[tuple[Scored, Sequence[Reply]]] = []
        for sampling, samples in decodings(settings, work.config.seed):
            replies = method.answer(ask, model.name, questions, sampling, samples)
            shortened = [_is_shortened(method, q, reply) for q, reply in zip(questions, replies, strict=True)]
            scored = score(
                questions,
                [reply.completions for reply in replies],
                method.label,
                decoding="vote" if samples > 1 else "greedy",
                samples=samples,
                seed=work.config.seed,
                training_seed=work.training_seed(method) if method.trains else None,
                seconds=sum(c.seconds for reply in replies for c in (*reply.before, *reply.completions))
                + search_seconds(work, method, questions, sum(reply.search_seconds for reply in replies)),
                shape=shape,
                model=model.name,
                engine=model.engine,
                confidence=settings.confidence,
                before=[reply.before for reply in replies],
                retrieved=[bool(_looked_up(method, reply)) for reply in replies] if looks_up else None,
                parameters=shape.parameters,
                search_flops=[reply.search_flops for reply in replies],
                shortened=shortened,
                labels=_labels(work),
            )
            if any(shortened):
                work.progress.note(
                    f"            {method.label}: {sum(shortened):,} of {len(questions):,} questions were read with "
                    "fewer passages than were found, since the prompt is too long for the student"
                )
            judged.append((scored, replies))
        return judged


def _looked_up(method: Method, reply: Reply) -> Sequence[object]:
    """What a method looked up for a question and showed: items where it has some, else passages."""
    return reply.knowledge if method.uses_knowledge else reply.passages


def _is_shortened(method: Method, question: Example, reply: Reply) -> bool:
    found = method.reads(question)
    return found is not None and bool(reply.completions) and len(reply.passages) < len(found.passages)


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


def open_student(work: Workspace, method: Method) -> tuple[LocalModel, ModelShape]:
    """The method's trained student, or the untrained one for a method that only prompts.

    Raises:
        RunDirectoryError: it has not been trained yet.
    """
    from symdistill.students.shape import model_shape

    if isinstance(method, WithKnowledge):
        method = method.inner
    place = student_place(work, method)
    model = open_for_answering(work.config.student, place, work.engine, trained=method.trains)
    return model, model_shape(model.config)


def load_trained(work: Workspace, place: Path) -> LocalModel:
    """A student of this run, under the one name that all equal students of the run share."""
    return open_for_answering(work.config.student, original(work, place), work.engine, trained=True)
