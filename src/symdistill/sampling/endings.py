"""Why asking a model ended before every request was dealt with."""

from __future__ import annotations

from symdistill.errors import CallFailed, ServerUnreachable


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
