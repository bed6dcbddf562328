"""What knowledge changes for a trained student, measured on the dev questions: the threshold of its gate, and the lift
of each item. The test split is never looked at.

Every dev question is answered directly, with the items retrieved for it, and once for each item with all but that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from symdistill import content
from symdistill.errors import DataError
from symdistill.evaluation.calibration import (
    Calibration,
    DevCase,
    agreement_of,
    calibrate,
    entropy_of,
    margin_of,
    probability_of,
)
from symdistill.evaluation.report_data import (
    CalibrationSummary,
    ItemUse,
    KnowledgeSummary,
    NotesCost,
    TurnedQuestion,
)
from symdistill.evaluation.scoring import predict
from symdistill.knowledge.items import KnowledgeItem, Use
from symdistill.knowledge.utility import lifts
from symdistill.methods import Method
from symdistill.methods.base import Ask, Knowledge
from symdistill.methods.gate import block_of
from symdistill.methods.gate_settings import GateSettings
from symdistill.records import Completion, Example, Prediction, Request, Sampling
from symdistill.runs.bases import gate_base
from symdistill.runs.directory import write_json
from symdistill.runs.internalising import note_makers, notes_path
from symdistill.runs.knowing import base_path, dev_questions, makers, open_base, read_knowledge
from symdistill.runs.noting import named
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler

AGREEING = 5
"""Samples whose agreement is compared with the gate's own score."""


@dataclass(frozen=True, slots=True)
class DevReply:
    """A dev question answered directly and with `items`; without any of these both replies are the same."""

    example: Example
    items: Sequence[KnowledgeItem]
    direct: Completion
    known: Completion
    case: DevCase


@dataclass(frozen=True, slots=True)
class DevReplies:
    """The replies to the dev questions, and the ids of those that are not as they should be.

    `unanswered` ones brought no direct reply and are left out. Those in `without_items` brought none with knowledge,
    being too long for the student, and count as answered directly: that is what is done with such a question.
    """

    replies: Sequence[DevReply]
    unanswered: Sequence[str] = ()
    without_items: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found about one method's student, whose model is named `student`. `threshold` is that of its gate: the
    calibrated one, or one that was set; None where there is no gate."""

    method: str
    student: str
    base: Path
    dev: DevReplies
    calibration: Calibration | None
    threshold: float | None = None

    @property
    def replies(self) -> Sequence[DevReply]:
        return self.dev.replies

    @property
    def findings(self) -> list[str]:
        """What a reader of the figures should know first, in sentences."""
        said, dev = [], self.dev
        if dev.unanswered:
            said.append(
                f"{len(dev.unanswered):,} dev questions brought no reply and are left out: {named(dev.unanswered)}."
            )
        if dev.without_items:
            said.append(
                f"{len(dev.without_items):,} dev questions brought no reply with their knowledge, which is likely too "
                f"long for the student, and were answered directly: {named(dev.without_items)}. "
                "`knowledge.retrieval.max_words` bounds it."
            )
        if self.calibration is not None and self.calibration.few and self.calibration.threshold == self.threshold:
            said.append(
                f"{self.calibration.n:,} dev questions are few to choose a threshold on: it is little better than a "
                "guess. More labelled training questions, or a larger `dev_fraction`, give more."
            )
        return said


def measure(work: Workspace, method: Method) -> tuple[Knowledge, Measured | None]:
    """The knowledge of a method that has a gate, with the threshold of it, and what was measured; nothing for `gate:
    never`. The method is prepared but for its knowledge.

    Writes calibration-LABEL.json, and what each item changed into the knowledge base.

    Raises:
        DataError: there is no dev question to calibrate on. RunDirectoryError: no student, or no knowledge base.
        Interrupted: Ctrl-C; the answers so far are stored.
    """
    path, gate = gate_base(work, method), _gating(method)
    knowledge = read_knowledge(work, path)
    if gate.mode == "never":
        return knowledge, None
    from symdistill.runs.judging import open_student

    model, _ = open_student(work, method)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:

        def ask(requests: Sequence[Request]) -> Mapping[str, Completion]:
            return sampler.sample(requests, stage=f"dev {method.label}").completions

        dev = dev_replies(work, method, knowledge, ask, model.name)
        uses = item_uses(work, method, dev.replies, ask, model.name)
    with open_base(work, path) as base:
        base.record_uses(uses)
    gated = gate.mode == "confidence"
    calibration = chosen_threshold(method, dev.replies) if gated else None
    threshold = threshold_of(method, calibration.threshold if calibration else None) if gated else None
    measured = Measured(method.label, model.name, path, dev, calibration, threshold)
    write_json(work.directory.calibration(method.label), _written(model.name, measured))
    for finding in measured.findings:
        work.progress.note(f"            {method.label}: {finding}")
    if calibration is None:
        return knowledge, measured
    point = calibration.choice.point
    work.progress.note(
        f" gate       {method.label}   threshold {calibration.threshold:.1f} ({calibration.rule} on {calibration.n:,} "
        f"dev questions: accuracy {point.accuracy:.0%}, retrieval {point.retrieval_rate:.0%})"
        + ("" if gate.threshold == "calibrated" else f"; `threshold: {gate.threshold:g}` is used")
    )
    return replace(knowledge, threshold=calibration.threshold), measured


def _gating(method: Method) -> GateSettings:
    """The gate of a method that has one."""
    found = method.gating
    assert found is not None
    return found


def threshold_of(method: Method, calibrated: float | None) -> float | None:
    """The threshold a method's gate uses: one that was set goes before the calibrated one."""
    set_to = _gating(method).threshold
    return calibrated if set_to == "calibrated" else set_to


def dev_replies(work: Workspace, method: Method, knowledge: Knowledge, ask: Ask, model: str) -> DevReplies:
    """Each dev question, directly and with knowledge, with the scores a gate can decide by."""
    dev, gate = dev_questions(work, method), _gating(method)
    settings = work.config.evaluation_for(method)
    greedy = _greedy(work, method)
    # A base may hold notes about dev questions, too; held-out questions will find none about themselves.
    found = [tuple(items) for items in knowledge.retriever.retrieve_many(dev, exclude_own=True)]
    bare = [(e, "") for e in dev]
    scored = replace(greedy, logprobs=True, top_two_at=gate.temperature)
    direct = _replies(method, ask, model, bare, scored)
    fitting = [i for i, items in enumerate(found) if items]
    noted = [(dev[i], block_of(found[i])) for i in fitting]
    known = dict(zip(fitting, _replies(method, ask, model, noted, greedy), strict=True))
    drawn: list[Sequence[Completion]] = [[] for _ in dev]
    if gate.mode == "confidence":
        sampling = replace(greedy, temperature=settings.temperature)
        drawn = _replies(method, ask, model, bare, sampling, AGREEING)
    replies = []
    for i, example in enumerate(dev):
        if direct[i]:
            with_items = known.get(i)
            case = _case(example, direct[i][0], with_items[0] if with_items else None, drawn[i])
            second = with_items[0] if with_items else direct[i][0]
            replies.append(DevReply(example, found[i] if with_items else (), direct[i][0], second, case))
    return DevReplies(
        replies,
        unanswered=[example.id for example, row in zip(dev, direct, strict=True) if not row],
        without_items=[dev[i].id for i, row in known.items() if direct[i] and not row],
    )


def item_uses(work: Workspace, method: Method, replies: Sequence[DevReply], ask: Ask, model: str) -> list[Use]:
    """What each item changed for each dev question it was retrieved for: the reply with all items beside the one with
    all the others."""
    pairs = [(reply, item) for reply in replies for item in reply.items]
    several = [(reply, item) for reply, item in pairs if len(reply.items) > 1]
    asked = [(r.example, block_of([other for other in r.items if other.id != item.id])) for r, item in several]
    drawn = _replies(method, ask, model, asked, _greedy(work, method))
    without = {(r.example.id, i.id): row for (r, i), row in zip(several, drawn, strict=True)}
    uses = []
    for reply, item in pairs:
        row = without.get((reply.example.id, item.id), [reply.direct])
        if row:
            with_it, without_it = _verdict(reply.example, reply.known), _verdict(reply.example, row[0])
            uses.append(
                Use(
                    item_id=item.id,
                    version=item.version,
                    example_id=reply.example.id,
                    question=reply.example.question,
                    run=work.key,
                    student=model,
                    correct_with=with_it.correct,
                    correct_without=without_it.correct,
                    reply_with=reply.known.text,
                    reply_without=row[0].text,
                    gold=reply.example.answer or "",
                )
            )
    return uses


def _replies(
    method: Method, ask: Ask, model: str, asked: Sequence[tuple[Example, str]], sampling: Sampling, samples: int = 1
) -> list[Sequence[Completion]]:
    replies = method.reply_to(ask, model, asked, sampling, samples) if asked else []
    return [reply.completions for reply in replies]


def chosen_threshold(method: Method, replies: Sequence[DevReply]) -> Calibration | None:
    """The calibration of the gate. Without a dev question there is none. Raises DataError where it is needed."""
    settings = _gating(method)
    if not replies and settings.threshold != "calibrated":
        return None
    if not replies:
        raise DataError(
            f"There is no dev question to calibrate the gate of {method.label} on: too few training questions have an "
            "answer.",
            "Set `threshold` to a number, or give more labelled questions.",
        )
    return calibrate([reply.case for reply in replies], rule=settings.rule, within=settings.within)


def read_threshold(path: Path, values: Any) -> float | None:
    """The threshold in what `measure` wrote; None where nothing was calibrated. Raises DataError."""
    found = values.get("calibration") if isinstance(values, dict) else None
    return None if found is None else Calibration.from_dict(found, str(path)).threshold


def calibration_summaries(measured: Sequence[Measured]) -> list[CalibrationSummary]:
    """For the report."""
    return [CalibrationSummary(m.method, m.calibration, m.threshold) for m in measured if m.calibration is not None]


def knowledge_summary(
    work: Workspace, measured: Sequence[Measured], shown: Mapping[str, Mapping[str, int]]
) -> KnowledgeSummary | None:
    """The base of the first measured method, and what it changed for that method's student. `shown` is as in
    `judging.Evidence`."""
    if not measured:
        return None
    first = measured[0]
    with open_base(work, first.base) as base:
        stats = base.stats()
        worth = lifts([use for use in base.uses() if use.student == first.student], base.current_versions())
        items = {item.id: item for item in base.items(status=None)}
    report = first.base.with_suffix(".json")
    built = work.directory.read_json(report) if report.exists() and report.parent == work.directory.path else {}
    used = {key: count for key, count in shown.get(first.method, {}).items() if key in items}
    turned = [(reply, reply.case.correct_known) for reply in first.replies if _turned(reply)]
    return KnowledgeSummary(
        path=str(first.base),
        student=first.method,
        statuses=stats.statuses,
        kinds=stats.kinds,
        errors=built.get("errors"),
        analysed=built.get("analysed"),
        items=[ItemUse(items[key], count, worth.get(key)) for key, count in used.items()],
        asked=len(first.replies),
        turned_right=[_turned_question(reply) for reply, right in turned if right],
        turned_wrong=[_turned_question(reply) for reply, right in turned if not right],
    )


def notes_costs(work: Workspace) -> list[NotesCost]:
    """What the notes took of every base that this run has built, as knowledge.json tells it."""
    if work.config.knowledge.path is not None:
        return []
    made = [(m.label, base_path(work, m)) for m in makers(work)]
    made += [(m.label, notes_path(work, m)) for m in note_makers(work)]
    found = []
    for label, path in made:
        report = path.with_suffix(".json")
        told = work.directory.read_json(report) if report.exists() else {}
        if "tokens" in told:
            found.append(NotesCost(label, told["replies"], told["tokens"], told["cost_usd"]))
    return found


def _greedy(work: Workspace, method: Method) -> Sampling:
    """As the method is asked at evaluation."""
    limit = work.config.evaluation_for(method).max_new_tokens
    return method.sampling(Sampling(max_tokens=limit, seed=work.config.seed))


def _verdict(example: Example, completion: Completion) -> Prediction:
    return predict(example, [completion], "dev")


def _case(example: Example, direct: Completion, known: Completion | None, drawn: Sequence[Completion]) -> DevCase:
    right = _verdict(example, direct).correct
    answers = [answer for c in drawn for answer in _verdict(example, c).answers]
    begun = direct.first or direct  # the gate decides on the first stretch of a reply
    top_two, logprobs = begun.top_two or (), begun.token_logprobs or ()
    return DevCase(
        example_id=example.id,
        task=example.task,
        correct_direct=right,
        correct_known=_verdict(example, known).correct if known else right,
        margin=margin_of(top_two),
        probability=probability_of(logprobs),
        entropy=entropy_of(top_two),
        agreement=agreement_of(answers, example.answer_type, example.choices) if answers else None,
        prompt_tokens_direct=direct.prompt_tokens,
        prompt_tokens_known=known.prompt_tokens if known else 0,
    )


def _turned(reply: DevReply) -> bool:
    return reply.case.correct_direct != reply.case.correct_known


def _turned_question(reply: DevReply) -> TurnedQuestion:
    return TurnedQuestion(
        example_id=reply.example.id,
        task=reply.example.task,
        question=reply.example.question,
        gold=reply.example.answer or "",
        titles=[item.title for item in reply.items],
        reply_without=reply.direct.text,
        reply_with=reply.known.text,
    )


def _written(student: str, measured: Measured) -> dict[str, Any]:
    """calibration-LABEL.json."""
    return {
        "method": measured.method,
        "student": student,
        "knowledge": content.content_key(
            "k2", sorted({f"{item.id}/{item.version}" for reply in measured.replies for item in reply.items})
        ),
        "calibration": measured.calibration.to_dict() if measured.calibration else None,
        "threshold": measured.threshold,
        "findings": measured.findings,
        "unanswered": list(measured.dev.unanswered),
        "without_items": list(measured.dev.without_items),
        "dev": [
            {
                **asdict(reply.case),
                "items": [item.id for item in reply.items],
                "reply_direct": reply.direct.text,
                "reply_known": reply.known.text,
            }
            for reply in measured.replies
        ],
    }
