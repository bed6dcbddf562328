"""Asking a model many times: what goes out when, what comes back, and what is written down.

One `Dispatch` is one list of requests on one event loop. Everything happens in `_turn`, once for every call that comes
back: take what it brought, choose what goes out next, write replies, costs and reservations in one transaction, then
let the next calls go. A slot is free again only when what it brought is stored, so a process killed at any moment has
at most `concurrency` calls that nothing knows about.

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

from symdistill.errors import CallFailed, ServerUnreachable
from symdistill.models.base import LanguageModel
from symdistill.records import Completion, Failure, Request
from symdistill.sampling.calls import Ask, Call, Tally, grouped, shared
from symdistill.sampling.health import Health
from symdistill.sampling.limits import NOTHING, CallLimits, Cost, Pace, Purse, Window
from symdistill.sampling.store import ResponseStore

_LONG_SECONDS = 0.25

Row = tuple[Request, Completion | Failure]
Outcome = Sequence[Completion | CallFailed] | BaseException
"""What a call came back with: one outcome a request, or what was raised."""


class OverBudget(Exception):
    """The next call does not fit the budget, and nothing under way can make room. `dollars`: the one in dollars."""

    def __init__(self, *, dollars: bool) -> None:
        super().__init__(dollars)
        self.dollars = dollars


class PatienceEnded(Exception):
    """The server has done nothing but turn calls away for too long. Holds its last words."""


class Hopeless(Exception):
    """Every request so far has failed."""


class Unreachable(Exception):
    """Nothing answers at the model's address. Holds the last failure."""

    def __init__(self, failure: CallFailed | ServerUnreachable) -> None:
        super().__init__(str(failure))
        self.failure = failure


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
        self.stopped = False
        self._store = store
        self._model = model
        self._run = run
        self._limits = limits
        self._hopeless_after = hopeless_after
        self._on_turn = on_turn
        self._window = Window(model.capacity.concurrency)
        self._pending = deque(grouped(requests, model.capacity))
        self._delayed: list[tuple[float, int, list[Ask]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._numbers = 0
        self._turn_due = False
        self._busy_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._problem: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> None:
        """Return when every request has a reply or a failure in the store, or `stop` was called and all is drained.

        Raises:
            StoreError, AccessDenied, RecordingMissing, PrerequisiteError: as the store and the model raise them.
            OverBudget, PatienceEnded, Hopeless, Unreachable: after what was under way is back and stored.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = loop.create_future()
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
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._problem is not None:
            raise self._problem

    @property
    def under_way(self) -> int:
        """Calls that have left and are not back."""
        return self._under_way

    @property
    def pause(self) -> float:
        """Seconds the model wants to be left alone."""
        return self._health.wait(self._now())

    def stop(self) -> None:
        """Let nothing more leave and wait for what is under way; called again, wait for nothing."""
        if self.stopped:
            for task in self._tasks:
                task.cancel()
        self.stopped = True
        self._schedule()

    # One turn

    def _schedule(self) -> None:
        if not self._turn_due and self._loop:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self, back: Call | None = None, outcome: Outcome = ()) -> Call | None:
        """Deal with what came back and let the next calls go; the task that was back makes the one returned."""
        if back is None:
            self._turn_due = False
        if self._done.done():
            return None
        mine: Call | None = None
        try:
            now = self._now()
            rows: list[Row] = []
            if back is not None:
                self._under_way -= 1
                self._take(back, outcome, rows, now)
            calls = self._choose(now)
            unwritten = self.purse.unwritten()
            if rows or unwritten != NOTHING:
                self._store.add(rows, self._run, usd=unwritten.usd, tokens=unwritten.tokens)
            self._under_way += len(calls)
            if back is not None and calls:
                mine = calls.pop(0)
            for call in calls:
                self._launch(call)
            self._on_turn()
        except BaseException as problem:
            self._problem = problem
            self._done.set_result(None)
            return None
        if not self._under_way and (self._ending or not (self._pending or self._delayed)):
            self._done.set_result(None)
        return mine

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
                outcome = await self._model.generate([ask.request for ask in call.asks])
            except BaseException as problem:  # none is lost: `_take` settles the call and ends the run where it must
                outcome = problem
            call = self._turn(call, outcome)
            if self._loop_waits():
                await asyncio.sleep(0)

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
            busy = self._under_way + len(calls)
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

    def _take(self, call: Call, outcome: Outcome, rows: list[Row], now: float) -> None:
        """Settle a call that is back: rows for what is final, another place in the queue for the rest."""
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
                rows.append((ask.request, self._reply(bound, reply)))
                continue
            failed.append(reply)
            if reply.kind in ("rate_limited", "unreachable"):
                self._settle(bound, NOTHING)
                again.append(ask)
            elif self._failed(ask, bound, reply, rows):
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
        # Where the server does not say what a reply took, it is booked at its upper bound.
        cost = self.purse.cost(reply.prompt_tokens, reply.completion_tokens) if told else bound
        self._settle(bound, cost, on_reply=cost if told else Cost(cost.usd, 0))
        self.tally.replies += 1
        self.tally.generated_tokens += reply.completion_tokens
        return reply if reply.cost_usd == cost.usd else replace(reply, cost_usd=cost.usd)

    def _failed(self, ask: Ask, bound: Cost, outcome: CallFailed, rows: list[Row]) -> bool:
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
        rows.append((ask.request, failure))
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
        """The call ended the whole: cancelled, or something that no other try would help."""
        unknown = isinstance(problem, asyncio.CancelledError)  # it had left, and may have been paid for
        for bound in call.bounds:
            self._settle(bound, bound if unknown else NOTHING)
        if not unknown and self._problem is None:
            self._problem = problem
