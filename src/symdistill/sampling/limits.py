"""How fast a model is asked, and what asking may cost: value objects and the small arithmetic behind them.

Times are seconds of one monotonic clock that the caller reads.

What a run has spent is the sum of what stands on its rows in the store (replies and failures) and of its lines in the
ledger (the table `charges`). The purse has the same sum in memory, and what is reserved. A call's *bound* is the most
that it can cost, its *cost* what the server says it took, or the bound where the server does not say.

| event                                | purse              | ledger                       | row                |
|--------------------------------------|--------------------|------------------------------|--------------------|
| a call leaves                        | bound reserved     | bound, if not yet so much    | none               |
| a reply comes                        | bound freed, cost  | bound back, if much is free  | reply, cost        |
| … and the server did not count       | bound freed, bound | the bound's tokens           | reply, the dollars |
| … and another process was faster     | bound freed, cost  | cost                         | none               |
| a try fails, which may be charged    | bound freed, cost  | cost                         | none               |
| the last try fails                   | bound freed, cost  | costs of earlier tries, back | failure, all costs |
| a call is turned away, or never left | bound freed        | bound back, if much is free  | none               |
| Ctrl-C twice while it is under way   | bound freed, bound | bound                        | none               |
| `kill -9` while it is under way      |                    | bound stays                  | none               |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from symdistill.models.settings import Price


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How persistent the sampler is. How many calls may be under way is the model's `capacity`.

    A request is asked at most `retries` + 1 times; what a server turns away as too many (429) or what never reached it
    is not counted. Between two tries of one request lies a random time of at most
    `backoff_seconds` · 2^(tries − 1), at most `backoff_most_seconds`. A server that does nothing but turn calls away
    is given up after `patience_seconds`; one that cannot be reached after `reach_seconds`, or after
    `reconnect_seconds` when it had answered before.
    """

    retries: int = 5
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    backoff_seconds: float = 0.5
    backoff_most_seconds: float = 30.0
    patience_seconds: float = 900.0
    reach_seconds: float = 3.0
    reconnect_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost in all, its earlier processes included. None: no bound."""

    usd: float | None = None
    tokens: int | None = None

    @property
    def bounded(self) -> bool:
        return self.usd is not None or self.tokens is not None


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars and tokens."""

    usd: float = 0.0
    tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.usd + other.usd, self.tokens + other.tokens)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.usd - other.usd, self.tokens - other.tokens)


NOTHING = Cost()


class Purse:
    """What is spent and what is reserved, against a budget.

    A call is reserved at its upper bound before it leaves and settled at its real cost when it is back. The store's
    ledger must know of what is reserved before it leaves, should the process be killed. It is told when there is more
    than it knows of, or less than half, so that most calls need no line of their own there.
    """

    def __init__(self, budget: Budget, price: Price | None, spent: Cost) -> None:
        self.budget = budget
        self.spent = spent
        self.reserved = NOTHING
        self._held = 0
        self._ledger = NOTHING
        self._charges = NOTHING
        self._input = price.input / 1e6 if price else 0.0
        self._output = price.output / 1e6 if price else 0.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> Cost:
        usd = prompt_tokens * self._input + completion_tokens * self._output
        return Cost(usd, prompt_tokens + completion_tokens)

    def fits(self, bound: Cost) -> bool:
        return not self.over_usd(bound) and not self.over_tokens(bound)

    def over_usd(self, bound: Cost) -> bool:
        return self.budget.usd is not None and self.spent.usd + self.reserved.usd + bound.usd > self.budget.usd

    def over_tokens(self, bound: Cost) -> bool:
        after = self.spent.tokens + self.reserved.tokens + bound.tokens
        return self.budget.tokens is not None and after > self.budget.tokens

    def reserve(self, bound: Cost) -> None:
        self.reserved += bound
        self._held += 1

    def settle(self, bound: Cost, cost: Cost, *, on_reply: Cost = NOTHING) -> None:
        """The call reserved at `bound` has cost `cost`, of which `on_reply` stands on the rows it brought."""
        self._held -= 1
        self.reserved = self.reserved - bound if self._held else NOTHING  # no rounding error outlives the calls
        self.spent += cost
        self._charges += cost - on_reply

    def unwritten(self) -> Cost:
        """What to write into the ledger now; the caller does, in the transaction of the rows it belongs to."""
        change, self._charges = self._charges, NOTHING
        now, known = self.reserved, self._ledger
        more = now.tokens > known.tokens or now.usd > known.usd * (1 + 1e-9)
        if self.budget.bounded and (more or 2 * now.tokens < known.tokens or 2 * now.usd < known.usd):
            change += now - known
            self._ledger = now
        return change


class Window:
    """How many calls may be under way: one more after each full window of successes, half after an overload.

    An overload counts once a window: calls that left before the last cut say nothing new.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._size = float(most)
        self._cut_at = -math.inf

    @property
    def size(self) -> int:
        return int(self._size)

    def succeeded(self) -> None:
        if self._size < self._most:
            self._size = min(self._most, self._size + 1.0 / self._size)

    def overloaded(self, started: float, now: float) -> bool:
        """Whether this overload counted."""
        if started < self._cut_at:
            return False
        self._size = max(1.0, self._size / 2)
        self._cut_at = now
        return True


class Pace:
    """A rate a minute, spread evenly: what is not used for a second is gone.

    Something larger than a second's share may go when that share is full, and what follows waits for it.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._rate = per_minute / 60.0
        self._most = max(1.0, self._rate)
        self._level = self._most
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may go; 0 when it may go now."""
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        short = min(amount, self._most) - self._level
        # Below a billionth it is rounding, and no clock would wait for it.
        return short / self._rate if short > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        """`amount` goes; a negative one gives back what was taken too much."""
        self._level = min(self._most, self._level - amount)
