"""The one door to a model: plan, subtract what is stored, ask for the rest, go on where the last process stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from symdistill.errors import (
    TRANSIENT,
    BudgetExhausted,
    CallFailed,
    ConfigError,
    FailureKind,
    Interrupted,
    ModelError,
    ServerUnreachable,
)
from symdistill.models.base import LanguageModel
from symdistill.models.settings import Price
from symdistill.progress import Progress, Silent
from symdistill.records import Completion, Failure, Request
from symdistill.sampling.dispatch import Dispatch
from symdistill.sampling.endings import Hopeless, OverBudget, PatienceEnded, Unreachable
from symdistill.sampling.limits import Budget, CallLimits, Cost, Purse
from symdistill.sampling.loops import outside_loops
from symdistill.sampling.meter import Meter, dollars
from symdistill.sampling.prices import FREE
from symdistill.sampling.signals import stop_signals
from symdistill.sampling.store import ResponseStore

_HOPELESS = 50
"""Where no reply is stored yet and this many requests have all failed, the rest is not tried."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """The outcome of one `sample`.

    `completions` and `failures` are by request key, in the order of the requests. Of `planned` different requests,
    `stored` had a reply before and `bought` got one now; `usd` and `tokens` are what this call of `sample` has spent,
    tries that brought nothing included.
    """

    completions: dict[str, Completion]
    failures: dict[str, Failure]
    planned: int
    stored: int
    bought: int
    usd: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests by what is to be done about them."""

    requests: dict[str, Request]
    completions: dict[str, Completion]
    given_up: dict[str, Failure]
    to_ask: list[Request]


def plan(requests: Sequence[Request], store: ResponseStore | None, *, retry_failures: bool = False) -> Plan:
    """Subtract what the store holds, and what a model has declined for good unless `retry_failures`."""
    wanted = {request.key: request for request in requests}
    completions = store.completions(wanted) if store else {}
    missing = [key for key in wanted if key not in completions]
    given_up: dict[str, Failure] = {}
    if store and not retry_failures:
        given_up = {key: f for key, f in store.failures(missing).items() if f.kind not in TRANSIENT}
    return Plan(wanted, completions, given_up, [wanted[key] for key in missing if key not in given_up])


class Sampler:
    """Asks `model`, keeps every reply in `store`, and never asks twice for what is there.

    `run` names whose spending counts against `budget`: that of earlier processes with the same name does. `price` is
    the model's (see `prices.price_of`), None when unknown. The model is asked inside `turn`, which may wait until
    another process that asks under the same name has done so. `told` hears of every reply that is given out. A
    sampler owns an event loop; close it when done, which also closes the model.

    Raises:
        ConfigError: a budget in dollars for a model whose price is unknown.
    """

    def __init__(
        self,
        store: ResponseStore,
        model: LanguageModel,
        *,
        run: str,
        limits: CallLimits | None = None,
        budget: Budget | None = None,
        price: Price | None = None,
        retry_failures: bool = False,
        progress: Progress | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        told: Callable[[Mapping[str, Completion]], None] = lambda _: None,
    ) -> None:
        self._turn = turn
        self._told_of = told
        self._store = store
        self._model = model
        self._run = run
        self._limits = limits or CallLimits()
        self._budget = budget or Budget()
        self._price = price
        self._retry_failures = retry_failures
        self._progress = progress or Silent()
        if self._budget.usd is not None and price is None:
            raise ConfigError(
                f"`teacher.budget_usd` is set, but the price of {model.name} is not known.",
                "Set `teacher.price` to {input: …, output: …} in dollars for a million tokens.",
            )
        self._runner = asyncio.Runner()
        self._closed = False
        self._left_behind = False
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the model and the event loop. Closing twice is allowed."""
        with self._one_at_a_time:
            if self._closed:
                return
            self._closed = True
            if self._left_behind:  # a call that cannot be cancelled would be waited for
                self._runner.get_loop().close()
                return
            try:
                self._await(self._model.close())
            finally:
                outside_loops(self._runner.close)

    def sample(self, requests: Sequence[Request], *, stage: str = "teacher") -> Sampled:
        """A reply or a failure for every request.

        Requests that fail after all tries are written down as failures and the rest goes on. Ctrl-C and SIGTERM (in
        the main thread) let calls under way finish; a second one cancels them, a third one does not even wait for that.

        Raises:
            Interrupted: stopped by a signal. What was finished is stored.
            BudgetExhausted: the next call might pass the budget. It was not made.
            ServerUnreachable, AccessDenied, RecordingMissing, PrerequisiteError: no call would succeed.
            ModelError: every single request failed, or the server turned calls away for too long.
            StoreError: the replies cannot be kept.
        """
        if any(request.model != self._model.name for request in requests):
            raise ValueError(f"a request names another model than {self._model.name!r}")
        with self._one_at_a_time:
            planned = plan(requests, self._store, retry_failures=self._retry_failures)
            if planned.to_ask:
                with self._turn():
                    planned = plan(requests, self._store, retry_failures=self._retry_failures)
                    if planned.to_ask:  # nobody bought it in the meantime
                        return self._ask(planned, stage)
        self._progress.start(stage, len(planned.requests), len(planned.requests))
        self._progress.finish(f"{_summary(planned, 0, len(planned.given_up))}, 0 to buy, $0.00")
        _refuse_nothing(planned.requests, planned.completions, planned.given_up)
        self._note_failures(planned.given_up)
        self._told_of(planned.completions)
        return _sampled(planned, planned.completions, planned.given_up, Cost())

    def _ask(self, planned: Plan, stage: str) -> Sampled:
        before = self._store.spending(self._run)
        purse = Purse(self._budget, self._price, Cost(before.usd, before.tokens))
        done = len(planned.completions) + len(planned.given_up)
        meter = Meter(self._progress, len(planned.to_ask), priced=self._price is not None)

        def show() -> None:
            now = time.monotonic()
            meter.show(dispatch.tally, purse.spent.usd - before.usd, now)
            if (away := dispatch.turned_away) is not None:
                meter.turned_away(*away, self._limits.patience_seconds, now)
            meter.waiting(dispatch.pause, now)

        dispatch = Dispatch(
            self._store,
            self._model,
            planned.to_ask,
            run=self._run,
            limits=self._limits,
            purse=purse,
            hopeless_after=None if planned.completions else _HOPELESS,
            on_turn=show,
        )
        loop = self._runner.get_loop()

        def drain() -> None:
            if not dispatch.stopped and dispatch.under_way:
                self._progress.note(f"Stopping when {dispatch.under_way} calls are back; once more to stop at once.")
            dispatch.stop()

        def stop() -> None:
            loop.call_soon_threadsafe(drain)

        self._progress.start(stage, len(planned.requests), done)
        try:
            with stop_signals(stop):
                self._await(dispatch.run())
        except (OverBudget, PatienceEnded, Hopeless, Unreachable) as problem:
            raise self._told(problem, planned, dispatch) from None
        except ModelError as problem:
            stored = len(planned.completions) + dispatch.tally.replies
            if stored:
                problem.fix = f"{problem.fix} {_kept(stored, len(planned.requests))}".strip()
            raise
        finally:
            self._left_behind |= dispatch.left_behind
            spent = Cost(purse.spent.usd - before.usd, purse.spent.tokens - before.tokens)
            meter.show(dispatch.tally, spent.usd, None)
            stored = len(planned.completions) + dispatch.tally.replies
            failures = len(planned.given_up) + dispatch.tally.failures.total()
            cost = f", {dollars(spent.usd)}" if self._price is not None else ""
            got = dispatch.tally.replies
            outcome = f"{got:,} new" if self._price == FREE else f"{got:,} bought{cost}"
            self._progress.finish(f"{_summary(planned, got, failures)}, {outcome}")
        completions = self._store.completions(planned.requests)
        left = [key for key in planned.requests if key not in completions]
        failures_now = self._store.failures(left)
        if dispatch.stopped and dispatch.tally.finished < len(planned.to_ask):
            away = f" The teacher was turning calls away: {dispatch.turned_away[0]}." if dispatch.turned_away else ""
            raise Interrupted(
                f"Stopped. {stored:,} of {len(planned.requests):,} replies are stored and paid for.{away}",
                "Continue with the same command.",
            )
        _refuse_nothing(planned.requests, completions, failures_now)
        self._note_failures(failures_now)
        self._told_of(completions)
        return _sampled(planned, completions, failures_now, spent)

    def _note_failures(self, failures: dict[str, Failure]) -> None:
        """Say why some requests have no reply, and whether they are asked again."""
        if not failures:
            return
        kind, count, example = _commonest(failures)
        final = sum(failure.kind not in TRANSIENT for failure in failures.values())
        said = f"{len(failures):,} failed, {count:,} of them {kind}: {example}."
        if final and self._price != FREE:  # a student's are wrong answers, and nobody's to repeat
            said += f" {final:,} are not asked again unless `teacher.retry_failures: true`."
        if final < len(failures):
            said += f" {len(failures) - final:,} are asked again when the command runs again."
        self._progress.note(f"            {said}")

    def _told(self, problem: Exception, planned: Plan, dispatch: Dispatch) -> Exception:
        """The problem in the user's terms, with what is safe."""
        stored = len(planned.completions) + dispatch.tally.replies
        total = len(planned.requests)
        if isinstance(problem, OverBudget):
            if problem.dollars:
                most, spent = dollars(self._budget.usd or 0.0), dollars(dispatch.purse.spent.usd)
                key = "teacher.budget_usd"
            else:
                most, spent = f"{self._budget.tokens:,} tokens", f"{dispatch.purse.spent.tokens:,}"
                key = "teacher.budget_tokens"
            return BudgetExhausted(
                f"The budget of {most} would be passed by the next reply (spent {spent}). "
                f"{stored:,} of {total:,} replies are stored.",
                f"Raise `{key}` and run again.",
            )
        kept = _kept(stored, total)
        if isinstance(problem, Unreachable):
            failure = problem.failure
            where = failure.message.removeprefix("cannot connect to ")
            said = f"Cannot reach the teacher at {where}." if where != failure.message else failure.message
            hint = failure.fix or "Is the server running? For llama.cpp: `llama-server -m FILE.gguf --port PORT`."
            return ServerUnreachable(said, f"{hint} {kept}")
        if isinstance(problem, PatienceEnded):
            minutes = self._limits.patience_seconds / 60
            return ModelError(
                f"The teacher turns calls away, and would for more than {minutes:g} minutes: {problem}.",
                f"Run again when its limit allows it. {kept}",
            )
        kind, count = dispatch.tally.failures.most_common(1)[0]
        return _all_failed(kind, count, dispatch.tally.finished, dispatch.tally.examples[kind])

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        outside_loops(lambda: self._runner.run(work))


def _kept(stored: int, total: int) -> str:
    return f"Nothing was lost: {stored:,} of {total:,} replies are stored."


def _sampled(planned: Plan, completions: dict[str, Completion], failures: dict[str, Failure], spent: Cost) -> Sampled:
    stored = len(planned.completions)
    bought = len(completions) - stored
    return Sampled(completions, failures, len(planned.requests), stored, bought, spent.usd, spent.tokens)


def _refuse_nothing(
    requests: dict[str, Request], completions: dict[str, Completion], failures: dict[str, Failure]
) -> None:
    """Raise ModelError when there were requests and not one reply."""
    if not requests or completions or not failures:
        return
    kind, count, example = _commonest(failures)
    raise _all_failed(kind, count, len(failures), example)


def _commonest(failures: dict[str, Failure]) -> tuple[FailureKind, int, str]:
    """The kind of failure there is most of, how many, and the words of one."""
    kind, count = Counter(failure.kind for failure in failures.values()).most_common(1)[0]
    return kind, count, next(f.message for f in failures.values() if f.kind == kind).rstrip(".")


def _all_failed(kind: Any, count: int, total: int, example: str) -> CallFailed:
    error = CallFailed(kind, f"Every request failed: {total:,} of {total:,}, {count:,} of them {kind}: {example}.")
    permanent = kind not in TRANSIENT
    error.fix = (
        "Correct the cause, then run again with `teacher.retry_failures: true`."
        if permanent
        else "Correct the cause, then run again: nothing needs to be bought twice."
    )
    return error


def _summary(planned: Plan, bought: int, failures: int) -> str:
    text = f"{len(planned.completions) + bought:,} of {len(planned.requests):,} replies in the store"
    return f"{text}, {failures:,} failed" if failures else text
