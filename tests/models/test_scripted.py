from __future__ import annotations

import asyncio

import pytest

from symdistill import content
from symdistill.errors import AccessDenied, CallFailed
from symdistill.models import Capacity, ScriptedModel
from symdistill.records import Completion, Message, Request, Sampling


def wanted(question: str = "q", index: int = 0, example: str = "") -> Request:
    return content.request("scripted", (Message("user", question),), Sampling(), index, example)


def answers(model: ScriptedModel, *requests: Request) -> list[Completion | CallFailed]:
    return list(asyncio.run(model.generate(requests)))


def texts(model: ScriptedModel, *requests: Request) -> list[str]:
    return [reply.text if isinstance(reply, Completion) else reply.kind for reply in answers(model, *requests)]


def test_a_function_of_the_request() -> None:
    model = ScriptedModel(lambda request: f"{request.messages[-1].content}{request.sample_index}")
    assert texts(model, wanted("a", 1), wanted("b")) == ["a1", "b0"]


def test_a_function_may_wait() -> None:
    async def script(request: Request) -> str:
        await asyncio.sleep(0)
        return "later"

    assert texts(ScriptedModel(script), wanted()) == ["later"]


def test_replies_in_order_with_failures_in_their_place() -> None:
    model = ScriptedModel(["one", CallFailed("server", "down"), Completion("", "three", finish_reason="length")])
    assert texts(model, wanted(), wanted(), wanted()) == ["one", "server", "three"]
    with pytest.raises(LookupError):
        texts(model, wanted())


def test_a_mapping_by_question_or_example() -> None:
    model = ScriptedModel({"q": "by question", "e7": ["first", "second"]})
    assert texts(model, wanted(), wanted("?", 1, "e7")) == ["by question", "second"]
    with pytest.raises(LookupError):
        texts(model, wanted("unknown"))


def test_an_error_that_ends_the_run_is_raised() -> None:
    with pytest.raises(AccessDenied):
        texts(ScriptedModel([AccessDenied("no key")]), wanted())


def test_replies_carry_the_requests_key_and_their_reasoning_apart() -> None:
    (reply,) = answers(ScriptedModel(["<think>hm</think>seven it is"]), wanted())
    assert isinstance(reply, Completion)
    assert (reply.key, reply.text, reply.reasoning) == (wanted().key, "seven it is", "hm")
    assert (reply.prompt_tokens, reply.completion_tokens) == (1, 3)


def test_it_counts_calls_and_how_many_were_under_way() -> None:
    model = ScriptedModel(lambda request: "x", name="m", capacity=Capacity(2, 4), delay_seconds=0.01)

    async def three() -> None:
        await asyncio.gather(*(model.generate([wanted(str(n))]) for n in range(3)))
        await model.generate([wanted("last"), wanted("last", 1)])
        await model.close()

    asyncio.run(three())
    assert (model.name, model.capacity.batch) == ("m", 4)
    assert (model.calls, len(model.requests), model.in_flight_max, model.in_flight) == (4, 5, 3, 0)
    assert model.closed
