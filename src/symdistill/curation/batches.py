"""Curation of more replies than fit into memory: batches of questions in, lines of the two files out.

Questions depend on each other in nothing but the order of their lines (and in one number each, for open-endedness), so
batches may go to several processes.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice, repeat
from typing import Any, TypeVar

from symdistill.curation.curate import Answered, curate_question, openness
from symdistill.curation.difficulty import Difficulty
from symdistill.curation.files import line
from symdistill.curation.rationales import Reply, read_rationale
from symdistill.curation.selection import Chooser, Openness, open_ended_budgets, selector
from symdistill.curation.settings import CurationSettings
from symdistill.errors import DataError
from symdistill.records import Example

Batch = Sequence[tuple[Example, Sequence[Reply]]]
"""Some questions, each with all its replies."""

_Job = tuple[Batch, Sequence[int]]
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class CuratedBatch:
    """What became of a batch: lines of `rationales.jsonl` and of `dropped.jsonl`, and a row for every question.

    `without_reasoning` counts replies without a reasoning block.
    """

    kept: bytes
    dropped: bytes
    difficulty: list[Difficulty]
    without_reasoning: int


def curate_batches(
    batches: Iterable[Batch], settings: CurationSettings, *, verify: bool, seed: int, processes: int = 1
) -> Iterator[CuratedBatch]:
    """An outcome for each batch, in their order, the same whatever the batches and the number of processes.

    Open-endedness reads `batches` twice, so it must be iterable twice there. With more than one process, the calling
    program's main module is imported by each of them: a script needs its `if __name__ == "__main__"`.

    Raises:
        ConfigError, PrerequisiteError: as `curate_stream`.
    """
    budgets: Iterator[int] = repeat(settings.budget)
    with _workers(processes) as spread:
        if settings.select == "open-endedness":
            counted = spread(partial(_openness, settings=settings, verify=verify), batches)
            budgets = iter(open_ended_budgets((one for batch in counted for one in batch), settings.budget))
        jobs: Iterator[_Job] = ((batch, list(islice(budgets, len(batch)))) for batch in batches)
        if processes > 1:
            yield from spread(partial(_curated_apart, settings=settings, verify=verify, seed=seed), jobs)
        else:
            choose = selector(settings, seed)
            yield from spread(partial(_curated, settings=settings, verify=verify, choose=choose), jobs)


def _answered(example: Example, replies: Sequence[Reply], settings: CurationSettings) -> tuple[Answered, int]:
    """A question with its rationales, and how many of its replies have no reasoning of their own."""
    read = [read_rationale(example, reply, settings) for reply in replies]
    return Answered(example, [r for r, _ in read]), sum(not reasoned for _, reasoned in read)


def _openness(batch: Batch, *, settings: CurationSettings, verify: bool) -> list[Openness | None]:
    return [openness(_answered(*question, settings)[0], settings, verify=verify) for question in batch]


def _curated(job: _Job, *, settings: CurationSettings, verify: bool, choose: Chooser) -> CuratedBatch:
    kept: list[bytes] = []
    dropped: list[bytes] = []
    difficulty = []
    without_reasoning = 0
    for (example, replies), budget in zip(*job, strict=True):
        question, silent = _answered(example, replies, settings)
        outcome = curate_question(question, settings, choose, budget, verify=verify)
        kept += map(line, outcome.kept)
        dropped += map(line, outcome.dropped)
        difficulty.append(outcome.difficulty)
        without_reasoning += silent
    return CuratedBatch(b"".join(kept), b"".join(dropped), difficulty, without_reasoning)


def _curated_apart(job: _Job, *, settings: CurationSettings, verify: bool, seed: int) -> CuratedBatch:
    return _curated(job, settings=settings, verify=verify, choose=_selector(settings, seed))


_selector = lru_cache(maxsize=1)(selector)
"""For processes of their own, which make the selection once and end with it."""


@contextmanager
def _workers(processes: int) -> Iterator[Callable[[Callable[[_In], _Out], Iterable[_In]], Iterator[_Out]]]:
    """`map`, or its like over several processes with only a few results under way."""
    if processes < 2:
        yield map
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of this process's threads
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:

        def spread(work: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
            under_way: deque[Future[Any]] = deque()
            try:
                for job in jobs:
                    under_way.append(pool.submit(work, job))
                    if len(under_way) > 2 * processes:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            except BrokenProcessPool as problem:
                raise DataError(
                    "A process that curates was ended from outside; the machine may have run out of memory.",
                    "Run the same command again: the replies are untouched.",
                ) from problem
            finally:
                for future in under_way:
                    future.cancel()

        yield spread


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
