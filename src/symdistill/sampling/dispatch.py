"""Asking a model many times: what goes out when, what comes back, and what is written down.

One `Dispatch` is one list of requests on one event loop. Everything happens in `_advance`, once for every call that
comes back: take what it brought, choose what goes out next, write replies, costs and reservations in one transaction,
then let the next calls go. A slot is free again only when what it brought is stored, so a process killed at any moment
has at most `concurrency` calls that nothing knows about. How money is booked stands in `limits`.

The task that had a reply sends the next request itself, before the event loop turns to anything else. Collecting the
replies of one turn of the loop would save transactions, but when many arrive together the server would wait until the
last of them is dealt with.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from symdistill.errors import CallFailed, ServerUnreachable
from symdistill.models.base import LanguageModel
from symdistill.records import Completion, Failure, Request
from symdistill.sampling.books import Books
from symdistill.sampling.calls import Ask, Call, Tally, grouped, shared
from symdistill.sampling.endings import Hopeless, OverBudget, PatienceEnded, Unreachable
from symdistill.sampling.health import Health
from symdistill.sampling.limits import NOTHING, CallLimits, Cost, Pace, Purse, Window
from symdistill.sampling.store import ResponseStore

_LONG_SECONDS = 0.25

Outcome = Sequence[Completion | CallFailed] | BaseException
"""What a call came back with: one outcome a request, or what was raised."""


class Dispatch:
    """Asks `model` for every one of `requests`, in order, and stores what comes.

    `on_turn` is called after every commit, with the tally up to date. When the first `hopeless_after` requests have
    all failed, the rest is not tried; None: every request is.
    """

    def __init__(
        self,
        store: ResponseStore,
        model: LanguageModel,
        requests: Sequence[Request],
        *,
        run: str,
        limits: CallLimits,
        purse: Purse,
        hopeless_after: int | None,
        on_turn: Callable[[], None],
    ) -> None:
        self.tally = Tally()
        self.purse = purse
        self._stops = 0
        self._books = Books(store, run, purse)
        self._model = model
        self._limits = limits
        self._hopeless_after = hopeless_after
        self._on_turn = on_turn
        self._window = Window(model.capacity.concurrency)
        self._pending = deque(grouped(requests, model.capacity))
        self._delayed: list[tuple[float, int, list[Ask]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[Call] = set()
        self._numbers = 0
        self._words = ""
        self._tick_due = False
        self._busy_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._problem: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Return when every request has a reply or a failure in the store, or `stop` was called and all is drained.

        Raises:
            StoreError, AccessDenied, RecordingMissing, PrerequisiteError: as the store and the model raise them.
            OverBudget, PatienceEnded, Hopeless, Unreachable.
            All of them after what was under way is back and stored, or was tried to be.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = loop.create_future()
        self._left: asyncio.Future[None] = loop.create_future()
        now = loop.time()
        limits = self._limits
        self._health = Health(limits, now, random.Random())
        self._calls_pace = Pace(limits.requests_per_minute, now) if limits.requests_per_minute else None
        self._tokens_pace = Pace(limits.tokens_per_minute, now) if limits.tokens_per_minute else None
        self._schedule()
        try:
            await self._done
        finally:
            if self._timer:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            ended = asyncio.gather(*self._tasks, return_exceptions=True)
            either: set[asyncio.Future[Any]] = {ended, self._left}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._problem is not None:
            raise self._problem

    @property
    def under_way(self) -> int:
        """Calls that have left and are not back."""
        return len(self._under_way)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stops > 0

    @property
    def left_behind(self) -> bool:
        """Whether `run` has returned while a call would not be cancelled."""
        return any(not task.done() for task in self._tasks)

    @property
    def pause(self) -> float:
        """Seconds the model wants to be left alone."""
        return self._health.wait(self._now())

    @property
    def turned_away(self) -> tuple[str, float] | None:
        """The server's last words and the seconds since its last reply, while it does nothing but turn calls away."""
        return (self._words, self._health.since_good(self._now())) if self._words else None

    def stop(self) -> None:
        """Let nothing more leave and wait for what is under way.

        The second time, book what is under way as paid for, cancel it, and wait for that alone; the third time, for
        nothing.
        """
        self._stops += 1
        if self._loop is None:  # `run` will see it
            return
        if self._stops == 1:
            self._schedule()
        elif self._stops == 2:
            self._abandon()
        elif not self._left.done():
            self._left.set_result(None)

    # One turn

    def _schedule(self) -> None:
        if not self._tick_due and self._loop:
            self._tick_due = True
            self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        """A turn that no call brought about: the first, one that was waited for, one after `stop`."""
        self._tick_due = False
        for call in self._advance():
            self._launch(call)

    def _came_back(self, call: Call, outcome: Outcome) -> Call | None:
        """The turn of a call that is back. The task that made it makes the one returned."""
        calls = self._advance(call, outcome)
        for more in calls[1:]:
            self._launch(more)
        return calls[0] if calls else None

    def _advance(self, back: Call | None = None, outcome: Outcome = ()) -> list[Call]:
        """Deal with what came back, choose what goes out next, write both down; the calls that may leave now.

        They count as under way from here on: whoever gets them makes them, or ends in `_abandon`.
        """
        if self._done.done():
            return []
        try:
            now = self._now()
            if back is not None:
                self._under_way.discard(back)
                self._take(back, outcome, now)
            calls = self._choose(now)
            if not self._written():
                calls = self._called_off(calls)
            self._under_way.update(calls)
            self._on_turn()
        except BaseException as problem:
            self._problem = problem
            self._done.set_result(None)
            return []
        if not self._under_way and (self._ending or not (self._pending or self._delayed)):
            self._done.set_result(None)
        return calls

    def _written(self) -> bool:
        """Write down what came and what the calls to come may cost. False: the store cannot.

        After a failure what is under way is waited for, and then all of it is tried once more: a disk that was full or
        a file that was locked may be so no longer.
        """
        if self._books.problem and self._under_way:
            return False
        written = self._books.write()
        if not written:
            self._problem = self._books.problem
        return written

    def _called_off(self, calls: list[Call]) -> list[Call]:
        """Nothing may leave whose reservation is not written down."""
        for call in calls:
            for bound in call.bounds:
                self._settle(bound, NOTHING)
        return []

    def _abandon(self) -> None:
        """End now. What is under way has left, and may have been paid for."""
        if self._done.done():
            return
        for call in self._under_way:
            for bound in call.bounds:
                self._settle(bound, bound)
        self._under_way.clear()
        try:
            self._written()
            self._on_turn()
        except BaseException as problem:
            self._problem = problem
        self._done.set_result(None)

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()

    @property
    def _ending(self) -> bool:
        return self.stopped or self._problem is not None

    def _launch(self, call: Call) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._ask(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, first: Call) -> None:
        """Make a call, and those that take its place."""
        call: Call | None = first
        while call is not None:
            outcome: Outcome
            try:
                if self._loop_waits():
                    await asyncio.sleep(0)
                outcome = await self._model.generate([ask.request for ask in call.asks])
            except BaseException as problem:  # none is lost: `_take` settles the call and ends the run where it must
                outcome = problem
            call = self._came_back(call, outcome)

    def _loop_waits(self) -> bool:
        """Whether the event loop has not come around for long: a model that never waits must let signals through."""
        assert self._loop is not None
        now = self._loop.time()
        if self._busy_since is None:
            self._busy_since = now
            self._loop.call_soon(self._came_around)
        return now - self._busy_since > _LONG_SECONDS

    def _came_around(self) -> None:
        self._busy_since = None

    # What goes out

    def _choose(self, now: float) -> list[Call]:
        calls: list[Call] = []
        while self._delayed and self._delayed[0][0] <= now:
            self._pending.appendleft(heapq.heappop(self._delayed)[2])
        wake = self._delayed[0][0] if self._delayed else None
        while self._pending and not self._ending:
            busy = len(self._under_way) + len(calls)
            if busy >= (1 if self._health.gone else self._window.size):
                break
            asks = self._pending[0]
            bounds = [self._bound(ask.request) for ask in asks]
            bound = sum(bounds, NOTHING)
            wait = max(self._health.wait(now), self._pace_wait(bound, now))
            if wait > 0:
                wake = now + wait if wake is None else min(wake, now + wait)
                break
            if not self.purse.fits(bound):
                if busy:  # what is under way may turn out cheaper than reserved
                    break
                if len(asks) == 1:
                    self._problem = OverBudget(dollars=self.purse.over_usd(bound))
                    break
                half = len(asks) // 2
                self._pending.popleft()
                self._pending.extendleft((asks[half:], asks[:half]))
                continue
            self._pending.popleft()
            for part in bounds:
                self.purse.reserve(part)
            if self._calls_pace:
                self._calls_pace.take(1)
            if self._tokens_pace:
                self._tokens_pace.take(bound.tokens)
            calls.append(Call(asks, bounds, now))
        self._wake_at(None if self._ending else wake)
        return calls

    def _bound(self, request: Request) -> Cost:
        return self.purse.cost(self._model.count_tokens(request), request.sampling.max_tokens)

    def _pace_wait(self, bound: Cost, now: float) -> float:
        calls = self._calls_pace.wait(1, now) if self._calls_pace else 0.0
        return max(calls, self._tokens_pace.wait(bound.tokens, now) if self._tokens_pace else 0.0)

    def _settle(self, bound: Cost, cost: Cost, *, on_reply: Cost = NOTHING) -> None:
        self.purse.settle(bound, cost, on_reply=on_reply)
        if self._tokens_pace:
            self._tokens_pace.take(cost.tokens - bound.tokens)

    def _wake_at(self, when: float | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if when is not None and self._loop:
            self._timer = self._loop.call_at(when, self._schedule)

    # What comes back

    def _take(self, call: Call, outcome: Outcome, now: float) -> None:
        """Settle a call that is back: rows for what is final, another place in the queue for the rest."""
        if isinstance(outcome, asyncio.CancelledError):  # not by `stop`: what that cancels is settled already
            outcome = CallFailed("dropped", "the call was cancelled from inside, before there was an answer")
        if isinstance(outcome, ServerUnreachable):
            self._unreachable(call, outcome, now)
            return
        if isinstance(outcome, BaseException) and not isinstance(outcome, CallFailed):
            self._end(call, outcome)
            return
        if not isinstance(outcome, CallFailed) and len(outcome) != len(call.asks):
            outcome = CallFailed("malformed", f"{len(outcome)} replies came to {len(call.asks)} requests")
        outcomes = shared(outcome, len(call.asks)) if isinstance(outcome, CallFailed) else outcome
        again: list[Ask] = []
        later: list[Ask] = []
        failed: list[CallFailed] = []
        for ask, bound, reply in zip(call.asks, call.bounds, outcomes, strict=True):
            if isinstance(reply, Completion):
                self._books.enter(ask.request, self._reply(bound, reply))
                continue
            failed.append(reply)
            if reply.kind in ("rate_limited", "unreachable"):
                self._settle(bound, NOTHING)
                again.append(ask)
            elif self._failed(ask, bound, reply):
                later.append(ask)
        self._learn(call, failed, now)
        if again:
            self._pending.appendleft(again)
        if later:
            self._numbers += 1
            due = now + self._health.backoff(max(ask.tries for ask in later))
            heapq.heappush(self._delayed, (due, self._numbers, later))

    def _reply(self, bound: Cost, reply: Completion) -> Completion:
        told = reply.prompt_tokens or reply.completion_tokens
        cost = self.purse.cost(reply.prompt_tokens, reply.completion_tokens) if told else bound
        self._settle(bound, cost, on_reply=cost if told else Cost(cost.usd, 0))
        self.tally.replies += 1
        self.tally.generated_tokens += reply.completion_tokens
        return reply if reply.cost_usd == cost.usd else replace(reply, cost_usd=cost.usd)

    def _failed(self, ask: Ask, bound: Cost, outcome: CallFailed) -> bool:
        """Book a failed try. True: the request is worth another one."""
        ask.tries += 1
        cost = NOTHING
        if outcome.charged:
            told = outcome.prompt_tokens or outcome.completion_tokens
            cost = self.purse.cost(outcome.prompt_tokens, outcome.completion_tokens) if told else bound
        if outcome.transient and (ask.tries <= self._limits.retries or self._ending):
            self._settle(bound, cost)
            ask.charged += cost
            return True
        whole = ask.charged + cost
        # The earlier tries stand in the ledger; the failure's row takes them over.
        self._settle(bound, cost, on_reply=whole)
        failure = Failure(ask.request.key, outcome.kind, outcome.message, ask.tries, whole.usd, whole.tokens)
        self._books.enter(ask.request, failure)
        self.tally.failures[outcome.kind] += 1
        self.tally.examples.setdefault(outcome.kind, outcome.message)
        enough = self._hopeless_after is not None and self.tally.finished >= self._hopeless_after
        if enough and not self.tally.replies and not self._ending:
            self._problem = Hopeless()
        return False

    def _learn(self, call: Call, failed: list[CallFailed], now: float) -> None:
        """What a call says about the model's health."""
        if len(failed) < len(call.asks):
            self._health.answered(now)
            self._window.succeeded()
            self._words = ""
        for failure in failed:
            if failure.kind == "unreachable":
                if not self._health.unreachable(call.started, now) and not self._ending:
                    self._problem = Unreachable(failure)
                continue
            if failure.kind in ("refused", "rejected"):
                self._health.answered(now)
            self._health.reached()
            if failure.kind == "rate_limited" or failure.retry_after:
                counted = self._window.overloaded(call.started, now)
                self._words = failure.message
                wish = failure.retry_after or None  # "in 0 seconds" is no answer to the question when
                if not self._health.turned_away(now, wish, counted=counted) and not self._ending:
                    self._problem = PatienceEnded(failure.message)
            elif failure.kind == "timeout":
                self._window.overloaded(call.started, now)

    def _unreachable(self, call: Call, problem: ServerUnreachable, now: float) -> None:
        for bound in call.bounds:
            self._settle(bound, NOTHING)
        self._pending.appendleft(call.asks)
        if not self._health.unreachable(call.started, now) and not self._ending:
            self._problem = Unreachable(problem)

    def _end(self, call: Call, problem: BaseException) -> None:
        """The call met something that no other try would help."""
        for bound in call.bounds:
            self._settle(bound, NOTHING)
        if self._problem is None:
            self._problem = problem
