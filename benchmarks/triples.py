"""How long a knowledge graph of a million triples takes to load, to answer SPARQL, and to check.

    python benchmarks/triples.py [--triples 1000000] [--queries 100] [--keep DIRECTORY] [--files] [--validate]

Triples are seeded and synthetic: events of two to five words drawn from 20,000 by Zipf's law, one head for about eight
triples, relations of the ATOMIC schema, half with a confidence; every fourth tail is another head, so that paths lead
on. Each triple is an edge and a statement about it, six to eight quads (see `knowledge.triples.rdf`). The graph is
built by `TripleStore.add` in a process of its own. Point and path queries are asked many times, each about another
head; the aggregates read all of the graph and are asked a few times. `in process` is pyoxigraph alone; `bounded` is
what `TripleStore.query` takes, start of its process and limits included. Limit for the median point query: 20 ms.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyoxigraph as ox

from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import Batch, Triple, load_schema, read_triples, write_triples
from symdistill.knowledge.triples.rdf import PREFIXES
from symdistill.knowledge.triples.store import TripleStore
from symdistill.knowledge.triples.validate import validate

WORDS = 20_000
LIMIT_MS = 20.0
BATCHES = 10
ONE = "SELECT ?tail {{ ?t sd:headText {head} ; rdf:predicate rel:xWant ; sd:tailText ?tail }}"
PATH = "SELECT DISTINCT ?c {{ ?t sd:headText {head} ; rdf:subject ?a . ?a rel:xEffect/rel:xWant ?c }} LIMIT 100"
SURE = "SELECT ?tail {{ ?t sd:headText {head} ; sd:confidence ?c ; sd:tailText ?tail FILTER(?c > 0.8) }}"
WHOLE = {
    "count by relation": "SELECT ?r (COUNT(*) AS ?n) { ?t rdf:predicate ?r } GROUP BY ?r ORDER BY DESC(?n)",
    "mean confidence": "SELECT (AVG(?c) AS ?mean) { ?t sd:confidence ?c }",
    "ten busiest nodes": "SELECT ?n (COUNT(*) AS ?k) { ?t rdf:object ?n } GROUP BY ?n ORDER BY DESC(?k) LIMIT 10",
}


def triples(count: int, seed: int = 1) -> Iterator[Triple]:
    """`count` triples that are all different."""
    rng = np.random.default_rng(seed)
    law = np.cumsum(1 / np.arange(1, WORDS + 1))
    relations = list(load_schema("atomic").relations)

    def phrases(number: int) -> list[str]:
        lengths = rng.integers(2, 6, number)
        drawn = iter(np.searchsorted(law, rng.random(int(lengths.sum())) * law[-1]).tolist())
        return [" ".join(f"w{next(drawn)}" for _ in range(length)) for length in lengths]

    heads = [f"PersonX {phrase} {place}" for place, phrase in enumerate(phrases(max(1, count // 8)))]
    made = 0
    while made < count:
        size = min(50_000, count - made)
        whose = rng.integers(0, len(heads), size).tolist()
        how = rng.integers(0, len(relations), size).tolist()
        onward = rng.random(size)
        sure = rng.random(size).round(3).tolist()
        for place, tail in enumerate(phrases(size)):
            text = heads[whose[place - 1]] if onward[place] < 0.25 else f"to {tail} {made + place}"
            confidence = sure[place] if place % 2 else None
            batch = f"b{(made + place) % BATCHES}"
            yield Triple(heads[whose[place]], relations[how[place]], text, confidence, batch, f"r1_{made + place:x}")
        made += size


def build(count: int, directory: Path, told: Connection) -> None:
    """Make a graph; tells seconds for making the triples, for adding them, how many are different, and peak memory."""
    started = time.perf_counter()
    made = list(triples(count))
    between = time.perf_counter()
    added = TripleStore(directory).add(made, [Batch(f"b{n}", "import", used="synthetic") for n in range(BATCHES)])
    told.send((between - started, time.perf_counter() - between, added.new, peak_memory()))


def peak_memory() -> float:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_process(store: ox.Store, queries: list[str]) -> list[float]:
    """Milliseconds of each query, all rows read."""
    found = []
    for query in queries:
        started = time.perf_counter()
        result = store.query(query, prefixes=PREFIXES, use_default_graph_as_union=True)
        assert isinstance(result, ox.QuerySolutions)
        for _ in result:
            pass
        found.append(1000 * (time.perf_counter() - started))
    return found


def bounded(store: TripleStore, queries: list[str]) -> list[float]:
    """Milliseconds of each query with its process and limits."""
    found = []
    for query in queries:
        started = time.perf_counter()
        store.query(query, bounds=Bounds(seconds=600))
        found.append(1000 * (time.perf_counter() - started))
    return found


def show(name: str, value: float, unit: str, limit: float | None = None) -> None:
    against = f"{limit:>8.0f}{value / limit:>10.2f}" if limit else ""
    print(f"  {name:<44}{value:>12,.2f} {unit:<4}{against}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="make the graph here and leave it")
    parser.add_argument("--files", action="store_true", help="also read all of it back, and write and read files")
    parser.add_argument("--validate", action="store_true", help="also search the first 100,000 for faults")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = options.keep or Path(folder) / "graph"
        if not (directory / "graph").exists():
            ours, theirs = multiprocessing.get_context("spawn").Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=build, args=(options.triples, directory, theirs)
            )
            process.start()
            process.join()
            if process.exitcode:
                sys.exit("building failed")
            making, adding, new, memory = ours.recv()
            print(f"{new:,} triples")
            show("make triples", making, "s")
            show("add them to the graph", adding, "s")
            show("triples added in a second", new / adding, "")
            show("peak memory", memory / 1e9, "GB")
        store = TripleStore(directory, create=False)
        show("size on disk", sum(f.stat().st_size for f in directory.rglob("*") if f.is_file()) / 1e6, "MB")
        started = time.perf_counter()
        opened = ox.Store.read_only(str(directory / "graph"))
        show("open", 1000 * (time.perf_counter() - started), "ms")
        started = time.perf_counter()
        show("quads", len(opened), "")
        show("count them", time.perf_counter() - started, "s")
        missed = queries_of(opened, store, options)
        del opened
        if options.files:
            files_of(store, Path(folder))
        if options.validate:
            some = list(triples(100_000))
            started = time.perf_counter()
            found = validate(some, store.schema, bounds=Bounds(600))
            show("validate 100,000 triples", time.perf_counter() - started, "s")
            print(f"  {found.counts}; proven: {found.proven}")
    print(f"limit: {'missed' if missed else 'kept'}")
    sys.exit(missed)


def queries_of(opened: ox.Store, store: TripleStore, options: argparse.Namespace) -> bool:
    heads = sorted({t.head for t, _ in zip(triples(options.triples), range(8 * options.queries), strict=False)})
    chosen = [ox.Literal(head) for head in heads[: options.queries]]
    missed = False
    for name, query in (("tails of a head", ONE), ("two steps onward", PATH), ("sure tails of a head", SURE)):
        asked = [query.format(head=head) for head in chosen]
        in_process(opened, asked[:5])
        times = in_process(opened, asked)
        middle = statistics.median(times)
        show(f"{name}, median, in process", middle, "ms", LIMIT_MS if query is ONE else None)
        show(f"{name}, 95th percentile, in process", statistics.quantiles(times, n=20)[-1], "ms")
        missed |= query is ONE and middle > LIMIT_MS
        show(f"{name}, median of 10, bounded", statistics.median(bounded(store, asked[:10])), "ms")
    for name, query in WHOLE.items():
        show(f"{name} (reads all), median of 3", statistics.median(in_process(opened, [query] * 3)) / 1000, "s")
    return missed


def files_of(store: TripleStore, folder: Path) -> None:
    started = time.perf_counter()
    found = list(store.triples())
    show("read all triples back", time.perf_counter() - started, "s")
    for ending in (".jsonl.gz", ".nq"):
        path = folder / f"all{ending}"
        started = time.perf_counter()
        write_triples(path, found, store.batches())
        show(f"write {ending}", time.perf_counter() - started, "s")
        started = time.perf_counter()
        assert len(read_triples(path).triples) == len(found)
        show(f"read {ending}", time.perf_counter() - started, "s")
        path.unlink()


if __name__ == "__main__":
    main()
