"""What a model is to the rest of symdistill: something that answers a few requests at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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


def byte_bound(request: Request) -> int:
    """An upper bound of prompt tokens for any byte-level tokenizer: one a byte, and a template's share a turn."""
    return sum(len(m.content.encode("utf-8", "surrogatepass")) + 16 for m in request.messages) + 16
