from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from symdistill.training.allocation import freed_memory_kept

COUNT = """
import resource, sys
from symdistill.training.allocation import freed_memory_kept

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        block = bytearray(2**26)
        block[::4096] = b"x" * 2**14
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
fresh = pages()
with freed_memory_kept():
    pages()
    kept = pages()
print(fresh, kept, pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does")
def test_blocks_are_not_fetched_anew_within_and_are_after() -> None:
    answer = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    fresh, kept, after = map(int, answer.stdout.split())
    assert fresh > 100_000, "20 blocks of 16,384 pages"
    assert kept < fresh / 10
    assert after > fresh / 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1"))
    monkeypatch.setattr(ctypes, "CDLL", opened.append)
    with freed_memory_kept():
        pass
    assert opened == []
