"""Calls that fail: what is tried again, what is written down, and when waiting ends."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from scripted import PRICE, QUICK, SAMPLING, failing, recording_calls, reply, sampled, wanted
from symdistill.errors import AccessDenied, CallFailed, ModelError, ServerUnreachable, StoreError
from symdistill.models import Capacity, ScriptedModel, byte_bound
from symdistill.sampling import Budget, CallLimits, ResponseStore, Sampler


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.mark.parametrize("kind", ["empty", "malformed", "timeout", "dropped", "server"])
def test_what_may_pass_is_tried_again(store, kind):
    script = failing(CallFailed(kind, "no"), CallFailed(kind, "no"))
    outcome, model = sampled(store, script, limits=CallLimits(retries=2, backoff_seconds=0.001))
    assert (outcome.bought, outcome.failures, len(model.requests)) == (8, {}, 24)


@pytest.mark.parametrize("kind", ["empty", "malformed", "timeout", "dropped", "server"])
def test_after_all_tries_the_failure_is_written_down_and_the_rest_goes_on(store, kind):
    requests = wanted()
    bad = requests[3].key

    def script(request):
        return CallFailed(kind, "it broke") if request.key == bad else reply(request)

    outcome, _ = sampled(store, script, requests, limits=CallLimits(retries=2, backoff_seconds=0.001))
    assert outcome.bought == 7
    assert [(f.key, f.kind, f.message, f.attempts) for f in outcome.failures.values()] == [(bad, kind, "it broke", 3)]
    again, model = sampled(store, reply, requests)
    assert (again.bought, again.failures, model.calls) == (1, {}, 1), "the next run asks again"


@pytest.mark.parametrize("kind", ["refused", "rejected"])
def test_what_was_declined_is_not_asked_again_unless_wanted(store, kind):
    requests = wanted()
    bad = requests[3].key
    counts = {"prompt_tokens": 10, "completion_tokens": 5} if kind == "refused" else {}
    refusal = CallFailed(kind, "no", **counts)

    def script(request):
        return refusal if request.key == bad else reply(request)

    outcome, model = sampled(store, script, requests, price=PRICE)
    assert (outcome.bought, len(model.requests)) == (7, 8), "one try"
    failure = outcome.failures[bad]
    assert (failure.kind, failure.attempts) == (kind, 1)
    assert failure.cost_usd == pytest.approx(20 / 1e6 if kind == "refused" else 0)
    assert bad not in outcome.completions
    again, model = sampled(store, reply, requests)
    assert (again.failures, again.bought, model.calls) == ({bad: failure}, 0, 0)
    third, model = sampled(store, reply, requests, retry_failures=True)
    assert (third.failures, third.bought, model.calls) == ({}, 1, 1)


def test_a_whole_call_that_fails_is_shared_by_its_requests(store):
    class Failing(ScriptedModel):
        async def generate(self, requests):
            await super().generate(requests)
            raise CallFailed("refused", "no", prompt_tokens=7, completion_tokens=5)

    requests = wanted(1, 3)
    with (
        Sampler(store, Failing(reply, capacity=Capacity(1, 8)), run="run") as sampler,
        pytest.raises(CallFailed, match="Every request failed") as caught,
    ):
        sampler.sample(requests)
    assert caught.value.kind == "refused"
    assert sum(f.tokens for f in store.failures(r.key for r in requests).values()) == 12
    assert store.spending("run").tokens == 12


def test_a_part_of_a_call_that_fails_is_asked_again_alone(store):
    calls: list[list[tuple[str, int]]] = []
    broken = failing(CallFailed("server", "no"))
    model = recording_calls(calls)(
        lambda request: broken(request) if request.sample_index % 2 else reply(request),
        capacity=Capacity(1, 4, same_prompt=True),
    )
    with Sampler(store, model, run="run", limits=QUICK) as sampler:
        assert sampler.sample(wanted(1, 4)).bought == 4
    assert [[index for _, index in call] for call in calls] == [[0, 1, 2, 3], [1, 3]]


def test_a_model_that_sends_the_wrong_number_of_replies_has_failed(store):
    class Short(ScriptedModel):
        async def generate(self, requests):
            return (await super().generate(requests))[:-1]

    with Sampler(store, Short(reply), run="run", limits=QUICK) as sampler, pytest.raises(CallFailed) as caught:
        sampler.sample(wanted())
    assert caught.value.kind == "malformed"


def test_a_call_that_is_cancelled_from_inside_is_tried_again(store):
    requests = wanted()
    calls = 0

    def script(request):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise asyncio.CancelledError
        return reply(request)

    outcome, _ = sampled(store, script, requests)
    assert (outcome.bought, outcome.failures, calls) == (8, {}, 9)
    assert outcome.tokens == 8 * 15 + byte_bound(requests[0]) + SAMPLING.max_tokens, "it may have been paid for"


class FullDisk(ResponseStore):
    """A store that cannot be written for a while, once it holds replies to write."""

    def __init__(self, path, failing: int) -> None:
        super().__init__(path)
        self.failing = failing

    def add(self, replies, run, **costs):
        if replies and self.failing:
            self.failing -= 1
            raise StoreError("Cannot write: the disk is full.", "Free some space.")
        return super().add(replies, run, **costs)


@pytest.mark.parametrize("failing, kept", [(1, 4), (10, 0)])
def test_when_the_store_cannot_be_written_what_is_under_way_is_waited_for_and_tried_once_more(tmp_path, failing, kept):
    requests = wanted(50)

    async def script(request):
        await asyncio.sleep(0.01 if request is requests[0] else 0.1)
        return reply(request)

    with FullDisk(tmp_path / "store.sqlite", failing) as store:
        model = ScriptedModel(script, capacity=Capacity(4))
        with Sampler(store, model, run="run", budget=Budget(tokens=10**6)) as sampler, pytest.raises(StoreError):
            sampler.sample(requests)
        assert (model.calls, store.stats().replies) == (4, kept), "nothing more left"
        assert store.failing == failing - (1 if kept else 2)
        reserved = 4 * (byte_bound(requests[0]) + SAMPLING.max_tokens)
        assert store.spending("run").tokens == (4 * 15 if kept else reserved)


def test_when_every_request_fails_the_commonest_reason_is_the_error(store):
    kinds = iter(["server", "timeout", "timeout", "server", "timeout", "malformed", "timeout", "empty"])
    with pytest.raises(ModelError, match=r"8 of 8, 4 of them timeout: too slow") as caught:
        sampled(store, lambda r: CallFailed(next(kinds), "too slow"), limits=CallLimits(retries=0))
    assert caught.value.fix
    assert len(store.failures(r.key for r in wanted())) == 8
    with pytest.raises(CallFailed, match="Every request failed"):
        sampled(store, lambda r: CallFailed("refused", "no"))
    with pytest.raises(CallFailed, match="Every request failed") as caught:
        sampled(store, reply)
    assert "retry_failures" in caught.value.fix


def test_a_hopeless_list_is_not_asked_to_its_end(store):
    model = ScriptedModel(lambda r: CallFailed("rejected", "unknown parameter"), capacity=Capacity(4))
    with Sampler(store, model, run="run") as sampler, pytest.raises(CallFailed, match="unknown parameter"):
        sampler.sample(wanted(100, 10))
    assert 50 <= model.calls <= 54


def test_a_list_of_which_some_are_stored_is_not_hopeless(store):
    requests = wanted(40, 2)
    sampled(store, reply, requests[:1])
    outcome, _ = sampled(store, lambda r: CallFailed("rejected", "too long"), requests)
    assert (len(outcome.completions), len(outcome.failures)) == (1, 79)


# Limits of the server


def test_a_429_costs_no_try_and_its_pause_holds_for_the_whole_model(store):
    times: list[float] = []

    def script(request):
        times.append(time.monotonic())
        return CallFailed("rate_limited", "slow down", retry_after=0.3) if len(times) == 1 else reply(request)

    outcome, _ = sampled(store, script, capacity=Capacity(2), limits=CallLimits(retries=0))
    assert (outcome.bought, outcome.failures) == (8, {})
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert sum(pause >= 0.29 for pause in pauses) == 1
    assert len(times) == 9


def test_under_overload_fewer_calls_are_under_way(store):
    """A server that takes four at a time: with sixteen workers most would be turned away, again and again."""
    turned_away = 0

    def script(request):
        nonlocal turned_away
        if model.in_flight > 4:
            turned_away += 1
            return CallFailed("rate_limited", "too many", retry_after=0.005)
        return reply(request)

    model = ScriptedModel(script, capacity=Capacity(16), delay_seconds=0.01)
    with Sampler(store, model, run="run") as sampler:
        assert sampler.sample(wanted(100)).bought == 200
    assert turned_away < 100


def test_patience_with_a_server_that_only_turns_away_ends(store):
    limits = CallLimits(patience_seconds=0.5)
    with pytest.raises(ModelError, match=r"turns calls away.*slow down") as caught:
        sampled(store, lambda r: CallFailed("rate_limited", "slow down", retry_after=0.1), limits=limits)
    assert "0 of 8 replies are stored" in caught.value.fix
    with pytest.raises(ModelError, match="slow down"):
        sampled(store, lambda r: CallFailed("rate_limited", "slow down", retry_after=9999))


@pytest.mark.parametrize(
    "limits",
    [
        CallLimits(requests_per_minute=600),  # ten at once, then one every tenth of a second
        CallLimits(tokens_per_minute=600 * (byte_bound(wanted()[0]) + SAMPLING.max_tokens)),
    ],
)
def test_rates_a_minute_are_kept(store, limits):
    most = byte_bound(wanted()[0])
    started = time.monotonic()
    sampled(store, lambda r: reply(r, most, SAMPLING.max_tokens), wanted(7, 2), limits=limits)
    assert time.monotonic() - started >= 0.35


def test_tokens_that_were_not_used_may_be_used_by_others(store):
    """Replies far below their bound: sixty would take six seconds if bounds counted."""
    bound = byte_bound(wanted()[0]) + SAMPLING.max_tokens
    started = time.monotonic()
    sampled(store, lambda r: reply(r, 1, 0), wanted(9, 7), limits=CallLimits(tokens_per_minute=600 * bound))
    assert time.monotonic() - started < 4


# Servers that are not there, and keys that are not right


@pytest.mark.parametrize(
    "error",
    [
        CallFailed("unreachable", "cannot connect to http://127.0.0.1:9/v1 (connection refused)"),
        ServerUnreachable("cannot connect to http://127.0.0.1:9/v1 (connection refused)"),
    ],
)
def test_a_server_that_is_not_there_is_one_clear_error(store, error):
    sampled(store, reply, wanted()[:3])
    with pytest.raises(ServerUnreachable) as caught:
        sampled(store, lambda r: error)
    said = str(caught.value)
    assert said.startswith("Cannot reach the teacher at http://127.0.0.1:9/v1 (connection refused). Is the server")
    assert said.endswith("Nothing was lost: 3 of 8 replies are stored.")
    assert store.failures(r.key for r in wanted()) == {}, "nothing is the requests' fault"


def test_a_server_that_comes_back_loses_nothing(store):
    count = 0
    refused = CallFailed("unreachable", "cannot connect to x (connection refused)")

    def script(request):
        nonlocal count
        count += 1
        return refused if 4 <= count <= 6 else reply(request)

    outcome, _ = sampled(store, script, capacity=Capacity(2), limits=CallLimits(retries=0, reconnect_seconds=10))
    assert (outcome.bought, outcome.failures) == (8, {})


@pytest.mark.parametrize("error", [AccessDenied("The key was refused.", "Set ANOTHER_KEY."), ModelError("It broke.")])
def test_errors_that_no_other_try_would_help_end_at_once(store, error):
    calls = 0

    def script(request):
        nonlocal calls
        calls += 1
        return error if calls == 3 else reply(request)

    with pytest.raises(type(error)) as caught:
        sampled(store, script, wanted(50), capacity=Capacity(2))
    assert calls <= 4
    assert caught.value.message == error.message
    assert "replies are stored" in caught.value.fix
