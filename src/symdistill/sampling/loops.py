"""The one bridge from plain calls to code that runs an event loop, wherever the call comes from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from symdistill.errors import CallFailed
from symdistill.models.base import LanguageModel
from symdistill.records import Completion, Request

T = TypeVar("T")


def outside_loops(work: Callable[[], T]) -> T:
    """Do `work`, which runs an event loop, here or, where this thread runs one already (a notebook), in a thread.

    Whatever `work` raises is raised here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    done: list[T] = []
    failed: list[BaseException] = []

    def elsewhere() -> None:
        try:
            done.append(work())
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=elsewhere, name="symdistill")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def ask(model: LanguageModel, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
    """The model's replies to `requests`, in order, past the store. Raises as `model.generate` does."""
    return outside_loops(lambda: asyncio.run(model.generate(requests)))
