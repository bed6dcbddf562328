"""From replies to rationales: what the student may learn, the answer it reaches, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from symdistill.curation.settings import CurationSettings
from symdistill.errors import DataError
from symdistill.models.reasoning import split_reasoning
from symdistill.progress import Progress, Silent
from symdistill.records import Completion, Example, Rationale, Request
from symdistill.tasks.answers import answers_equal, parse_answer


class Reply(NamedTuple):
    """One reply of the teacher; `cut` says that it ended at the token limit. The rest as in `Completion`."""

    key: str
    model: str
    sample_index: int
    text: str
    reasoning: str | None
    cut: bool
    token_logprobs: tuple[float, ...] | None


def rationales(
    examples: Iterable[Example],
    requests: Iterable[Request],
    completions: Mapping[str, Completion],
    settings: CurationSettings,
    progress: Progress | None = None,
) -> list[Rationale]:
    """One rationale for each request that has a completion, in the order of the requests.

    `completions` maps request keys to replies; two questions that were asked in the same words share one. The text is
    the reply, the reasoning before it, or reasoning, blank line and reply, as `settings.rationale_from` says; where
    the reasoning is wanted and a reply has none, it is the reply, and `progress` is told how often. The answer is read
    from the reply in every case: reasoning weighs answers it does not give.

    Raises:
        DataError: a request is about a question that is not among `examples`.
    """
    by_id = {example.id: example for example in examples}
    found = []
    without_reasoning = 0
    for request in requests:
        completion = completions.get(request.key)
        if completion is None:
            continue
        example = by_id.get(request.example_id)
        if example is None:
            raise DataError(
                f"A teacher's reply (key {request.key}) is about the question {request.example_id!r}, which the task "
                "does not hold.",
                "Use the task file the replies were sampled for, or sample again.",
            )
        rationale, reasoned = read_rationale(example, reply_to(request, completion), settings)
        found.append(rationale)
        without_reasoning += not reasoned
    note_missing_reasoning(settings, without_reasoning, len(found), progress or Silent())
    return found


def reply_to(request: Request, completion: Completion) -> Reply:
    """What curation reads of a request and its completion."""
    return Reply(
        request.key,
        request.model,
        request.sample_index,
        completion.text,
        completion.reasoning,
        completion.finish_reason == "length",
        completion.token_logprobs,
    )


def read_rationale(example: Example, reply: Reply, settings: CurationSettings) -> tuple[Rationale, bool]:
    """The rationale a reply to a question holds, and whether the reply has reasoning of its own."""
    reasoning, said, closed = _parts(reply)
    answer = parse_answer(said, example.answer_type, example.choices)
    rationale = Rationale(
        example_id=example.id,
        task=example.task,
        question=example.question,
        text=_learned(settings.rationale_from, reasoning, said),
        answer=answer,
        correct=None
        if example.answer is None
        else answers_equal(answer, example.answer, example.answer_type, example.choices),
        sample_index=reply.sample_index,
        model=reply.model,
        key=reply.key,
        truncated=reply.cut or not closed,
        token_logprobs=reply.token_logprobs,
    )
    return rationale, bool(reasoning)


def note_missing_reasoning(settings: CurationSettings, missing: int, replies: int, progress: Progress) -> None:
    """Say how many of the replies have no reasoning where the reasoning was to be learned."""
    if missing and settings.rationale_from != "reply":
        progress.note(
            f"curation.rationale_from: {settings.rationale_from}, but {missing:,} of {replies:,} replies "
            "have no reasoning of their own; the reply itself is used there."
        )


def _parts(reply: Reply) -> tuple[str, str, bool]:
    """Reasoning, reply, and whether the reasoning was closed. Recordings made elsewhere may still hold the block."""
    if reply.reasoning is not None:
        return reply.reasoning.strip(), reply.text.strip(), True
    reasoning, said, closed = split_reasoning(reply.text)
    return reasoning or "", said.strip(), closed


def _learned(source: Literal["reply", "reasoning", "both"], reasoning: str, reply: str) -> str:
    if source == "reply" or not reasoning:
        return reply
    return reasoning if source == "reasoning" else f"{reasoning}\n\n{reply}".strip()
