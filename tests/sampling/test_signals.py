"""Ctrl-C and SIGTERM: what is under way is kept, and it is said what is stored."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from scripted import PRICE, SAMPLING, Told, reply, sampled, wanted
from symdistill.errors import CallFailed, Interrupted
from symdistill.models import Capacity, byte_bound
from symdistill.sampling import Budget, ResponseStore, Sampler


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


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


class Busy:
    """A model that never lets the event loop come around, and that signals meet at one moment of its n-th call."""

    name = "scripted"
    capacity = Capacity(3)

    def __init__(self, moment: str, number: int, times: int) -> None:
        self._left = {moment: number}
        self._times = times

    def _meet(self, moment: str) -> None:
        self._left[moment] = self._left.get(moment, 0) - 1
        if self._left[moment] == 0:
            time.sleep(0.3)  # so long that the next call gives way to the event loop before it leaves
            for _ in range(self._times):
                signal.raise_signal(signal.SIGINT)

    def count_tokens(self, request):
        self._meet("choosing")
        return byte_bound(request)

    async def generate(self, requests):
        self._meet("answering")
        return [reply(request) for request in requests]

    async def close(self):
        pass


@pytest.mark.timeout(30)
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment, number", [("choosing", 1), ("choosing", 7), ("answering", 1), ("answering", 7)])
def test_signals_end_it_at_any_moment_and_leave_no_reservation(store, moment, number, times):
    budget = Budget(tokens=10**6)
    with Sampler(store, Busy(moment, number, times), run="run", budget=budget) as sampler, pytest.raises(Interrupted):
        sampler.sample(wanted(200))
    most = byte_bound(wanted()[0]) + SAMPLING.max_tokens
    booked = store.spending("run").tokens - 15 * store.stats().replies
    assert booked in [most * calls for calls in range(1 if times == 1 else Busy.capacity.concurrency + 1)]


@pytest.mark.timeout(30)
def test_a_third_signal_does_not_wait_for_a_call_that_cannot_be_cancelled(store):
    async def stubborn(request):
        asyncio.get_running_loop().call_later(0.02, signal.raise_signal, signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="0 of 8"):
        sampled(store, stubborn, capacity=Capacity(1))


def test_a_fourth_signal_means_what_it_always_does(store):
    def script(request):
        for _ in range(4):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sampled(store, script, capacity=Capacity(1))


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
