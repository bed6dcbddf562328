"""Content keys: the same content has the same name everywhere, for good.

A key is a short tag, an underscore and 32 hexadecimal digits of SHA-256 over canonical JSON (sorted keys, no spaces,
UTF-8 as is). The tag names what was hashed and its version: `r1` a request, `p1` a prompt.
Changing what goes into a key means a new tag; keys already written keep their meaning.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from symdistill.records import Message, Request, Sampling


def canonical_json(value: Any) -> str:
    """`value` as JSON text that is equal for equal values. Raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_key(tag: str, value: Any) -> str:
    """`tag_` followed by 32 hexadecimal digits of the content hash of `value`."""
    digest = hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{tag}_{digest[:32]}"


@lru_cache(maxsize=8192)
def prompt_key(messages: tuple[Message, ...]) -> str:
    """The key of a prompt: its roles and contents."""
    return content_key("p1", [[m.role, m.content] for m in messages])


@lru_cache(maxsize=1024)
def sampling_values(sampling: Sampling) -> dict[str, Any]:
    """The sampling parameters that differ from their defaults, so that a later field leaves old keys as they are.

    Values take the type of their default: a temperature of 1 and one of 1.0 are one temperature and one key.
    """
    default = Sampling()
    found = {}
    for name in sorted(Sampling.__dataclass_fields__):
        value, usual = getattr(sampling, name), getattr(default, name)
        if value != usual:
            found[name] = type(usual)(value)
    return found


@lru_cache(maxsize=1024)
def _sampling_json(sampling: Sampling) -> str:
    return canonical_json(sampling_values(sampling))


def request(
    model: str,
    messages: Iterable[Message],
    sampling: Sampling,
    sample_index: int = 0,
    example_id: str = "",
) -> Request:
    """A request with its content key: model id, messages, sampling parameters and sample index.

    Transport settings (address, concurrency, time limits) and `example_id` stay out of the key.
    """
    return samples(model, messages, sampling, (sample_index,), example_id)[0]


def samples(
    model: str, messages: Iterable[Message], sampling: Sampling, sample_indices: Iterable[int], example_id: str = ""
) -> list[Request]:
    """The requests for several samples of one prompt, as `request` makes each."""
    turns = tuple(messages)
    indices = list(sample_indices)
    keys = request_keys(model, prompt_key(turns), sampling, indices)
    return [Request(key, model, turns, sampling, i, example_id) for key, i in zip(keys, indices, strict=True)]


def request_keys(model: str, prompt: str, sampling: Sampling, sample_indices: Iterable[int]) -> list[str]:
    """The keys of several samples of the prompt whose `prompt_key` this is."""
    body = f"{model}\n{prompt}\n{_sampling_json(sampling)}\n"
    shared = hashlib.sha256(body.encode("utf-8", "surrogatepass"))
    found = []
    for index in sample_indices:
        digest = shared.copy()
        digest.update(str(index).encode())
        found.append(f"r1_{digest.hexdigest()[:32]}")
    return found


def sample_seed(key: str) -> int:
    """The seed a backend draws the sample with: 31 bits of the request's key."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
