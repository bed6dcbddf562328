"""Which faults `triples validate` finds among those planted in a file of triples.

    python benchmarks/planted.py FILE [--each 200] [--seed 0]

FILE holds triples of the ATOMIC schema that people wrote, such as ATOMIC 2020's test set. What is found in it as it is
counts for nothing; then faults of each kind are planted, and new findings are compared with them. Recall is the share
of planted faults that are found, precision the share of new findings that were planted. A fault of several triples is
found if the finding names the planted one and the consistent subset leaves it out; planted triples are less sure (0.4)
than those of the file (0.8), as a critic would have it.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from symdistill.evaluation.graph_metrics import Share, share
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import Batch, Triple, load_schema, read_triples
from symdistill.knowledge.triples.findings import CONFLICTS, Finding
from symdistill.knowledge.triples.validate import validate

BATCHES = [Batch("people", "import"), Batch("model", "teacher", "planted")]
REPLIES = {"r1_there"}
MODEL = {"confidence": 0.4, "batch": "model", "source": "r1_there"}


def contradiction(old: Triple, rng: random.Random) -> Triple | None:
    return replace(old, tail=f"not {old.tail}", **MODEL) if old.relation in ("xWant", "xNeed", "xIntent") else None


def wrong_way_round(old: Triple, rng: random.Random) -> Triple | None:
    turned = old.relation in ("isBefore", "isAfter")
    return replace(old, head=old.tail, tail=old.head, **MODEL) if turned else None


def exclusive(old: Triple, rng: random.Random) -> Triple | None:
    other = {"isBefore": "isAfter", "isAfter": "isBefore"}.get(old.relation)
    return replace(old, relation=other, **MODEL) if other else None


def duplicate(old: Triple, rng: random.Random) -> Triple | None:
    return replace(old, tail=f" {old.tail.upper()}. ", **MODEL)


def near_duplicate(old: Triple, rng: random.Random) -> Triple | None:
    words = old.tail.split()
    at = rng.randrange(len(words))
    return replace(old, tail=" ".join([*words[:at], "really", *words[at:]]), **MODEL) if len(words) > 3 else None


def unknown_relation(old: Triple, rng: random.Random) -> Triple | None:
    return replace(old, relation=old.relation.lower() + "s", **MODEL)


def domain(old: Triple, rng: random.Random) -> Triple | None:
    thing = rng.choice(["an umbrella", "the old bridge", "fresh bread", "a violin"])
    return replace(old, head=f"{thing} {rng.randrange(10**6)}", **MODEL) if old.relation == "xWant" else None


def provenance(old: Triple, rng: random.Random) -> Triple | None:
    lost = rng.choice([{"batch": ""}, {"batch": "nobody"}, {"source": ""}, {"source": "r1_gone"}])
    return replace(old, tail=f"{old.tail} number {rng.randrange(10**6)}", **(MODEL | lost))


PLANTS: dict[str, Callable[[Triple, random.Random], Triple | None]] = {
    "unknown_relation": unknown_relation,
    "domain": domain,
    "contradiction": contradiction,
    "inverse": wrong_way_round,
    "disjoint": exclusive,
    "duplicate": duplicate,
    "near_duplicate": near_duplicate,
    "provenance": provenance,
}


def planted(people: Sequence[Triple], each: int, seed: int) -> dict[str, list[Triple]]:
    """So many faults of each kind, each made of another triple."""
    rng = random.Random(seed)
    mixed = rng.sample(list(people), len(people))
    there = {t.fact for t in people}
    found: defaultdict[str, list[Triple]] = defaultdict(list)
    for kind, plant in PLANTS.items():
        left = []
        for old in mixed:
            new = plant(old, rng) if len(found[kind]) < each else None
            if new is None or (new.fact in there and kind != "duplicate"):
                left.append(old)
            else:
                found[kind].append(new)
        mixed = left
    return found


def told(findings: Sequence[Finding], consistent: frozenset[str], kind: str) -> set[str]:
    """The triples that findings of a kind blame."""
    names = {key for f in findings if f.kind == kind for key in (f.triples if kind in CONFLICTS else f.triples[:1])}
    return names - consistent if kind in CONFLICTS else names


def said(found: Share) -> str:
    return f"{found.count:>4} of {found.n:<4} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    schema = load_schema("atomic")
    read = read_triples(options.file)
    people = [
        replace(t, batch="people", source=place, confidence=0.8)
        for t, place in zip(read.triples, read.places, strict=True)
    ]
    bounds = Bounds(seconds=300)
    before = validate(people, schema, batches=BATCHES, replies=REPLIES, bounds=bounds)
    print(f"{len(people):,} triples, {len(before.findings):,} findings as they are: {before.counts}")
    faults = planted(people, options.each, options.seed)
    started = time.perf_counter()
    after = validate(
        [*people, *(t for some in faults.values() for t in some)],
        schema,
        batches=BATCHES,
        replies=REPLIES,
        bounds=bounds,
    )
    print(f"with faults planted: {len(after.findings):,} findings, in {time.perf_counter() - started:.1f} s")
    assert before.consistent is not None
    assert after.consistent is not None
    print(f"{'planted':<18}{'found (recall)':<36}{'of new findings (precision)'}")
    for kind, some in faults.items():
        there = {t.id for t in some}
        names = told(after.findings, after.consistent, kind) - told(before.findings, before.consistent, kind)
        print(
            f"{kind:<18}{said(share(len(names & there), len(there))):<36}{said(share(len(names & there), len(names)))}"
        )


if __name__ == "__main__":
    main()
