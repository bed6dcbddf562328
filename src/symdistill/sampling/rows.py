"""Records as rows of the store, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from symdistill import content
from symdistill.models.recording import first_from, first_values, sampling_from
from symdistill.records import Completion, Failure, Sampling
from symdistill.sampling.database import storable


def completion_row(reply: Completion) -> tuple[Any, ...]:
    return (
        storable(reply.text),
        None if reply.reasoning is None else storable(reply.reasoning),
        reply.finish_reason,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cached_prompt_tokens,
        None if reply.token_logprobs is None else _packed(reply.token_logprobs),
        reply.cost_usd,
        reply.seconds,
        None if reply.top_two is None else _packed([p for pair in reply.top_two for p in pair]),
        None if reply.first is None else _first_json(reply.first),
    )


def completion_from(row: Sequence[Any]) -> Completion:
    key, text, reasoning, finish, prompt, completion, cached, logprobs, cost, seconds, top_two, first = row
    unpacked = None if logprobs is None else _unpacked(logprobs)
    pairs = None if top_two is None else _pairs(_unpacked(top_two))
    stretch = None if first is None else first_from(json.loads(first), key)
    return Completion(key, text, reasoning, finish, prompt, completion, cached, unpacked, cost, seconds, pairs, stretch)


def _first_json(first: Completion) -> str:
    """A first stretch as it would come back if it were a row of its own."""
    return json.dumps(first_values(completion_from((first.key, *completion_row(first)))), separators=(",", ":"))


def failure_row(failure: Failure) -> tuple[Any, ...]:
    return (failure.kind, storable(failure.message), failure.attempts, failure.cost_usd, failure.tokens)


def _packed(logprobs: Sequence[float]) -> bytes:
    import numpy as np

    scaled = np.nan_to_num(np.asarray(logprobs, float) * 1e5, nan=-2e9, posinf=2e9, neginf=-2e9)
    return np.rint(scaled).clip(-2e9, 2e9).astype("<i4").tobytes()


def _unpacked(blob: bytes) -> tuple[float, ...]:
    import numpy as np

    return tuple((np.frombuffer(blob, "<i4") / 1e5).tolist())


def _pairs(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(values[::2], values[1::2], strict=True))


@lru_cache(maxsize=1024)
def sampling_json(sampling: Sampling) -> str:
    """The sampling parameters as text that sorts and parses, lone surrogates of a stop word escaped."""
    text = content.canonical_json(content.sampling_values(sampling))
    return text if storable(text) == text else json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=1024)
def parsed_sampling(text: str) -> Sampling:
    return sampling_from(json.loads(text))
