"""Reads what an OpenAI-compatible server sends back for a chat completion.

Servers agree on little beyond the outline, so every field is looked at before it is believed; what cannot be read is a
`malformed` call, never a traceback.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from symdistill.errors import CallFailed, FailureKind
from symdistill.models.reasoning import split_reasoning
from symdistill.records import Completion, Request

_LOG = logging.getLogger(__name__)

_SHOWN = 80
_MOST_TOKENS = 10**9
"""What a server counts beyond that is no count."""

_ENDS = frozenset({"stop", "eos", "end_turn", "stop_sequence", "tool_calls", "function_call"})
_CUTS = frozenset({"length", "max_tokens", "model_length"})
"""What servers call the end of a reply, and a limit that it met."""


def completions_from(content: bytes, requests: Sequence[Request], seconds: float) -> list[Completion | CallFailed]:
    """One outcome for each request from the body of the one reply to all of them.

    What the server charged for the call is divided: the prompt, which it read once, belongs to the first request,
    generated tokens go by their log-probabilities where they came along and else by length. Where the server does not
    say what it charged, all counts are 0.

    Raises:
        CallFailed: the body is no chat completion (`malformed`) or has no choices at all (`empty`).
    """
    body = _body(content)
    choices = _by_index(body)
    if not choices:
        read, _, written = _usage(body)
        raise CallFailed("empty", "the server answered without a choice", prompt_tokens=read, completion_tokens=written)
    found = [choices.get(i) for i in range(len(requests))]
    prompt, cached, generated = _tokens(body, found)
    outcomes: list[Completion | CallFailed] = []
    for i, (request, choice) in enumerate(zip(requests, found, strict=True)):
        mine = (prompt, cached, generated[i]) if i == 0 else (0, 0, generated[i])
        outcomes.append(_outcome(request, choice, mine, seconds))
    return outcomes


def _outcome(
    request: Request, choice: Mapping[str, Any] | None, tokens: tuple[int, int, int], seconds: float
) -> Completion | CallFailed:
    prompt, cached, generated = tokens
    if choice is None:
        return CallFailed("empty", "the server sent fewer choices than asked for", prompt_tokens=prompt)
    message = choice["message"]
    finish = choice.get("finish_reason") or "stop"
    finish = finish.lower() if isinstance(finish, str) else _short(finish)
    if message.get("refusal") or finish == "content_filter":
        why = message.get("refusal") or "its content filter cut the reply"
        return CallFailed(
            "refused", f"the model declined: {_short(why)}", prompt_tokens=prompt, completion_tokens=generated
        )
    if finish == "error":
        return CallFailed(
            "server",
            "the server broke off in the middle of the reply",
            prompt_tokens=prompt,
            completion_tokens=generated,
        )
    said = _encodable(message.get("content") or "")
    reasoning = _encodable(message.get("reasoning_content") or message.get("reasoning") or "") or None
    closed = True
    if reasoning is None:
        reasoning, said, closed = split_reasoning(said)
    cut = not closed or _is_cut(finish)
    if not said.strip() and reasoning is None and not cut:
        return CallFailed(
            "empty", "the server answered without any text", prompt_tokens=prompt, completion_tokens=generated
        )
    return Completion(
        key=request.key,
        text=said,
        reasoning=reasoning,
        finish_reason="length" if cut else "stop",
        prompt_tokens=prompt,
        completion_tokens=generated,
        cached_prompt_tokens=cached,
        token_logprobs=_logprobs(choice) if request.sampling.logprobs else None,
        seconds=seconds,
    )


def _is_cut(finish: str) -> bool:
    """Whether a reply with this `finish_reason` is not whole. A student would learn an end where there is none, so a
    word that nobody knows counts as a cut."""
    if finish not in _ENDS and finish not in _CUTS:
        _note_unknown(_short(finish))
    return finish not in _ENDS


@lru_cache(maxsize=64)
def _note_unknown(finish: str) -> None:
    """Once for each word."""
    _LOG.warning("The server ends replies with the finish_reason %r, which is not known: they count as cut.", finish)


def _body(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise CallFailed("malformed", f"the server's answer is not JSON: {problem}") from None
    if not isinstance(body, dict):
        raise CallFailed("malformed", f"the server's answer is not a JSON object: {_short(body)}")
    return body


def _by_index(body: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """The choices by their index; a choice without a readable message makes the whole answer malformed."""
    choices = body.get("choices")
    if choices is None and "error" in body:
        code = body["error"].get("code") if isinstance(body["error"], dict) else None
        kind: FailureKind = "rate_limited" if code == 429 else "server"
        raise CallFailed(kind, f"the server answered 200 with an error: {_short(body['error'])}")
    if not isinstance(choices, list):
        raise CallFailed("malformed", "the server's answer has no list of choices")
    found: dict[int, Mapping[str, Any]] = {}
    for position, choice in enumerate(choices):
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise CallFailed("malformed", f"choice {position} of the server's answer has no message")
        for field in ("content", "reasoning_content", "reasoning", "refusal"):
            if not isinstance(message.get(field, ""), (str, type(None))):
                raise CallFailed("malformed", f"choice {position} of the server's answer: {field} is not text")
        index = choice.get("index")
        found.setdefault(index if isinstance(index, int) else position, choice)
    return found


def _tokens(body: Mapping[str, Any], choices: Sequence[Mapping[str, Any] | None]) -> tuple[int, int, list[int]]:
    """Prompt tokens, how many of them came from a cache, and generated tokens of each choice.

    All 0 where the server does not count both: who pays then books the most that it can be, and no part of it is told.
    """
    prompt, cached, generated = _usage(body)
    sizes = [_size(choice) for choice in choices]
    if prompt == 0 or (generated == 0 and any(sizes)):
        return 0, 0, [0] * len(choices)
    if len(choices) == 1:
        return prompt, cached, [generated]
    counted = [len(_logprobs(choice) or ()) if choice else 0 for choice in choices]
    # llama.cpp's usage counts one choice of several; tokens that are there are believed.
    return prompt, cached, counted if sum(counted) >= generated else _divided(generated, sizes)


def _usage(body: Mapping[str, Any]) -> tuple[int, int, int]:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return 0, 0, 0
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return _count(usage.get("prompt_tokens")), _count(cached), _count(usage.get("completion_tokens"))


def _count(value: Any) -> int:
    """A count of tokens; 0 for what cannot be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS else 0


def _size(choice: Mapping[str, Any] | None) -> int:
    """Bytes of everything a choice generated."""
    if choice is None:
        return 0
    message = choice["message"]
    texts = (message.get("content"), message.get("reasoning_content") or message.get("reasoning"))
    return sum(len(text.encode("utf-8", "replace")) for text in texts if text)


def _divided(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` in whole parts proportional to `sizes`, nothing lost to rounding."""
    whole = sum(sizes) or 1
    edges = [total * sum(sizes[: i + 1]) // whole for i in range(len(sizes))]
    return [end - start for start, end in zip([0, *edges[:-1]], edges, strict=True)]


def _logprobs(choice: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The log-probability of each generated token, None where the server sent none that can be read."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return None
    values = [token.get("logprob") if isinstance(token, dict) else None for token in content]
    known = [float(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    return tuple(known) if len(known) == len(values) else None


def _encodable(text: str) -> str:
    """The text without half characters, which JSON can say and no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
