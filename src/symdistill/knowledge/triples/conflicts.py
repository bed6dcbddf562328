"""Which triples cannot all hold: found by clingo (`conflicts.lp`) from what each says and what follows from it.

A rule of a schema makes groups that admit one value: the tails of one head in a functional relation, the relations
between two nodes that exclude each other, the types of one node, the two sides of a contradiction. Triples that claim
different values in one group are in conflict. Texts never enter a programme, only numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from symdistill.knowledge.asp import solve
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.polarity import phrase
from symdistill.knowledge.triples.findings import CONFLICTS, Finding, Kind
from symdistill.knowledge.triples.normalise import normal
from symdistill.knowledge.triples.records import Triple
from symdistill.knowledge.triples.schema import Schema

_NEGATING = ("un", "dis", "non")


@dataclass(frozen=True, slots=True)
class Claim:
    """Triple `key` claims `value` in a group that admits one; `way` is own, inverse or symmetric."""

    value: str | int
    key: str
    way: str


Groups = Mapping[str, Sequence[Claim]]


def clashing(triples: Mapping[str, Triple], schema: Schema, bounds: Bounds) -> tuple[Groups, str]:
    """The groups with two values or more, by name, with all their claims; or why they cannot be told."""
    keys = list(triples)
    program = "\n".join(_facts(triples, schema))
    if not program:
        return {}, ""
    solved = solve(f"{programme('conflicts')}\n{program}\n", bounds=bounds, what="The search for conflicts")
    if not solved.finished or not solved.models:
        return {}, str(solved.limit)
    groups: defaultdict[str, list[Claim]] = defaultdict(list)
    for _, (group, value, number, way) in sorted(solved.models[-1].atoms):
        groups[str(group)].append(Claim(value, keys[int(number)], str(way)))
    return groups, ""


def _facts(triples: Mapping[str, Triple], schema: Schema) -> Iterator[str]:
    """What the programme needs to know; nothing where no relation has a rule and no tail an opposite."""
    numbers = {name: number for number, name in enumerate(schema.relations)}
    apart = schema.types_apart()
    types = {name: number for number, name in enumerate(schema.types)}
    ruled = {name for name, relation in schema.relations.items() if relation.functional or relation.disjoint}
    exclusive = {name for pair in apart for name in pair}
    ruled |= {name for name, relation in schema.relations.items() if {relation.domain, relation.range} & exclusive}
    ruled |= {r.id for r in schema.relations.values() if r.inverse in ruled}
    nodes: defaultdict[str, int] = defaultdict(lambda: len(nodes))
    places = {key: number for number, key in enumerate(triples)}
    facts = []
    for key, triple in triples.items():
        if triple.relation in ruled:
            head, relation, tail = triple.fact
            facts.append(f"triple({places[key]},{nodes[head]},{numbers[relation]},{nodes[tail]}).")
    for number, sides in enumerate(_opposed(triples)):
        facts += [f"opposed({number},{side},{places[key]})." for key, side in sides]
    if not facts:
        return
    yield from facts
    for name, number in numbers.items():
        relation_rules = schema.relations[name]
        if relation_rules.functional:
            yield f"functional({number})."
        if relation_rules.symmetric:
            yield f"symmetric({number})."
        if relation_rules.inverse:
            yield f"inverse({number},{numbers[relation_rules.inverse]})."
        yield from (f"disjoint({number},{numbers[o]})." for o in relation_rules.disjoint if numbers[o] > number)
        yield from (f"domain({number},{types[t]})." for t in (relation_rules.domain,) if t)
        yield from (f"range({number},{types[t]})." for t in (relation_rules.range,) if t)
    yield from (f"apart({types[one]},{types[other]})." for one, other in apart)


def _opposed(triples: Mapping[str, Triple]) -> Iterator[list[tuple[str, int]]]:
    """Of each topic on which tails of one head and relation differ, the triples with their sides."""
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for key, triple in triples.items():
        alike[normal(triple.head), triple.relation].append(key)
    for keys in alike.values():
        if len(keys) < 2:
            continue
        topics: defaultdict[tuple[frozenset[str], tuple[str, ...]], list[tuple[str, int]]] = defaultdict(list)
        for key in keys:
            topic, negative, numbers = phrase(triples[key].tail)
            if topic:
                topics[topic, numbers].append((key, int(negative)))
        _join_prefixed(topics)
        yield from (sides for sides in topics.values() if len({side for _, side in sides}) > 1)


def _join_prefixed(topics: dict[tuple[frozenset[str], tuple[str, ...]], list[tuple[str, int]]]) -> None:
    """Count "unhappy" as the opposite of "happy" where a tail of each stands alone."""
    for (topic, numbers), sides in list(topics.items()):
        word = next(iter(topic)) if len(topic) == 1 else ""
        for prefix in _NEGATING:
            plain = (frozenset({word.removeprefix(prefix)}), numbers)
            if word.startswith(prefix) and plain in topics:
                topics[plain] += [(key, 1 - side) for key, side in sides]


def conflict_findings(groups: Groups, triples: Mapping[str, Triple]) -> list[Finding]:
    """One finding for each set of triples that clash, told by what they say outright where they do."""
    found: dict[tuple[str, ...], Finding] = {}
    for name in sorted(groups, key=lambda name: all(c.way == "own" for c in groups[name]), reverse=True):
        claims = groups[name]
        keys = tuple(sorted({claim.key for claim in claims}))
        if keys not in found:
            kind = _kind(name, claims)
            found[keys] = Finding(kind, keys, _explained(kind, name, keys, triples))
    return list(found.values())


def _kind(name: str, claims: Sequence[Claim]) -> Kind:
    ways = {claim.way for claim in claims}
    if "inverse" in ways:
        return "inverse"
    if "symmetric" in ways:
        return "symmetric"
    rule = name.partition("(")[0]
    return next(kind for kind in CONFLICTS if kind == rule)


def _explained(kind: Kind, name: str, keys: Sequence[str], triples: Mapping[str, Triple]) -> str:
    shown = [f"({triples[k].head} | {triples[k].relation} | {triples[k].tail})" for k in keys[:3]]
    said = " and ".join(shown) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    reasons = {
        "functional": "one head has one tail here",
        "inverse": "they follow from each other the wrong way round",
        "symmetric": "they follow from each other the other way round",
        "disjoint": "the two relations exclude each other",
        "types": "one text is used as two types that exclude each other",
        "contradiction": "the tails say the opposite",
    }
    alone = " contradicts itself" if len(keys) == 1 else ""
    return f"{said}{alone}: {reasons[kind]}"


def programme(name: str) -> str:
    """The text of NAME.lp beside this module."""
    return resources.files(__package__).joinpath(f"{name}.lp").read_text(encoding="utf-8")
