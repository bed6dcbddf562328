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
from symdistill.sampling import Budget, ResponseStore


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
