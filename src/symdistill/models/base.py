"""What a model is to the rest of symdistill: something that answers a few requests at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from symdistill.errors import CallFailed
from symdistill.records import Completion, Request


@dataclass(frozen=True, slots=True)
class Capacity:
    """How a backend likes to be asked.

    `concurrency` calls may be under way at once; one call carries up to `batch` requests. With `same_prompt` the
    requests of one call must share their messages and sampling parameters (a server's `n`).
    """

    concurrency: int = 1
    batch: int = 1
    same_prompt: bool = False


class LanguageModel(Protocol):
    """One model. `name` stands in content keys, so it names the weights, not the address they are served at."""

    @property
    def name(self) -> str: ...

    @property
    def capacity(self) -> Capacity: ...

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Answer each request, in order; a request that brought no answer has its `CallFailed` in its place.

        Raises:
            CallFailed: the whole call failed; the sampler decides about another try.
            ServerUnreachable, AccessDenied, RecordingMissing, PrerequisiteError: no other try would help.
        """

    def count_tokens(self, request: Request) -> int:
        """An upper bound of the request's prompt tokens, for budgets and limits, without loading anything."""

    async def close(self) -> None:
        """Let go of connections and memory."""


class LocalModel(LanguageModel, Protocol):
    """A model in this process, as students are asked."""

    @property
    def engine(self) -> str:
        """What computes, and in which numbers: `torch bfloat16`, `ctranslate2 int8`. It stands beside every result."""

    @property
    def config(self) -> Any:
        """The model's transformers config, read without its weights."""


def byte_bound(request: Request) -> int:
    """An upper bound of prompt tokens for any byte-level tokenizer: one a byte, and a template's share a turn.

    Before the second stretch of a reply stands the first.
    """
    prompt = sum(_bytes(m.content) + 16 for m in request.messages) + 16
    then = request.sampling.then
    return prompt + _bytes(then) + request.sampling.max_tokens if then else prompt


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def refuse_what_students_give(name: str, requests: Sequence[Request]) -> None:
    """For a model that neither goes on after the end of its reply nor gives the two largest probabilities of a step.

    Raises CallFailed where one of these is asked for: without them a gate would take every reply for a sure one.
    """
    sampling = [request.sampling for request in requests]
    if any(s.then for s in sampling):
        raise CallFailed(
            "rejected", f"{name} ends where its reply does; only a local student goes on to a second stretch"
        )
    if any(s.top_two_at > 0 or s.go_on_above > 0 for s in sampling):
        raise CallFailed(
            "rejected", f"{name} does not give the two largest probabilities of each step; only a local student does"
        )
