"""Continuous batching: a row that has ended leaves at once, and a waiting one takes its place."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice

import torch

from symdistill.models.decoding.drawing import advance
from symdistill.models.decoding.jobs import Decoded, Row
from symdistill.models.decoding.network import Network
from symdistill.models.decoding.packing import return_memory
from symdistill.models.decoding.prefixes import Prompt
from symdistill.models.decoding.slots import Slots
from symdistill.models.decoding.stretches import PREFILL_TOKENS, Stretches, Wanted, wanted

_REFILL = 8
"""One part in so many of the rows may stand empty before short prompts are computed, several together."""
_WORTH_A_PASS = 128
"""Prompt tokens that keep the processor as busy as any more do: they are not held back for others."""


class Batch:
    """The rows of one call, and what has come of them."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.results: list[Decoded | None] = [None] * len(rows)
        self.left = len(rows)
        self.cancelled = False
        self.problem: BaseException | None = None

    @property
    def over(self) -> bool:
        return self.left == 0 or self.problem is not None


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """A row, the prompt it needs, and where its result goes."""

    row: Row
    wanted: Wanted
    batch: Batch
    index: int

    @property
    def prompt(self) -> Prompt:
        return self.row.job.prompt

    def finish(self) -> None:
        self.batch.results[self.index] = self.row.result()
        self.batch.left -= 1


class Pool:
    """Rows being decoded and rows waiting: first come, first served. One thread at a time may use it."""

    def __init__(self, network: Network, end_ids: frozenset[int], batch_size: int) -> None:
        self._network = network
        self._end_ids = end_ids
        self._batch_size = batch_size
        self._batches: list[Batch] = []
        self._live: list[_Entry] = []
        self._waiting: deque[_Entry] = deque()
        self._awaited: Counter[Prompt] = Counter()
        self._slots = Slots(batch_size)
        self._stretches = Stretches(network, batch_size)

    def add(self, batch: Batch) -> None:
        """Let a call's rows wait: those whose prompts begin alike side by side, and long ones first."""
        self._batches.append(batch)
        known = wanted([row.job.prompt for row in batch.rows], share=self._network.sharing)
        entries = [_Entry(row, known[row.job.prompt], batch, index) for index, row in enumerate(batch.rows)]
        self._waiting += sorted(entries, key=_place)
        self._awaited += Counter(entry.prompt for entry in entries)

    def step(self) -> None:
        """Let in what waits and fits, then one token more for every row. Raises ModelError."""
        self.drop_cancelled()
        self._batches = [batch for batch in self._batches if not (batch.over or batch.cancelled)]
        self._let_in()
        if self._live:
            started = time.perf_counter()
            logits = self._network.step(
                [entry.row.fed[-1] for entry in self._live],
                [entry.row.position for entry in self._live],
                self._slots,
            )
            over = self._advance(self._live, logits, started)
            for slot in range(len(over) - 1, -1, -1):
                if over[slot]:
                    self._leave(slot).finish()
        self._clear_if_idle()

    def fail(self, problem: BaseException) -> None:
        """Nothing in here can go on."""
        for batch in self._batches:
            batch.problem = problem
        self._clear()

    def _clear(self) -> None:
        """Let go of all rows and of all that was computed for them."""
        self._batches, self._live, self._waiting = [], [], deque()
        self._awaited = Counter()
        self._slots = Slots(self._batch_size)
        self._stretches = Stretches(self._network, self._batch_size)

    def _advance(self, entries: list[_Entry], logits: torch.Tensor, started: float) -> list[bool]:
        """Draw a token for each, and book the time since `started` on them in equal parts."""
        over = advance([entry.row for entry in entries], logits, self._end_ids)
        share = (time.perf_counter() - started) / len(entries)
        for entry in entries:
            entry.row.seconds += share
        return over

    def _leave(self, slot: int) -> _Entry:
        """Take a row out, as the slots do."""
        entry = self._live[slot]
        last = self._slots.leave(slot)
        self._live[slot] = self._live[last]
        del self._live[last]
        return entry

    def _let_in(self) -> None:
        while self._waiting and (free := self._batch_size - len(self._live)):
            entries, tokens = self._next(free)
            enough = min(len(self._waiting), max(1, self._batch_size // _REFILL))
            if self._live and 0 < tokens < _WORTH_A_PASS and free < enough:
                return
            for _ in entries:
                self._waiting.popleft()
            self._admit(entries)
            if tokens:
                return_memory()

    def _admit(self, entries: list[_Entry]) -> None:
        """Compute what entries need and draw the first token of each; those that are not over with it enter."""
        started = time.perf_counter()
        self._awaited -= Counter(entry.prompt for entry in entries)
        cached = self._stretches.compute(entry.wanted for entry in entries)
        for entry in entries:
            entry.row.cached = cached[entry.prompt]
            cached[entry.prompt] = len(entry.prompt)
        stretches = [self._stretches[entry.prompt] for entry in entries]
        over = self._advance(entries, torch.stack([s.logits for s in stretches if s.logits is not None]), started)
        for entry, stretch, done in zip(entries, stretches, over, strict=True):
            if done:
                entry.finish()
            else:
                self._live.insert(self._slots.enter(stretch.path()), entry)
        self._stretches.forget(self._awaited)

    def _next(self, free: int) -> tuple[list[_Entry], int]:
        """The first of those waiting, as many as are computed in one pass, and how many tokens that takes."""
        entries: list[_Entry] = []
        new: dict[Prompt, int] = {}
        for entry in islice(self._waiting, free):
            if entry.prompt not in self._stretches and entry.prompt not in new:
                tokens = entry.wanted.own_tokens
                if new and sum(new.values()) + tokens > PREFILL_TOKENS:
                    break
                new[entry.prompt] = tokens
            entries.append(entry)
        return entries, sum(new.values())

    def drop_cancelled(self) -> None:
        """Let go of the rows of calls that nobody waits for any more."""
        for slot in range(len(self._live) - 1, -1, -1):
            if self._live[slot].batch.cancelled:
                self._leave(slot)
        if any(entry.batch.cancelled for entry in self._waiting):
            self._waiting = deque(entry for entry in self._waiting if not entry.batch.cancelled)
            self._awaited = Counter(entry.prompt for entry in self._waiting)
        self._clear_if_idle()

    def _clear_if_idle(self) -> None:
        if not self._live and not self._waiting:
            self._clear()


def _place(entry: _Entry) -> tuple[object, ...]:
    """Where in its call's queue an entry stands: by shared beginning, then longest prompt, then longest limit."""
    cut = entry.wanted.beginnings[0][0] if entry.wanted.beginnings else 0
    return (-cut, entry.prompt[:cut], -len(entry.prompt), entry.prompt, -entry.row.job.max_tokens, entry.index)
