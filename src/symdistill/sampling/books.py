"""What came back and what it cost, on its way into the store."""

from __future__ import annotations

from symdistill.errors import StoreError
from symdistill.records import Completion, Failure, Request
from symdistill.sampling.limits import NOTHING, Purse
from symdistill.sampling.store import ResponseStore


class Books:
    """Rows and costs that wait for the next commit, in the store under `run`. How they add up stands in `limits`."""

    def __init__(self, store: ResponseStore, run: str, purse: Purse) -> None:
        self._store = store
        self._run = run
        self._purse = purse
        self._rows: list[tuple[Request, Completion | Failure]] = []
        self._owed = NOTHING
        self.problem: StoreError | None = None
        """Why the last commit came to nothing."""

    def enter(self, request: Request, reply: Completion | Failure) -> None:
        """A row for the next commit."""
        self._rows.append((request, reply))

    def write(self) -> bool:
        """Commit what waits, in one transaction. False: the store cannot (`problem`), and all of it waits on."""
        self._owed += self._purse.unwritten()
        if self._rows or self._owed != NOTHING:
            try:
                self._store.add(self._rows, self._run, usd=self._owed.usd, tokens=self._owed.tokens)
            except StoreError as problem:
                self.problem = problem
                return False
        self._rows, self._owed = [], NOTHING
        return True
