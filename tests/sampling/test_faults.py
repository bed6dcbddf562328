"""The sampler against a server of the OpenAI protocol that fails in every way servers do."""

from __future__ import annotations

import socket
import time

import pytest

from loopback import LoopbackServer
from symdistill import content
from symdistill.errors import AccessDenied, CallFailed, ServerUnreachable
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.records import Message, Sampling
from symdistill.sampling import CallLimits, ResponseStore, Sampler

QUICK = CallLimits(retries=2, backoff_seconds=0.01, reach_seconds=1.0, reconnect_seconds=1.0)


def wanted(count: int = 8):
    sampling = Sampling(temperature=0.7, max_tokens=64)
    return [content.request("openai:loopback", [Message("user", f"question {i}")], sampling) for i in range(count)]


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


def sampled(store, base_url, requests=None, *, limits=QUICK, timeout=30.0, concurrency=4, **options):
    model = OpenAICompatibleModel("loopback", base_url=base_url, concurrency=concurrency, timeout_seconds=timeout)
    with Sampler(store, model, run="run", limits=limits, **options) as sampler:
        return sampler.sample(requests or wanted())


def always(step: str, prompt: str = "question 3"):
    """A plan in which one question fares badly, however often it is asked."""
    return lambda number, body: step if body["messages"][-1]["content"] == prompt else "ok"


@pytest.mark.parametrize(
    "step, kind, tries",
    [
        ("500", "server", 3),
        ("502", "server", 3),
        ("503=0.05", "server", 3),
        ("hang", "timeout", 3),
        ("drop", "dropped", 3),
        ("reset", "dropped", 3),
        ("truncated", "malformed", 3),
        ("html", "malformed", 3),
        ("list", "malformed", 3),
        ("empty", "empty", 3),
        ("blank", "empty", 3),
        ("refusal", "refused", 1),
        ("filter", "refused", 1),
        ("400", "rejected", 1),
        ("422", "rejected", 1),
    ],
)
def test_a_fault_that_lasts_becomes_a_typed_failure_and_the_rest_goes_on(store, step, kind, tries):
    requests = wanted()
    with LoopbackServer(plan=always(step)) as server:
        outcome = sampled(store, server.base_url, requests, timeout=1.0 if step == "hang" else 30.0)
        asked = sum(call.prompt == "question 3" for call in server.calls)
    assert outcome.bought == 7
    assert [(f.key, f.kind, f.attempts) for f in outcome.failures.values()] == [(requests[3].key, kind, tries)]
    assert asked == tries
    assert requests[3].key not in outcome.completions


@pytest.mark.parametrize("step", ["429=0.05", "429", "429-ms=50", "500", "hang", "drop", "reset", "truncated", "empty"])
def test_a_fault_that_passes_costs_no_reply(store, step):
    with LoopbackServer(plan=f"ok*2,{step}") as server:
        outcome = sampled(store, server.base_url, timeout=1.0 if step == "hang" else 30.0)
        assert (outcome.bought, outcome.failures) == (8, {})
        assert len(server.calls) == 9


def test_retry_after_is_honoured_by_all_calls(store):
    with LoopbackServer(plan="429=1,ok") as server:
        started = time.monotonic()
        outcome = sampled(store, server.base_url, concurrency=1)
        assert time.monotonic() - started >= 1.0
        assert (outcome.bought, len(server.calls)) == (8, 9)


def test_a_server_that_takes_few_at_a_time_is_not_stormed(store):
    with LoopbackServer(delay=0.02, limit=4) as server:
        outcome = sampled(store, server.base_url, wanted(150), concurrency=16, limits=CallLimits(retries=0))
        assert (outcome.bought, outcome.failures) == (150, {})
        assert len(server.calls) < 300


@pytest.mark.parametrize("step", ["401", "403", "404", "quota"])
def test_a_refused_key_or_name_ends_the_run_at_once(store, step):
    with LoopbackServer(plan=f"ok*3,{step}*100") as server:
        with pytest.raises(AccessDenied) as caught:
            sampled(store, server.base_url, wanted(50))
        assert len(server.calls) <= 10
    assert "Nothing was lost: 3 of 50 replies are stored" in caught.value.fix
    assert store.stats().replies == 3
    assert store.stats().failures == {}


def test_a_request_nobody_accepts_ends_in_the_servers_words(store):
    with LoopbackServer(plan="400*100") as server, pytest.raises(CallFailed, match="status 400 as planned"):
        sampled(store, server.base_url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_dead_server_is_one_clear_error_soon(store):
    started = time.monotonic()
    base_url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(ServerUnreachable) as caught:
        sampled(store, base_url, limits=CallLimits())
    assert 2.5 < time.monotonic() - started < 20
    assert caught.value.message == f"Cannot reach the teacher at {base_url} (connection refused)."
    assert "Is the server running?" in caught.value.fix
    assert "0 of 8 replies are stored" in caught.value.fix
    assert store.stats().failures == {}


def test_a_server_that_dies_in_the_middle_leaves_what_was_bought(store):
    with LoopbackServer(delay=0.2, lifetime=2.0) as server, pytest.raises(ServerUnreachable) as caught:
        sampled(store, server.base_url, wanted(100))
    stored = store.stats().replies
    assert 1 <= stored <= server.served <= 40
    assert server.served - stored <= 4
    assert f"Nothing was lost: {stored} of 100 replies are stored." in caught.value.fix


def test_a_server_that_is_started_late_is_found(store):
    port = free_port()
    requests = wanted()
    base_url = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(ServerUnreachable):
        sampled(store, base_url, requests)
    with LoopbackServer(port=port) as server:
        assert sampled(store, server.base_url, requests).bought == 8


def test_what_a_reply_took_is_kept(store):
    request = wanted(1)[0]
    with LoopbackServer(plan="reasoning") as server:
        outcome = sampled(store, server.base_url, [request])
    reply = outcome.completions[request.key]
    assert reply.reasoning == "Let me think."
    assert reply.prompt_tokens > reply.cached_prompt_tokens > 0
    assert reply.completion_tokens > 0
    assert reply.seconds > 0
    assert store.completions([request.key])[request.key] == reply
