"""From replies to rationales: what the student may learn, the answer it reaches, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from symdistill.curation.settings import CurationSettings
from symdistill.errors import DataError
from symdistill.models.reasoning import split_reasoning
from symdistill.progress import Progress, Silent
from symdistill.records import Completion, Example, Rationale, Request
from symdistill.tasks.answers import answers_equal, parse_answer


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
        reasoning, reply, closed = _parts(completion)
        if settings.rationale_from != "reply" and not reasoning:
            without_reasoning += 1
        answer = parse_answer(reply, example.answer_type, example.choices)
        found.append(
            Rationale(
                example_id=example.id,
                task=example.task,
                question=example.question,
                text=_learned(settings.rationale_from, reasoning, reply),
                answer=answer,
                correct=None
                if example.answer is None
                else answers_equal(answer, example.answer, example.answer_type, example.choices),
                sample_index=request.sample_index,
                model=request.model,
                key=request.key,
                truncated=completion.finish_reason == "length" or not closed,
                token_logprobs=completion.token_logprobs,
            )
        )
    if without_reasoning:
        (progress or Silent()).note(
            f"curation.rationale_from: {settings.rationale_from}, but {without_reasoning:,} of {len(found):,} replies "
            "have no reasoning of their own; the reply itself is used there."
        )
    return found


def _parts(completion: Completion) -> tuple[str, str, bool]:
    """Reasoning, reply, and whether the reasoning was closed. Recordings made elsewhere may still hold the block."""
    if completion.reasoning is not None:
        return completion.reasoning.strip(), completion.text.strip(), True
    reasoning, reply, closed = split_reasoning(completion.text)
    return reasoning or "", reply.strip(), closed


def _learned(source: Literal["reply", "reasoning", "both"], reasoning: str, reply: str) -> str:
    if source == "reply" or not reasoning:
        return reply
    return reasoning if source == "reasoning" else f"{reasoning}\n\n{reply}".strip()
