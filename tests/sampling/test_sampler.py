"""The sampler over a scripted model: what is asked, what is kept, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from scripted import PRICE, SAMPLING, Told, recording_calls, reply, sampled, wanted
from symdistill import content
from symdistill.errors import CallFailed, Interrupted, StoreError
from symdistill.models import Capacity, ScriptedModel
from symdistill.records import Message
from symdistill.sampling import ResponseStore, Sampler
from symdistill.sampling.prices import FREE


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


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


def test_a_server_that_turns_calls_away_again_and_again_is_told_of(store, monkeypatch):
    """Short pauses, none of which is worth a word, add up to a wait that nobody would understand."""
    monkeypatch.setattr("symdistill.sampling.meter._NOTED_SECONDS", 0.2)
    told = Told()

    def script(request):
        if not told.notes:
            return CallFailed("rate_limited", "429 slow down", retry_after=0.05)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        return CallFailed("rate_limited", "429 slow down", retry_after=0.05)

    with pytest.raises(Interrupted, match="turning calls away: 429 slow down"):
        sampled(store, script, capacity=Capacity(1), progress=told)
    assert told.notes[0].startswith("The teacher has turned calls away for 0:00 (429 slow down)")
    assert len([note for note in told.notes if "turned calls away" in note]) == 1, "not at every try"


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (
            "rejected",
            "1 failed, 1 of them rejected: too long. 1 are not asked again unless `teacher.retry_failures: true`.",
        ),
        ("server", "1 failed, 1 of them server: too long. 1 are asked again when the command runs again."),
    ],
)
def test_why_some_failed_is_said_and_whether_they_are_asked_again(store, kind, ends):
    requests = wanted(5)

    def script(request):
        return CallFailed(kind, "too long.") if request.key == requests[2].key else reply(request)

    for again in (False, True):
        told = Told()
        if again and kind == "server":
            break
        sampled(store, script, requests, price=PRICE, progress=told)
        assert told.notes[-1].strip() == ends, "again where nothing is asked any more"
    if kind == "rejected":
        told = Told()
        sampled(store, script, requests, price=FREE, progress=told)
        assert "retry_failures" not in told.notes[-1]
