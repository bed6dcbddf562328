"""Ctrl-C and SIGTERM as a request to stop, instead of an exception wherever the program happens to be."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_CAUGHT = 3


@contextmanager
def stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first three of SIGINT and SIGTERM inside the block. A fourth means what it meant before.

    Outside the main thread, where signals cannot be caught, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    left = _CAUGHT

    def caught(number: int, frame: FrameType | None) -> None:
        nonlocal left
        left -= 1
        if not left:  # should `stop` not be heard at all, the next one ends the program
            put_back()
        stop()

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, caught)
        yield
    finally:
        put_back()
