"""What is asked in a round of a multilevel run, and the pairs that come of the replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdistill import content
from symdistill.curation.pairs import Pair
from symdistill.methods.multilevel import Input, MultilevelSettings
from symdistill.models.base import LanguageModel
from symdistill.prompts import wording
from symdistill.prompts.pairs import INPUT, NEW_TEXTS, ends_with_first_line, first_line, label_of, pair_messages
from symdistill.records import Completion, Request, Sampling
from symdistill.runs.multilevel_inputs import Sources
from symdistill.runs.workspace import Workspace


def request_of(settings: MultilevelSettings) -> str:
    """What stands around an input."""
    if settings.request is not None:
        return settings.request
    return wording(NEW_TEXTS) if settings.invent else INPUT


def teacher_requests(
    work: Workspace, model: LanguageModel, settings: MultilevelSettings, sources: Sources, inputs: Sequence[Input]
) -> list[tuple[Request, Input]]:
    """What the teacher is asked about inputs."""
    teacher = work.config.teacher
    sampling = Sampling(
        temperature=teacher.temperature,
        max_tokens=teacher.max_tokens,
        top_p=teacher.top_p,
        top_k=teacher.top_k,
        seed=work.config.seed,
        stop=teacher.stop,
    )
    instruction = work.config.student.instruction if teacher.instruction is None else teacher.instruction
    request, samples = request_of(settings), range(teacher.samples or settings.samples)
    return [
        (made, one)
        for one in inputs
        for made in content.samples(
            model.name,
            pair_messages(instruction, request, one.text, sources.demonstrations),
            sampling,
            samples,
            one.id,
        )
    ]


def student_requests(
    work: Workspace, model: str, settings: MultilevelSettings, inputs: Sequence[Input], *, greedy: bool = False
) -> list[tuple[Request, Input]]:
    """What a student is asked about inputs: `samples` times each, or once and greedily."""
    sampling = Sampling(
        temperature=settings.temperature, max_tokens=settings.max_tokens, top_p=settings.top_p, seed=work.config.seed
    )
    if greedy:
        sampling = Sampling(max_tokens=settings.max_tokens, seed=work.config.seed)
    samples = range(1 if greedy else settings.samples)
    instruction, request = work.config.student.instruction, request_of(settings)
    return [
        (made, one)
        for one in inputs
        for made in content.samples(model, pair_messages(instruction, request, one.text), sampling, samples, one.id)
    ]


def pairs_of(
    settings: MultilevelSettings,
    number: int,
    requests: Sequence[tuple[Request, Input]],
    replies: Mapping[str, Completion],
    audited: set[str],
    *,
    prefix: str = "",
    failed: bool = False,
) -> list[Pair]:
    """What was written, in the order it was asked for; ids begin with `prefix`. A request without a reply is passed
    over, or with `failed` an output without a word."""
    pairs, label = [], label_of(request_of(settings))
    for at, (request, one) in enumerate(requests):
        reply = replies.get(request.key)
        if reply is None and not failed:
            continue
        text = reply.text.strip() if reply else ""
        cut = reply is not None and reply.finish_reason == "length"
        if settings.take == "first_line":
            cut, text = cut and ends_with_first_line(text), first_line(text, label)
        pairs.append(
            Pair(
                id=f"{prefix}{number}-{at}",
                round=number,
                input_id=one.id,
                input=one.text,
                output=text,
                answer=one.answer,
                audit=one.id in audited,
                model=request.model,
                key=request.key,
                cut=cut,
                shown=one.shown,
            )
        )
    return pairs
