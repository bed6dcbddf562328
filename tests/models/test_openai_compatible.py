"""Every way a server can answer, or fail to, over both ways of asking it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loopback import LoopbackServer
from symdistill import content
from symdistill.errors import AccessDenied, CallFailed, ConfigError, PrerequisiteError
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.models.openai_wires import SdkWire, Wire, wire_to
from symdistill.records import Completion, Message, Request, Sampling

KEY = "sk-Zebra0123456789"
QUESTION = (Message("system", "Think."), Message("user", "What is 3 + 4?"))
ASKED = Sampling(temperature=0.7, max_tokens=64)

OpenWire = Callable[[str, str, int], Wire]


@pytest.fixture(params=[wire_to, SdkWire], ids=["plain", "sdk"])
def open_wire(request: pytest.FixtureRequest) -> OpenWire:
    found: OpenWire = request.param
    return found


def requests(count: int = 1, sampling: Sampling = ASKED) -> list[Request]:
    return [content.request("openai:loopback", QUESTION, sampling, index) for index in range(count)]


def ask(server: LoopbackServer, open_wire: OpenWire = wire_to, *, sent: list[Request] | None = None, **options: Any):
    """The outcomes of one call; an error that ends the call is its only outcome."""

    async def call() -> list[Any]:
        options.setdefault("timeout_seconds", 20.0)
        options.setdefault("samples_per_call", len(sent or [1]))
        model = OpenAICompatibleModel("loopback", base_url=server.base_url, api_key=KEY, open_wire=open_wire, **options)
        try:
            return list(await model.generate(sent or requests()))
        except (CallFailed, AccessDenied) as error:
            return [error]
        finally:
            await model.close()

    return asyncio.run(call())


@pytest.mark.parametrize(
    "plan, kind, retry_after",
    [
        ("429=7", "rate_limited", 7.0),
        ("429=0.25", "rate_limited", 0.25),
        ("429-ms=1500", "rate_limited", 1.5),
        ("429", "rate_limited", None),
        ("503=3", "server", 3.0),
        ("500", "server", None),
        ("529", "server", None),
        ("error200", "server", None),
        ("408", "timeout", None),
        ("reset", "dropped", None),
        ("drop", "dropped", None),
        ("truncated", "malformed", None),
        ("html", "malformed", None),
        ("list", "malformed", None),
        ("empty", "empty", None),
        ("blank", "empty", None),
        ("refusal", "refused", None),
        ("filter", "refused", None),
        ("400", "rejected", None),
        ("413", "rejected", None),
        ("422", "rejected", None),
    ],
)
def test_a_fault_has_its_kind(open_wire: OpenWire, plan: str, kind: str, retry_after: float | None) -> None:
    with LoopbackServer(plan=plan) as server:
        (outcome,) = ask(server, open_wire)
    assert isinstance(outcome, CallFailed)
    assert (outcome.kind, outcome.retry_after) == (kind, retry_after)
    assert len(server.calls) == 1, "the model itself must not try again"


def test_a_date_to_come_back_at_is_seconds_from_now(open_wire: OpenWire) -> None:
    with LoopbackServer(plan="429-date=300") as server:
        (outcome,) = ask(server, open_wire)
    assert outcome.kind == "rate_limited"
    assert 200 < outcome.retry_after <= 300


def test_a_server_that_never_answers_is_a_timeout(open_wire: OpenWire) -> None:
    with LoopbackServer(plan="hang") as server:
        (outcome,) = ask(server, open_wire, timeout_seconds=0.5)
    assert outcome.kind == "timeout"
    assert outcome.charged


def test_nobody_listening_is_unreachable_and_costs_nothing(open_wire: OpenWire) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = LoopbackServer(port=unused.getsockname()[1])
        (outcome,) = ask(server, open_wire)
    assert outcome.kind == "unreachable"
    assert not outcome.charged
    assert server.base_url in outcome.message


def test_a_name_that_does_not_resolve_is_unreachable(open_wire: OpenWire) -> None:
    async def call() -> None:
        model = OpenAICompatibleModel("m", base_url="http://nowhere.invalid/v1", open_wire=open_wire)
        with pytest.raises(CallFailed) as failed:
            await model.generate(requests())
        assert failed.value.kind == "unreachable"
        await model.close()

    asyncio.run(call())


@pytest.mark.parametrize("plan, part", [("401", "MY_KEY"), ("403", "MY_KEY"), ("402", "credit"), ("quota", "credit")])
def test_no_access_ends_the_run(open_wire: OpenWire, plan: str, part: str) -> None:
    with LoopbackServer(plan=plan) as server:
        (outcome,) = ask(server, open_wire, key_variable="MY_KEY")
    assert isinstance(outcome, AccessDenied)
    assert part in str(outcome)


def test_an_unknown_model_is_told_what_the_server_offers(open_wire: OpenWire) -> None:
    with LoopbackServer(plan="404", models=("llama-3", "qwen-3")) as server:
        (outcome,) = ask(server, open_wire)
    assert isinstance(outcome, AccessDenied)
    assert "'loopback'" in outcome.message
    assert "llama-3, qwen-3" in outcome.fix


def test_the_key_appears_nowhere(open_wire: OpenWire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with LoopbackServer(key="another") as server:
        (outcome,) = ask(server, open_wire)
    assert KEY.encode() in server.calls[0].headers, "the key goes to the server"
    assert isinstance(outcome, AccessDenied)
    shown = [str(outcome), repr(outcome), caplog.text, repr(OpenAICompatibleModel("m", api_key=KEY))]
    assert not [text for text in shown if KEY in text]


def test_a_plain_answer(open_wire: OpenWire) -> None:
    with LoopbackServer(reply=lambda prompt, seed: f"{prompt} 7.") as server:
        (reply,) = ask(server, open_wire)
    (request,) = requests()
    assert replace(reply, seconds=0.0) == Completion(
        request.key,
        "What is 3 + 4? 7.",
        prompt_tokens=6,
        completion_tokens=5,
        cached_prompt_tokens=3,
    )
    assert reply.seconds > 0
    assert server.calls[0].body == {
        "model": "loopback",
        "messages": [{"role": "system", "content": "Think."}, {"role": "user", "content": "What is 3 + 4?"}],
        "max_tokens": 64,
        "temperature": 0.7,
        "top_p": 1.0,
        "seed": content.sample_seed(request.key),
    }


def test_what_differs_from_the_defaults_is_sent(open_wire: OpenWire) -> None:
    sampling = Sampling(temperature=1.0, max_tokens=9, top_p=0.9, top_k=20, stop=("\n\n", "Q:"), logprobs=True)
    with LoopbackServer() as server:
        (reply,) = ask(server, open_wire, sent=requests(1, sampling))
    body = server.calls[0].body
    assert {k: body[k] for k in ("temperature", "max_tokens", "top_p", "top_k", "stop", "logprobs")} == {
        "temperature": 1.0,
        "max_tokens": 9,
        "top_p": 0.9,
        "top_k": 20,
        "stop": ["\n\n", "Q:"],
        "logprobs": True,
    }
    assert set(reply.token_logprobs) == {-0.25}
    assert "n" not in body


def test_log_probabilities_are_not_kept_unasked() -> None:
    with LoopbackServer() as server:
        (reply,) = ask(server)
    assert reply.token_logprobs is None


def test_one_call_brings_several_samples(open_wire: OpenWire) -> None:
    with LoopbackServer() as server:
        replies = ask(server, open_wire, sent=requests(4))
    assert [call.body["n"] for call in server.calls] == [4]
    assert [reply.key for reply in replies] == [request.key for request in requests(4)]
    assert len({reply.text for reply in replies}) == 4
    assert [reply.prompt_tokens for reply in replies] == [6, 0, 0, 0], "the prompt was read, and is paid for, once"
    counted = sum(len(reply.text) for reply in replies) // 4 + 4
    assert sum(reply.completion_tokens for reply in replies) == counted


def test_samples_of_one_call_must_share_their_prompt() -> None:
    other = content.request("openai:loopback", QUESTION[1:], ASKED)
    model = OpenAICompatibleModel("loopback", base_url="http://127.0.0.1:9/v1", samples_per_call=2)
    with pytest.raises(ValueError, match="share"):
        asyncio.run(model.generate([*requests(), other]))


def test_a_server_that_ignores_n_leaves_the_others_empty() -> None:
    with LoopbackServer() as server:
        server.plan = ""
        replies = ask(server, sent=requests(3), extra={"n": 1})
    assert isinstance(replies[0], Completion)
    assert [reply.kind for reply in replies[1:]] == ["empty", "empty"]


@pytest.mark.parametrize(
    "plan, reasoning, text_part, finish",
    [
        ("ok", None, "the answer is", "stop"),
        ("length", None, "Step", "length"),
        ("reasoning", "Let me think.", "the answer is", "stop"),
        ("reasoning2", "Let me think.", "the answer is", "stop"),
        ("think", "Let me think.", "the answer is", "stop"),
        ("unclosed", "Let me think and", "", "length"),
    ],
)
def test_reasoning_is_kept_apart(plan: str, reasoning: str | None, text_part: str, finish: str) -> None:
    with LoopbackServer(plan=plan) as server:
        (reply,) = ask(server)
    assert (reply.reasoning, reply.finish_reason) == (reasoning, finish)
    assert text_part in reply.text
    assert "think" not in reply.text.lower()


def test_tokens_are_not_made_up_where_the_server_does_not_count() -> None:
    with LoopbackServer(plan="no-usage") as server:
        (reply,) = ask(server)
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)


def test_what_a_refusal_cost_is_told() -> None:
    with LoopbackServer(plan="refusal") as server:
        (outcome,) = ask(server)
    assert outcome.prompt_tokens == 6
    assert outcome.completion_tokens > 0
    assert "cannot help" in outcome.message


@pytest.mark.parametrize(
    "plan, gone, instead", [("no-seed*9", "seed", "temperature"), ("no-limit*9", "max_tokens", "max_completion_tokens")]
)
def test_a_parameter_the_server_minds_is_left_out_for_good(
    open_wire: OpenWire, plan: str, gone: str, instead: str
) -> None:
    async def call(server: LoopbackServer) -> None:
        model = OpenAICompatibleModel("loopback", base_url=server.base_url, open_wire=open_wire)
        for _ in range(2):
            (reply,) = await model.generate(requests())
            assert isinstance(reply, Completion)
        await model.close()

    with LoopbackServer(plan=plan) as server:
        asyncio.run(call(server))
    assert [gone in call.body for call in server.calls] == [True, False, False]
    assert instead in server.calls[-1].body


def test_calls_at_once_share_a_few_kept_connections(open_wire: OpenWire) -> None:
    async def call(server: LoopbackServer) -> None:
        model = OpenAICompatibleModel("loopback", base_url=server.base_url, concurrency=8, open_wire=open_wire)
        for _ in range(5):
            await asyncio.gather(*(model.generate([request]) for request in requests(8)))
        await model.close()

    with LoopbackServer(delay=0.02) as server:
        asyncio.run(call(server))
    assert server.served == 40
    assert server.in_flight_max == 8
    assert server.connections <= 16


def test_a_model_can_be_asked_from_one_event_loop_after_another(open_wire: OpenWire) -> None:
    with LoopbackServer() as server:
        model = OpenAICompatibleModel("loopback", base_url=server.base_url, open_wire=open_wire)
        for _ in range(2):
            assert asyncio.run(model.generate(requests()))
        assert server.served == 2


def test_a_call_that_is_cancelled_leaves_the_next_its_own_answer(open_wire: OpenWire) -> None:
    other = content.request("openai:loopback", (Message("user", "What is 5 + 5?"),), ASKED)

    async def call(server: LoopbackServer) -> str:
        model = OpenAICompatibleModel("loopback", base_url=server.base_url, concurrency=1, open_wire=open_wire)
        slow = asyncio.create_task(model.generate(requests()))
        while not server.calls:
            await asyncio.sleep(0.01)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        (reply,) = await model.generate([other])
        await model.close()
        assert isinstance(reply, Completion)
        return reply.text

    with LoopbackServer(plan="slow=0.3", reply=lambda prompt, seed: prompt) as server:
        assert asyncio.run(call(server)) == "What is 5 + 5?"


def test_the_official_service_hears_the_words_it_knows(caplog: pytest.LogCaptureFixture) -> None:
    bodies = []

    class Heard:
        def __init__(self, address: str, key: str, concurrency: int) -> None:
            assert address == "https://api.openai.com/v1"

        async def chat(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
            bodies.append(dict(body))
            return 200, {}, b'{"choices": [{"message": {"content": "7"}}]}'

        async def models(self) -> list[str]:
            return []

        async def close(self) -> None: ...

    model = OpenAICompatibleModel("gpt-x", api_key=KEY, open_wire=Heard)
    for sampling in (
        Sampling(temperature=1.0, top_k=5, max_tokens=7),
        Sampling(temperature=0.5, max_tokens=7),
        Sampling(temperature=0.5, top_k=5, max_tokens=7),
    ):
        asyncio.run(model.generate(requests(1, sampling)))
    assert caplog.text.count("takes no `top_k`") == 1, "it is left out there, and that is said once"
    assert model.name == "openai:gpt-x"
    assert [set(body) - {"model", "messages", "seed"} for body in bodies] == [
        {"max_completion_tokens"},
        {"max_completion_tokens", "temperature"},
        {"max_completion_tokens", "temperature"},
    ]


def test_what_a_backend_usually_says_gives_way_to_the_request() -> None:
    for top_k in (0, 20):
        with LoopbackServer() as server:
            ask(server, sent=requests(1, Sampling(top_k=top_k)), defaults={"top_k": 0, "min_p": 0.0})
        assert {k: server.calls[0].body[k] for k in ("top_k", "min_p")} == {"top_k": top_k, "min_p": 0.0}


@pytest.mark.parametrize("base_url", ["127.0.0.1:8080", "ftp://x/v1", "http://", "http://x:99999/v1", "nonsense"])
def test_an_address_that_is_none(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAICompatibleModel("m", base_url=base_url)


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\r\nX-Evil: 1", "schlüssel"])
def test_a_key_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(PrerequisiteError, match="MY_KEY") as refused:
        OpenAICompatibleModel("m", api_key=key, key_variable="MY_KEY")
    assert key not in str(refused.value)


def test_a_password_in_the_address_is_not_shown() -> None:
    model = OpenAICompatibleModel("m", base_url="http://user:secret@host:8080/v1")
    assert model.address == "http://host:8080/v1"
    assert "secret" not in repr(model)
