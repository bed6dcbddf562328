"""The sampler over a scripted model: what is asked, what is kept, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill import content
from symdistill.errors import (
    AccessDenied,
    BudgetExhausted,
    CallFailed,
    ConfigError,
    Interrupted,
    ModelError,
    ServerUnreachable,
    StoreError,
)
from symdistill.models import Capacity, Price, ScriptedModel, byte_bound
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling import Budget, CallLimits, ResponseStore, Sampler, estimate
from symdistill.sampling.prices import FREE

SAMPLING = Sampling(temperature=0.7, max_tokens=20)
QUICK = CallLimits(backoff_seconds=0.001, reach_seconds=0.4, reconnect_seconds=0.8)
PRICE = Price(input=1.0, output=2.0)


def wanted(questions: int = 4, samples: int = 2):
    return [
        content.request("scripted", [Message("user", f"question {q}")], SAMPLING, s)
        for q in range(questions)
        for s in range(samples)
    ]


def reply(request, prompt: int = 10, generated: int = 5) -> Completion:
    return Completion(request.key, f"reply {request.sample_index}", prompt_tokens=prompt, completion_tokens=generated)


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


def sampled(store, script, requests=None, *, capacity=None, delay=0.0, **options):
    """Sample once with a model of its own; the outcome and the model."""
    model = ScriptedModel(script, capacity=capacity, delay_seconds=delay)
    options = {"run": "run", "limits": QUICK, **options}
    with Sampler(store, model, **options) as sampler:
        return sampler.sample(wanted() if requests is None else requests), model


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None, int]] = []
        self.count = 0
        self.facts: dict[str, str] = {}
        self.notes: list[str] = []
        self.summary = ""

    def start(self, stage, total=None, done=0):
        self.started.append((stage, total, done))

    def advance(self, count=1, **facts):
        self.count += count
        self.facts |= facts

    def note(self, text):
        self.notes.append(text)

    def finish(self, summary=""):
        self.summary = summary


# Plan, subtract, run the rest


def test_everything_is_bought_once_and_then_never_again(store):
    requests = wanted()
    first, _ = sampled(store, reply, requests, price=PRICE)
    assert (first.planned, first.stored, first.bought) == (8, 0, 8)
    assert list(first.completions) == [r.key for r in requests]
    assert first.tokens == 8 * 15
    assert first.usd == pytest.approx(8 * (10 + 2 * 5) / 1e6)
    assert first.completions[requests[0].key].cost_usd == pytest.approx(20 / 1e6)
    again, model = sampled(store, reply, requests, price=PRICE)
    assert (again.planned, again.stored, again.bought, again.usd, again.tokens) == (8, 8, 0, 0.0, 0)
    assert again.completions == first.completions
    assert model.calls == 0


def test_only_what_is_missing_is_asked_for_and_each_once(store):
    requests = wanted()
    sampled(store, reply, requests[:3])
    outcome, model = sampled(store, reply, [*requests, *requests[::-1]])
    assert (outcome.planned, outcome.stored, outcome.bought) == (8, 3, 5)
    assert [r.key for r in model.requests] == [r.key for r in requests[3:]]


def test_nothing_to_ask_is_fine(store):
    outcome, model = sampled(store, reply, [])
    assert (outcome.planned, outcome.completions, model.calls) == (0, {}, 0)


def test_a_request_for_another_model_is_a_mistake_of_the_program(store):
    other = content.request("other", [Message("user", "q")], SAMPLING)
    with pytest.raises(ValueError, match="another model"):
        sampled(store, reply, [other])


def recording_calls(calls):
    """A model that notes which requests came in one call."""

    class Noting(ScriptedModel):
        async def generate(self, requests):
            calls.append([(r.messages[0].content, r.sample_index) for r in requests])
            return await super().generate(requests)

    return Noting


@pytest.mark.parametrize(
    "capacity, expected",
    [
        (Capacity(1, 1), [[0], [1], [2], [3], [4], [5]]),
        (Capacity(1, 4), [[0, 1, 2, 3], [4, 5]]),
        (Capacity(1, 2, same_prompt=True), [[0, 3], [1, 4], [2, 5]]),
        (Capacity(1, 8, same_prompt=True), [[0, 3], [1, 4], [2, 5]]),
    ],
)
def test_requests_are_put_into_calls_as_the_model_wants_them(store, capacity, expected):
    requests = [r for sample in range(2) for r in wanted(3, 2) if r.sample_index == sample]
    calls: list[list[tuple[str, int]]] = []
    model = recording_calls(calls)(reply, capacity=capacity)
    with Sampler(store, model, run="run") as sampler:
        sampler.sample(requests)
    names = [(r.messages[0].content, r.sample_index) for r in requests]
    assert [[names.index(name) for name in call] for call in calls] == expected


def test_as_many_calls_are_under_way_as_allowed(store):
    _, model = sampled(store, reply, wanted(20), capacity=Capacity(7), delay=0.01)
    assert model.in_flight_max == 7


def test_the_model_is_closed_with_the_sampler_and_closing_twice_is_allowed(store):
    model = ScriptedModel(reply)
    with Sampler(store, model, run="run") as sampler:
        sampler.sample(wanted())
        assert not model.closed
    assert model.closed
    sampler.close()


# Failures


def failing(*failures, then=reply):
    """Fail each request with these, one try after another, then answer."""
    tries: dict[str, int] = {}

    def script(request):
        tries[request.key] = tries.get(request.key, 0) + 1
        number = tries[request.key] - 1
        return failures[number] if number < len(failures) else then(request)

    return script


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
    refusal = CallFailed(kind, "no", prompt_tokens=10, completion_tokens=5)

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


# Budgets


def test_a_budget_in_dollars_needs_a_price(store):
    with pytest.raises(ConfigError, match="price") as caught:
        Sampler(store, ScriptedModel(reply), run="run", budget=Budget(usd=1.0))
    assert "teacher.price" in caught.value.fix


def bound_usd(request) -> float:
    return (byte_bound(request) + 2 * request.sampling.max_tokens) / 1e6


def test_a_budget_stops_before_it_is_passed_and_says_so(store):
    requests = wanted()
    budget = 3 * 20 / 1e6 + bound_usd(requests[0])
    with pytest.raises(BudgetExhausted) as caught:
        sampled(store, reply, requests, capacity=Capacity(3), price=PRICE, budget=Budget(usd=budget))
    spent = store.spending("run").usd
    assert budget - bound_usd(requests[0]) < spent <= budget
    bought = len(store.completions(r.key for r in requests))
    assert bought == 4
    assert f"{bought} of 8 replies are stored" in caught.value.message
    assert "would be passed by the next reply (spent $0.00008)" in caught.value.message
    assert "teacher.budget_usd" in caught.value.fix


def test_a_budget_in_tokens(store):
    with pytest.raises(BudgetExhausted) as caught:
        sampled(store, reply, capacity=Capacity(1), budget=Budget(tokens=100))
    assert str(caught.value) == (
        "The budget of 100 tokens would be passed by the next reply (spent 45). 3 of 8 replies are stored. "
        "Raise `teacher.budget_tokens` and run again."
    )


def test_earlier_processes_of_a_run_count_and_other_runs_do_not(store):
    requests = wanted()
    budget = Budget(tokens=100)
    with pytest.raises(BudgetExhausted):
        sampled(store, reply, requests, budget=budget)
    before = store.spending("run").tokens
    with pytest.raises(BudgetExhausted):
        sampled(store, reply, requests, budget=budget)
    assert store.spending("run").tokens == before
    outcome, _ = sampled(store, reply, requests, run="other", budget=Budget(tokens=1000))
    assert len(outcome.completions) == 8


def test_calls_that_may_have_been_charged_count_at_their_upper_bound(store):
    request = wanted()[0]
    most = byte_bound(request) + SAMPLING.max_tokens
    script = failing(CallFailed("timeout", "slow"), CallFailed("dropped", "gone"), CallFailed("server", "oops"))
    outcome, _ = sampled(store, script, [request], price=PRICE)
    assert outcome.tokens == 2 * most + 15
    assert store.spending("run").tokens == 2 * most + 15
    assert store.spending("run").usd == pytest.approx(2 * bound_usd(request) + 20 / 1e6)
    assert outcome.completions[request.key].cost_usd == pytest.approx(20 / 1e6)


def test_a_failure_carries_what_all_its_tries_may_have_cost(store):
    requests = wanted()[:2]
    most = byte_bound(requests[0]) + SAMPLING.max_tokens

    def script(request):
        return reply(request) if request is requests[1] else CallFailed("timeout", "slow")

    outcome, _ = sampled(store, script, requests, price=PRICE, limits=CallLimits(retries=2, backoff_seconds=0.001))
    failure = outcome.failures[requests[0].key]
    assert (failure.attempts, failure.tokens) == (3, 3 * most)
    assert failure.cost_usd == pytest.approx(3 * bound_usd(requests[0]))
    assert store.spending("run").tokens == 3 * most + 15


def test_a_reply_without_token_counts_is_booked_at_its_upper_bound(store):
    request = wanted()[0]
    outcome, _ = sampled(store, lambda r: Completion(r.key, "5"), [request], price=PRICE)
    most = byte_bound(request) + SAMPLING.max_tokens
    assert outcome.tokens == store.spending("run").tokens == most
    assert outcome.completions[request.key].cost_usd == pytest.approx(bound_usd(request))
    assert outcome.completions[request.key].completion_tokens == 0


def test_calls_too_large_for_the_rest_of_a_budget_are_cut_in_pieces(store):
    requests = wanted(1, 8)
    most = byte_bound(requests[0]) + SAMPLING.max_tokens
    budget = Budget(tokens=3 * most)
    model = ScriptedModel(lambda r: reply(r, most, 0), capacity=Capacity(1, 8, same_prompt=True))
    with Sampler(store, model, run="run", budget=budget) as sampler, pytest.raises(BudgetExhausted):
        sampler.sample(requests)
    assert len(store.completions(r.key for r in requests)) == 3
    assert model.calls == 2, "eight and four do not fit, two and one do"


@given(
    seed=st.integers(0, 10**6),
    concurrency=st.integers(1, 8),
    batch=st.integers(1, 4),
    budget_tokens=st.integers(0, 3000),
    in_dollars=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_no_budget_is_ever_passed(tmp_path_factory, seed, concurrency, batch, budget_tokens, in_dollars):
    """Whatever calls cost and however they fail, what was paid never passes the budget, and the store knows it."""
    chance = random.Random(seed)
    requests = wanted(10, 2)
    paid = 0.0
    price = Price(input=1e6, output=1e6) if in_dollars else Price(input=0, output=0)
    budget = Budget(usd=float(budget_tokens)) if in_dollars else Budget(tokens=budget_tokens)

    async def script(request):
        nonlocal paid
        await asyncio.sleep(chance.random() * 0.002)
        prompt = chance.randint(1, byte_bound(request))
        generated = chance.randint(0, SAMPLING.max_tokens)
        kind = chance.choice(["reply"] * 6 + ["timeout", "refused", "server", "rate_limited"])
        if kind == "reply":
            paid += prompt + generated
            return reply(request, prompt, generated)
        if kind == "refused":
            paid += prompt + generated
            return CallFailed("refused", "no", prompt_tokens=prompt, completion_tokens=generated)
        if kind == "timeout":
            paid += prompt + generated  # the server worked all the same
        return CallFailed(kind, "no", retry_after=0.001 if kind == "rate_limited" else None)

    with ResponseStore(tmp_path_factory.mktemp("budget") / "store.sqlite") as store:
        model = ScriptedModel(script, capacity=Capacity(concurrency, batch))
        limits = CallLimits(retries=2, backoff_seconds=0.001)
        with Sampler(store, model, run="run", limits=limits, budget=budget, price=price) as sampler:
            for _ in range(2):
                try:
                    outcome = sampler.sample(requests)
                    assert len(outcome.completions) + len(outcome.failures) == len(requests)
                except (BudgetExhausted, CallFailed):
                    pass
                spent = store.spending("run")
                booked = spent.usd if in_dollars else spent.tokens
                assert paid - 1e-6 <= booked <= budget_tokens


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


def test_a_fault_of_the_program_is_not_taken_for_the_models(store):
    def script(request):
        if request.sample_index:
            raise TypeError("a bug")
        return reply(request)

    with pytest.raises(TypeError, match="a bug"):
        sampled(store, script)
    with pytest.raises(ZeroDivisionError):
        sampled(store, reply, progress=type("Broken", (Told,), {"advance": lambda self, *a, **k: 1 / 0})())


def test_a_store_that_cannot_be_written_ends_the_run(store, tmp_path):
    def script(request):
        if request.sample_index:
            store.close()
        return reply(request)

    with pytest.raises(StoreError):
        sampled(store, script)
    with ResponseStore(tmp_path / "store.sqlite") as again:
        assert again.verify().sound


# Stopping


def interrupting(after: int, *signals: int):
    """Send this process the signals, 20 ms apart, when `after` requests have arrived."""
    count = 0

    async def script(request):
        nonlocal count
        count += 1
        if count == after:
            for number in signals:
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.05 if len(signals) == 1 else 30)
        return reply(request)

    return script


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_says_what_is_stored(store, number):
    told = Told()
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        sampled(store, interrupting(6, number), wanted(50), capacity=Capacity(4), progress=told)
    stored = store.stats().replies
    assert 4 <= stored <= 8
    assert caught.value.message == f"Stopped. {stored} of 100 replies are stored and paid for."
    assert caught.value.exit_code == 130
    assert any("once more to stop at once" in note for note in told.notes)
    assert signal.getsignal(number) is before
    outcome, model = sampled(store, reply, wanted(50), capacity=Capacity(4))
    assert (outcome.stored, model.calls) == (stored, 100 - stored), "what came back while draining was kept"


def test_a_second_signal_does_not_wait_and_books_what_was_under_way(store):
    started = time.monotonic()
    script = interrupting(3, signal.SIGINT, signal.SIGINT)
    with pytest.raises(Interrupted, match=r"0 of 100"):
        sampled(store, script, wanted(50), capacity=Capacity(4), price=PRICE, budget=Budget(usd=1.0))
    assert time.monotonic() - started < 10
    most = byte_bound(wanted()[0]) + SAMPLING.max_tokens
    assert store.spending("run").tokens == 4 * most


def test_a_signal_during_a_pause_ends_it(store):
    def script(request):
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        return CallFailed("rate_limited", "in ten minutes", retry_after=600)

    started = time.monotonic()
    with pytest.raises(Interrupted):
        sampled(store, script, capacity=Capacity(1))
    assert time.monotonic() - started < 10


def test_a_signal_that_comes_when_all_is_done_changes_nothing(store):
    requests = wanted()
    outcome, _ = sampled(store, interrupting(8, signal.SIGINT), requests, capacity=Capacity(8))
    assert outcome.bought == 8


def test_sampling_works_in_a_thread_and_inside_a_running_loop(store):
    requests = wanted(6)
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(sampled(store, reply, requests[:4])[0]))
    thread.start()
    thread.join()
    assert outcomes[0].bought == 4

    async def notebook():
        return sampled(store, reply, requests)[0]

    assert asyncio.run(notebook()).bought == 8


def test_a_sampler_may_be_used_again_and_from_another_thread(store):
    requests = wanted(3)
    with Sampler(store, ScriptedModel(reply), run="run") as sampler:
        sampler.sample(requests[:2])
        thread = threading.Thread(target=sampler.sample, args=(requests[:4],))
        thread.start()
        thread.join()
        assert sampler.sample(requests).stored == 4


# Reporting


def test_progress_counts_and_shows_rate_cost_and_failures(store):
    told = Told()
    requests = wanted(30)
    sampled(store, reply, requests[:10])

    def script(request):
        return CallFailed("refused", "no") if request.key == requests[20].key else reply(request)

    sampled(store, script, requests, capacity=Capacity(4), delay=0.03, price=PRICE, progress=told)
    assert told.started == [("teacher", 60, 10)]
    assert told.count == 50
    assert told.facts["rate"].endswith(" replies/s")
    assert told.facts["tokens"].endswith(" tok/s")
    assert told.facts["cost"].startswith("$0.00")
    assert told.facts["failed"] == "1"
    assert "left" in told.facts
    assert told.summary.startswith("59 of 60 replies in the store, 1 failed, 49 bought, $0.00")
    sampled(store, reply, requests[:10], progress=told)
    assert told.started[-1] == ("teacher", 10, 10)
    assert told.summary == "10 of 10 replies in the store, 0 to buy, $0.00"


def test_replies_of_a_model_that_runs_here_are_not_called_bought(store):
    told = Told()
    sampled(store, reply, wanted(3), price=FREE, progress=told)
    assert told.summary == "6 of 6 replies in the store, 6 new"


def test_a_long_pause_is_said_once(store):
    told = Told()

    def script(request):
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        return CallFailed("rate_limited", "later", retry_after=60)

    with pytest.raises(Interrupted):
        sampled(store, script, capacity=Capacity(3), progress=told)
    assert told.notes == ["The teacher does not answer right now; trying again in 60 s."]


@pytest.mark.parametrize("price", [None, PRICE])
def test_an_estimate_before_any_call(store, price):
    requests = wanted()
    model = ScriptedModel(reply)
    fresh = estimate(requests, None, model, price=price)
    most = byte_bound(requests[0]) + SAMPLING.max_tokens
    assert (fresh.planned, fresh.stored, fresh.to_buy, fresh.most_tokens) == (8, 0, 8, 8 * most)
    assert (fresh.expected_tokens, fresh.expected_usd) == (None, None)
    assert fresh.most_usd == (None if price is None else pytest.approx(8 * bound_usd(requests[0])))
    sampled(store, reply, requests[:4])
    half = estimate(requests, store, model, price=price)
    assert (half.stored, half.to_buy, half.most_tokens, half.expected_tokens) == (4, 4, 4 * most, 4 * 15)
    assert half.expected_usd == (None if price is None else pytest.approx(4 * 20 / 1e6))
    sampled(store, lambda r: CallFailed("refused", "no"), requests)
    done = estimate(requests, store, model, price=price)
    assert (done.given_up, done.to_buy, done.most_tokens, done.expected_tokens) == (4, 0, 0, 0)
    assert estimate(requests, store, model, price=price, retry_failures=True).to_buy == 4
    assert model.calls == 0
