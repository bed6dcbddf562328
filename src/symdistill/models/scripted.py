"""A model that says what it was told to say: the test double, beside the real ones."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from symdistill.errors import CallFailed, ModelError
from symdistill.models.base import Capacity, byte_bound
from symdistill.models.reasoning import split_reasoning
from symdistill.records import Completion, Request

Reply = str | Completion | ModelError
"""A text, a whole completion (its key is set), or an error: a `CallFailed` takes the request's place, others end it."""

Script = Callable[[Request], Reply | Awaitable[Reply]] | Sequence[Reply] | Mapping[str, Reply | Sequence[Reply]]


class ScriptedModel:
    """Answers from a script.

    `script` is a function of the request; or replies in the order they are asked for; or a mapping from the text of
    the last message (or an example's id) to its reply, or to its samples by index.

    `calls` counts calls, `requests` keeps every request in the order of arrival, `in_flight_max` is how many calls
    were under way at once. A script that has nothing to say raises LookupError: a test asked for more than it meant to.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        capacity: Capacity | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        self.name = name
        self.capacity = capacity or Capacity(concurrency=16)
        self.calls = 0
        self.requests: list[Request] = []
        self.in_flight = 0
        self.in_flight_max = 0
        self.closed = False
        self._script = script
        self._delay = delay_seconds
        self._said = 0

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Raises whatever error but CallFailed the script holds."""
        self.calls += 1
        self.requests += requests
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            await asyncio.sleep(self._delay)
            return [await self._answer(request) for request in requests]
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        self.closed = True

    async def _answer(self, request: Request) -> Completion | CallFailed:
        reply = self._reply(request)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, CallFailed):
            return reply
        if isinstance(reply, ModelError):
            raise reply
        if isinstance(reply, Completion):
            return replace(reply, key=request.key)
        reasoning, text, closed = split_reasoning(reply)
        return Completion(
            key=request.key,
            text=text,
            reasoning=reasoning,
            finish_reason="stop" if closed else "length",
            prompt_tokens=sum(len(m.content.split()) for m in request.messages),
            completion_tokens=len(reply.split()),
        )

    def _reply(self, request: Request) -> Reply | Awaitable[Reply]:
        script = self._script
        if callable(script):
            return script(request)
        if isinstance(script, Mapping):
            text = request.messages[-1].content if request.messages else ""
            found = script[text] if text in script else script[request.example_id]
            if isinstance(found, (str, Completion, ModelError)):
                return found
            return found[request.sample_index]
        self._said += 1
        return script[self._said - 1]
