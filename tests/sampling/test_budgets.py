"""What may be spent: budgets in dollars and tokens hold, whatever fails."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted import PRICE, SAMPLING, bound_usd, failing, reply, sampled, wanted
from symdistill.errors import BudgetExhausted, CallFailed, ConfigError
from symdistill.models import Capacity, Price, ScriptedModel, byte_bound
from symdistill.models.openai_replies import completions_from
from symdistill.records import Completion
from symdistill.sampling import Budget, CallLimits, ResponseStore, Sampler


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


def test_a_budget_in_dollars_needs_a_price(store):
    with pytest.raises(ConfigError, match="price") as caught:
        Sampler(store, ScriptedModel(reply), run="run", budget=Budget(usd=1.0))
    assert "teacher.price" in caught.value.fix


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


@pytest.mark.parametrize("budget", [Budget(), Budget(usd=1.0)])
def test_a_reply_that_another_run_stored_first_is_booked_all_the_same(store, budget):
    def overtaken(request):
        store.add([(request, reply(request))], "faster")
        return reply(request)

    outcome, _ = sampled(store, overtaken, price=PRICE, budget=budget)
    spent = store.spending("run")
    assert (outcome.bought, outcome.tokens) == (8, 120)
    assert (spent.tokens, spent.calls) == (120, 0)
    assert spent.usd == pytest.approx(8 * 20 / 1e6)
    assert store.spending("faster").calls == 8


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 9}, {"prompt_tokens": 2**64, "completion_tokens": 1}])
def test_a_server_that_does_not_count_is_booked_at_the_upper_bound(store, usage):
    choices = [{"message": {"content": "1 2 3 4 5 6 7 8 9"}, "finish_reason": "stop"}]
    body = json.dumps({"choices": choices, "usage": usage}).encode()
    requests = wanted()
    outcome, _ = sampled(store, lambda r: completions_from(body, [r], 0.1)[0], requests, price=PRICE)
    most = sum(byte_bound(r) + SAMPLING.max_tokens for r in requests)
    assert outcome.tokens == store.spending("run").tokens == most
    assert store.spending("run").usd == pytest.approx(sum(map(bound_usd, requests)))


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
    """Whatever calls cost and however they fail, what was paid never passes the budget, and the store knows it.

    What each try of a request comes to is drawn beforehand; when it comes back, and with it whether the budget was
    spent just then, is up to the clock. So either ending may be the right one, and each is held to its own terms. A
    budget that surely ends a run, and one that does not, stand in the tests above.
    """
    requests = wanted(10, 2)
    most = byte_bound(requests[0]) + SAMPLING.max_tokens
    tries = Counter()
    paid = 0
    price = Price(input=1e6, output=1e6) if in_dollars else Price(input=0, output=0)
    budget = Budget(usd=float(budget_tokens)) if in_dollars else Budget(tokens=budget_tokens)

    async def script(request):
        nonlocal paid
        tries[request.key] += 1
        chance = random.Random(f"{seed} {request.key} {tries[request.key]}")
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
                except BudgetExhausted:
                    outcome = None
                spent = store.spending("run")
                booked = spent.usd if in_dollars else spent.tokens
                assert paid - 1e-6 <= booked <= budget_tokens
                replies = store.completions(r.key for r in requests)
                if outcome is None:
                    assert len(replies) < len(requests)
                    assert booked + most > budget_tokens - 1e-6, "the next reply might have passed it"
                else:
                    assert outcome.completions == replies
                    assert len(replies) + len(outcome.failures) == len(requests)
