"""Bodies no server should send, and some that real ones do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill import content
from symdistill.errors import CallFailed
from symdistill.models.openai_replies import completions_from
from symdistill.records import Completion, Message, Request, Sampling


def wanted(count: int = 1) -> list[Request]:
    asked = Sampling(logprobs=True)
    return [content.request("m", (Message("user", "12345678"),), asked, index) for index in range(count)]


def read(body: Any, count: int = 1) -> list[Completion | CallFailed]:
    return completions_from(body if isinstance(body, bytes) else json.dumps(body).encode(), wanted(count), 1.5)


def choice(text: Any = "7", **other: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, **other}


@pytest.mark.parametrize(
    "body, kind",
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b"null", "malformed"),
        ({}, "malformed"),
        ({"choices": None}, "malformed"),
        ({"choices": {"0": choice()}}, "malformed"),
        ({"choices": ["text"]}, "malformed"),
        ({"choices": [{"text": "7"}]}, "malformed"),
        ({"choices": [choice(7)]}, "malformed"),
        ({"choices": []}, "empty"),
        ({"error": {"message": "upstream", "code": 502}}, "server"),
        ({"error": {"message": "slow down", "code": 429}}, "rate_limited"),
        ({"error": "text"}, "server"),
    ],
)
def test_a_body_that_is_no_completion(body: Any, kind: str) -> None:
    with pytest.raises(CallFailed) as failed:
        read(body)
    assert failed.value.kind == kind
    assert len(failed.value.message) < 300


@pytest.mark.parametrize(
    "message, finish, kind",
    [
        ({"content": None}, "stop", "empty"),
        ({"content": " \n"}, "stop", "empty"),
        ({}, None, "empty"),
        ({"content": None, "refusal": "No."}, "stop", "refused"),
        ({"content": "Half an ans"}, "content_filter", "refused"),
        ({"content": "Half an ans"}, "error", "server"),
        ({"content": None}, "tool_calls", "empty"),
    ],
)
def test_a_choice_that_is_no_answer(message: dict[str, Any], finish: str | None, kind: str) -> None:
    (outcome,) = read({"choices": [{"message": message, "finish_reason": finish}]})
    assert isinstance(outcome, CallFailed)
    assert outcome.kind == kind


@pytest.mark.parametrize(
    "message, finish, text, reasoning, reason",
    [
        ({"content": ""}, "length", "", None, "length"),
        ({"content": None, "reasoning_content": "hm"}, "length", "", "hm", "length"),
        ({"content": "", "reasoning_content": "hm"}, "stop", "", "hm", "stop"),
        ({"content": "7", "reasoning": "hm", "refusal": None}, "stop", "7", "hm", "stop"),
        *(
            ({"content": "7", "reasoning_content": ""}, end, "7", None, "stop")
            for end in (None, "", "eos", "end_turn", "STOP", "stop_sequence", "tool_calls")
        ),
        *(
            ({"content": "Half an ans"}, cut, "Half an ans", None, "length")
            for cut in ("length", "max_tokens", "model_length", "MAX_TOKENS", "recitation", 7, {"type": "stop"})
        ),
        ({"content": "a \ud83d b é"}, "stop", "a \ufffd b é", None, "stop"),
    ],
)
def test_a_choice_that_is_one(
    message: dict[str, Any], finish: Any, text: str, reasoning: str | None, reason: str
) -> None:
    (reply,) = read({"choices": [{"message": message, "finish_reason": finish}]})
    assert isinstance(reply, Completion)
    assert (reply.text, reply.reasoning, reply.finish_reason) == (text, reasoning, reason)
    assert reply.seconds == 1.5


def test_a_word_for_the_end_that_nobody_knows_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        read({"choices": [{"message": {"content": "7"}, "finish_reason": "vanished"}]})
    assert caplog.text.count("vanished") == 1


def test_choices_go_by_their_index() -> None:
    replies = read({"choices": [choice("second", index=1), choice("first", index=0)]}, 2)
    assert [reply.text for reply in replies if isinstance(reply, Completion)] == ["first", "second"]


@pytest.mark.parametrize(
    "usage, prompt, cached, generated",
    [
        ({"prompt_tokens": 9, "completion_tokens": 4}, 9, 0, 4),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}, 9, 8, 4),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}, 9, 0, 4),
        ({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 5}, 9, 5, 4),
        ({"prompt_tokens": 9, "completion_tokens": 10**9}, 9, 0, 10**9),
        ({"prompt_tokens": None, "completion_tokens": "4"}, 0, 0, 0),
        ({"prompt_tokens": 9, "completion_tokens": 2**64}, 0, 0, 0),
        ({"prompt_tokens": True, "completion_tokens": 4}, 0, 0, 0),
        ({"prompt_tokens": 9}, 0, 0, 0),
        ({"completion_tokens": 4}, 0, 0, 0),
        (None, 0, 0, 0),
        ([], 0, 0, 0),
    ],
)
def test_what_was_used(usage: Any, prompt: int, cached: int, generated: int) -> None:
    (reply,) = read({"choices": [choice("1234567890")], "usage": usage})
    assert isinstance(reply, Completion)
    assert (reply.prompt_tokens, reply.cached_prompt_tokens, reply.completion_tokens) == (prompt, cached, generated)


def test_a_calls_tokens_are_divided_and_none_is_lost() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 10}
    replies = read({"choices": [choice("x" * n, index=i) for i, n in enumerate((5, 1, 1))], "usage": usage}, 3)
    assert [reply.prompt_tokens for reply in replies] == [9, 0, 0]
    counts = [reply.completion_tokens for reply in replies]
    assert sum(counts) == 10
    assert counts[0] >= 7


def test_tokens_go_by_their_log_probabilities_where_there_are_any() -> None:
    logprobs = {"content": [{"logprob": -0.5}] * 3}, {"content": [{"logprob": -1}]}
    choices = [choice("same", index=i, logprobs=found) for i, found in enumerate(logprobs)]
    replies = read({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 4}}, 2)
    assert [reply.completion_tokens for reply in replies] == [3, 1]
    assert [reply.token_logprobs for reply in replies if isinstance(reply, Completion)] == [(-0.5,) * 3, (-1.0,)]


@pytest.mark.parametrize("found", [None, {}, {"content": None}, {"content": [{"logprob": None}]}, {"content": ["x"]}])
def test_log_probabilities_that_cannot_be_read_are_none(found: Any) -> None:
    (reply,) = read({"choices": [choice(logprobs=found)]})
    assert isinstance(reply, Completion)
    assert reply.token_logprobs is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.fixed_dictionaries({"choices": st.lists(st.fixed_dictionaries({"message": JSON, "index": JSON}))}) | JSON)
def test_no_body_raises_anything_but_a_failed_call(body: Any) -> None:
    try:
        outcomes = read(body, 2)
    except CallFailed:
        return
    assert len(outcomes) == 2


@given(
    JSON.map(lambda value: {"message": {"content": "7"}, "logprobs": value, "finish_reason": value}),
    JSON,
)
def test_odd_fields_beside_an_answer_leave_it_readable(found: dict[str, Any], usage: Any) -> None:
    (reply,) = read({"choices": [found], "usage": usage})
    assert min(reply.prompt_tokens, reply.completion_tokens) >= 0
