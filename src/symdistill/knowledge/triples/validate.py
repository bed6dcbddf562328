"""What is wrong with a graph, and the best part of it that is consistent.

Faults of single triples are found by reading them: an unknown relation, a head or tail that is not of the relation's
type, a tail that says there is none, provenance that leads nowhere. Conflicts between triples are found by clingo
(`conflicts.lp`), from what each says and what follows by inverse and symmetric relations. Contradictions are tails of
one head and relation on one topic with opposite polarity ("to stay", "not to stay").

The consistent subset keeps the triples without a fault of their own whose confidences add up to most (`consistent.lp`),
those that people accepted before all others, one group of connected conflicts at a time. Where that takes longer than
allowed, the best that was found is kept, or what goes by confidence alone, and the outcome says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples.conflicts import clashing, conflict_findings
from symdistill.knowledge.triples.duplicates import NEAR, deduplicate
from symdistill.knowledge.triples.findings import CONFLICTS, MALFORMED, Finding, Kind
from symdistill.knowledge.triples.normalise import says_nothing
from symdistill.knowledge.triples.records import Batch, Triple
from symdistill.knowledge.triples.schema import Schema
from symdistill.knowledge.triples.subset import left_out, worth


@dataclass(frozen=True, slots=True)
class Validation:
    """What was found.

    `consistent` holds the ids of the largest consistent subset, None where conflicts could not be searched for
    (`notes` says why). `proven` says that no other subset has more accepted triples, or as many and a larger sum of
    confidences, as far as they are not rounded off (see `subset`).
    """

    findings: tuple[Finding, ...]
    consistent: frozenset[str] | None
    proven: bool
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[Kind, int]:
        """How many findings of each kind, most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())

    def conflicts_of(self) -> Counter[str]:
        """For each triple in a conflict, with how many others it cannot stand together."""
        found: Counter[str] = Counter()
        for finding in self.findings:
            if finding.kind in CONFLICTS:
                found.update({key: max(1, len(finding.triples) - 1) for key in finding.triples})
        return found


def validate(
    triples: Iterable[Triple],
    schema: Schema,
    *,
    batches: Iterable[Batch] | None = None,
    replies: Collection[str] | None = None,
    accepted: Collection[str] = (),
    near: float | None = NEAR,
    bounds: Bounds | None = None,
) -> Validation:
    """Check triples against a schema and each other.

    `batches` are those that are described, None where provenance is not to be checked; `replies` the keys of the
    requests whose replies are at hand, None where nobody knows; `accepted` the ids of triples that people accepted: the
    consistent subset keeps as many of them as can be. The outcome does not depend on the order of `triples`.

    Raises:
        PrerequisiteError: clingo is not installed.
    """
    by_id: defaultdict[str, list[Triple]] = defaultdict(list)
    for triple in triples:
        by_id[triple.id].append(triple)
    ordered = {key: max(by_id[key], key=worth) for key in sorted(by_id)}
    findings = list(_malformed(ordered, schema))
    findings += [
        Finding("duplicate", (key, key), f"stands there {len(by_id[key])} times") for key in ordered if by_id[key][1:]
    ]
    if batches is not None:
        findings += _without_provenance(ordered, {batch.id: batch for batch in batches}, replies)
    findings += _repeated(ordered, near)
    wrong = {f.triples[0] for f in findings if f.kind in MALFORMED}
    sound = {key: triple for key, triple in ordered.items() if key not in wrong}
    limits = bounds or Bounds()
    groups, problem = clashing(sound, schema, limits)
    if problem:
        return Validation(_sorted(findings), None, False, (f"Conflicts were not searched for: {problem}",))
    findings += conflict_findings(groups, sound)
    lost, proven, notes = left_out(groups, sound, frozenset(accepted), limits)
    return Validation(_sorted(findings), frozenset(sound.keys() - lost), proven, notes)


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    order: tuple[Kind, ...] = (*MALFORMED, *CONFLICTS, "duplicate", "near_duplicate", "provenance")
    return tuple(sorted(findings, key=lambda f: (order.index(f.kind), f.triples)))


def _malformed(triples: Mapping[str, Triple], schema: Schema) -> Iterator[Finding]:
    for key, triple in triples.items():
        relation = schema.relations.get(triple.relation)
        if relation is None:
            yield Finding("unknown_relation", (key,), f"the schema `{schema.name}` has no relation {triple.relation!r}")
            continue
        if says_nothing(triple.tail):
            yield Finding("nothing", (key,), f"the tail {triple.tail!r} says that there is none")
        sides: tuple[tuple[Kind, str | None, str], ...] = (
            ("domain", relation.domain, triple.head),
            ("range", relation.range, triple.tail),
        )
        for kind, name, text in sides:
            if name is not None and (why := schema.types[name].misfit(text)):
                yield Finding(kind, (key,), f"{text!r} is no {name}: it {why}")


def _without_provenance(
    triples: Mapping[str, Triple], batches: Mapping[str, Batch], replies: Collection[str] | None
) -> Iterator[Finding]:
    for key, triple in triples.items():
        batch = batches.get(triple.batch)
        why = ""
        if not triple.batch:
            why = "it is in no batch"
        elif batch is None:
            why = f"nothing is known of its batch {triple.batch!r}"
        elif batch.origin in ("teacher", "extraction") and not triple.source:
            why = "it came from a teacher and names no request"
        elif replies is not None and batch.origin in ("teacher", "extraction") and triple.source not in replies:
            why = f"no reply is stored for its request {triple.source!r}"
        if why:
            yield Finding("provenance", (key,), why)


def _repeated(triples: Mapping[str, Triple], near: float | None) -> Iterator[Finding]:
    for found in deduplicate(triples.values(), near=near).repeated:
        why = f"says the same as {found.kept.tail!r} about {found.kept.head!r}"
        kind: Kind = "duplicate" if found.kind == "exact" else "near_duplicate"
        yield Finding(kind, (found.triple.id, found.kept.id), why)
