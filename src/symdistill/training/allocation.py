"""Keeping freed memory for the next step.

glibc gives every large block back to the system as it is freed, so each step of a training on a CPU gets its gigabyte
of activations as fresh pages, which the kernel clears one by one: a fifth of the time of a step (docs/LOG.md).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# malloc.h: the parameters of mallopt, with the values glibc starts with
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_USUAL = {_MMAP_MAX: 65_536, _TRIM_THRESHOLD: 128 * 1024, _TOP_PAD: 128 * 1024}
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 8 * 2**20}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within the block, freed memory stays with the process; after it, what is free goes back to the system.

    Does nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for parameter, value in _KEEPING.items():
        libc.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in _USUAL.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
