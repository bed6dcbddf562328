"""How fast BM25 finds the ten best of a million texts.

    python benchmarks/retrieval.py [--items 1000000] [--queries 300] [--library]

Texts are seeded and synthetic: 20 to 60 words (40 on average) drawn from 100,000 words by Zipf's law. Queries have 10
to 30 words of the same law, so most of them hold words that stand in nearly every text. An index is built in a process
of its own, saved, loaded by memory map in this one, and asked. With `--library`, bm25s (numpy backend) answers the same
queries from the same directory. Limits for the median query: 5 ms at a million texts, 2 ms at a hundred thousand.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from symdistill.knowledge import Bm25Index, terms

WORDS = 100_000
K = 10
LIMITS_MS = {100_000: 2.0, 1_000_000: 5.0}


def texts(count: int, low: int, high: int, seed: int) -> Iterator[str]:
    """`count` texts of `low` to `high` words."""
    rng = np.random.default_rng(seed)
    law = np.cumsum(1 / np.arange(1, WORDS + 1))
    words = np.array([f"w{rank}" for rank in range(WORDS)], dtype=object)
    for start in range(0, count, 10_000):
        lengths = rng.integers(low, high + 1, min(10_000, count - start))
        drawn = words[np.searchsorted(law, rng.random(int(lengths.sum())) * law[-1])]
        end = 0
        for length in lengths.tolist():
            yield " ".join(drawn[end : end + length])
            end += length


def peak_memory() -> float:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def build(items: int, directory: Path, told: Connection) -> None:
    """Build and save an index; tells seconds for making the texts, for both together, for saving, and peak memory."""
    started = time.perf_counter()
    for _ in texts(items, 20, 60, seed=1):
        pass
    made = time.perf_counter()
    index = Bm25Index.build(texts(items, 20, 60, seed=1))
    built = time.perf_counter()
    index.save(directory)
    told.send((built - made - (made - started), time.perf_counter() - built, peak_memory()))


def timed(ask: Callable[[str], object], queries: list[str]) -> list[float]:
    """Milliseconds of each query, after one round that warms up what the operating system and the index keep."""
    for query in queries[:50]:
        ask(query)
    found = []
    for query in queries:
        started = time.perf_counter()
        ask(query)
        found.append(1000 * (time.perf_counter() - started))
    return found


def library(directory: Path) -> Callable[[str], object]:
    import bm25s

    other = bm25s.BM25.load(directory, mmap=True)
    return lambda query: other.retrieve([terms(query)], k=K, show_progress=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="*", default=sorted(LIMITS_MS))
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--library", action="store_true")
    options = parser.parse_args()
    queries = list(texts(options.queries, 10, 30, seed=2))
    context = multiprocessing.get_context("spawn")
    missed = False
    print(f"{'items':>10}  {'figure':<26}{'measured':>10}{'limit':>8}{'measured / limit':>18}")
    for items in options.items:
        limit = LIMITS_MS.get(items)
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "index"
            ours, theirs = context.Pipe()
            process = context.Process(target=build, args=(items, directory, theirs))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit("building failed")
            building, saving, memory = ours.recv()
            started = time.perf_counter()
            index = Bm25Index.load(directory)
            loading = time.perf_counter() - started
            milliseconds = timed(lambda query, index=index: index.search(query, K), queries)
            middle = statistics.median(milliseconds)
            rows: list[tuple[str, float, float | None]] = [
                ("query, median, ms", middle, limit),
                ("query, 95th percentile, ms", statistics.quantiles(milliseconds, n=20)[-1], None),
                ("build, s", building, None),
                ("save, s", saving, None),
                ("load, s", loading, None),
                ("size on disk, MB", sum(f.stat().st_size for f in directory.iterdir()) / 1e6, None),
                ("peak memory of build, GB", memory / 1e9, None),
                ("peak memory of search, GB", peak_memory() / 1e9, None),
            ]
            if options.library:
                theirs_ms = statistics.median(timed(library(directory), queries[:60]))
                rows.append(("bm25s, median query, ms", theirs_ms, None))
                rows.append(("bm25s / ours", theirs_ms / middle, None))
        for name, value, bound in rows:
            against = f"{bound:>8.1f}{value / bound:>18.2f}" if bound else ""
            print(f"{items:>10,}  {name:<26}{value:>10.2f}{against}", flush=True)
        missed |= limit is not None and middle > limit
    print(f"limits: {'missed' if missed else 'kept'}")
    sys.exit(missed)


if __name__ == "__main__":
    main()
