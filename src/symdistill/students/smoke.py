"""A few questions to a fresh student: does it stop, can its answers be read, does it go round in circles?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from symdistill import content
from symdistill.models.base import LanguageModel
from symdistill.records import AnswerType, Completion, Example, Message, Sampling
from symdistill.sampling.loops import ask
from symdistill.tasks import parse_answer

Parse = Callable[[str, AnswerType, Mapping[str, str] | None], str | None]

_LOOP = re.compile(r"(.{2,80}?)\1{3,}", re.DOTALL)
_LOOP_CHARACTERS = 40


def smoke_check(
    model: LanguageModel,
    questions: Sequence[tuple[Example, Sequence[Message]]],
    *,
    max_new_tokens: int = 256,
    then: str = "",
    parse: Parse = parse_answer,
) -> list[str]:
    """What is wrong with the student's greedy replies to a few questions, one sentence a fault; empty if all is well.

    Each question comes with the prompt the student is to read. `then` is what a reply goes on from (see
    `records.Sampling`). `parse` finds the answer in a reply.

    Raises:
        ModelError: the student cannot be asked at all.
    """
    if not questions:
        return []
    sampling = Sampling(max_tokens=max_new_tokens, then=then)
    requests = [content.request(model.name, prompt, sampling, 0, example.id) for example, prompt in questions]
    replies = ask(model, requests)
    endless, silent, circling, failed = [], [], [], []
    for (example, _), reply in zip(questions, replies, strict=True):
        if not isinstance(reply, Completion):
            failed.append(reply.message)
            continue
        text = reply.text if reply.first is None else then + reply.text
        loop = (repetition(reply.first.text) if reply.first else None) or repetition(text)
        if loop is not None:
            circling.append(loop)
        if reply.finish_reason == "length":
            endless.append(example.id)
        elif parse(text, example.answer_type, example.choices) is None:
            silent.append(" ".join(text.split()))
    of = f"of {len(questions)} replies"
    findings = []
    if failed:
        findings.append(f"{len(failed)} {of} could not be made: {failed[0]}")
    if endless:
        findings.append(f"{len(endless)} {of} did not end within {max_new_tokens} tokens.")
    if silent:
        findings.append(f"{len(silent)} {of} ended without an answer that can be read, such as {_short(silent[0])!r}.")
    if circling:
        findings.append(f"{len(circling)} {of} repeat themselves, such as {_short(circling[0])!r}.")
    return findings


def repetition(text: str) -> str | None:
    """What the text repeats four times in a row or more, over forty characters at least; None if it does not."""
    for found in _LOOP.finditer(text):
        if len(found[0]) >= _LOOP_CHARACTERS and any(c.isalnum() for c in found[1]):
            return found[1]
    return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
