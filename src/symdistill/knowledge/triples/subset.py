"""The largest consistent part of a graph: the triples whose confidences add up to most, of those that can all hold.

What people accepted goes before all confidences: only other accepted triples can put an accepted one out.

Groups that share triples are worked out together (`consistent.lp`), small parts first. Where time runs out, a part
keeps the best that was found for it, or what goes by confidence alone, whichever is more.

clingo adds up whole numbers of 32 bits, so confidences are rounded: to 9 decimals where a part has two triples, to 8 up
to 21, to 7 up to 214, and so on. Sums that differ by no more than was rounded off may take each other's place.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from symdistill.knowledge.asp import Solved, solve_each
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples.conflicts import Groups, programme
from symdistill.knowledge.triples.records import Triple

_NOT_SAID = 0.5
"""The confidence of a triple that has none, when confidences are added up."""
_FINEST = 10**9
"""Steps between 0 and 1 at most."""
_LARGEST_SUM = 2**31 - 1
"""clingo adds up in 32 bits."""


def left_out(
    groups: Groups, triples: Mapping[str, Triple], accepted: Collection[str], bounds: Bounds
) -> tuple[set[str], bool, tuple[str, ...]]:
    """The triples to leave out so that no group clashes; whether that is surely the least loss; what to say of it.

    `accepted` are the ids of those that people accepted.
    """
    parts = _components(groups)
    if not parts:
        return set(), True, ()
    solved = solve_each(
        [_subset_programme(part, groups, triples, accepted) for part in parts],
        bounds=bounds,
        what="The search for the largest consistent subset",
    )
    lost: set[str] = set()
    unproven = by_confidence = 0
    for part, outcome in zip(parts, solved, strict=True):
        keys = sorted({claim.key for name in part for claim in groups[name]})
        kept = _best(outcome, keys, {name: groups[name] for name in part}, triples, accepted)
        lost |= set(keys) - kept[0]
        unproven += not outcome.finished
        by_confidence += kept[1]
    notes = []
    if unproven:
        limit = next(s.limit for s in solved if not s.finished)
        notes.append(
            f"In {unproven:,} of {len(parts):,} groups of conflicts the subset may not be the largest "
            f"({by_confidence:,} went by confidence alone): {limit}"
        )
    return lost, not unproven, tuple(notes)


def _components(groups: Groups) -> list[list[str]]:
    """The groups that share triples, together; small parts first, so that a hard one holds up no other."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = key = parent[parent[key]]
        return key

    for claims in groups.values():
        for claim in claims:
            parent[root(claim.key)] = root(claims[0].key)
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        parts[root(groups[name][0].key)].append(name)
    return sorted(parts.values(), key=lambda part: (sum(len(groups[name]) for name in part), part))


def _subset_programme(
    part: Sequence[str], groups: Groups, triples: Mapping[str, Triple], accepted: Collection[str]
) -> str:
    keys = sorted({claim.key for name in part for claim in groups[name]})
    places = {key: number for number, key in enumerate(keys)}
    steps = _steps(len(keys))
    facts = [f"weight({places[key]},{max(1, round(steps * worth(triples[key])))})." for key in keys]
    facts += [f"accepted({places[key]})." for key in keys if key in accepted]
    for number, name in enumerate(part):
        values = {value: at for at, value in enumerate(dict.fromkeys(claim.value for claim in groups[name]))}
        facts += [f"member({number},{values[c.value]},{places[c.key]})." for c in groups[name]]
    return f"{programme('consistent')}\n" + "\n".join(facts)


def worth(triple: Triple) -> float:
    """What a triple counts when confidences are added up."""
    return _NOT_SAID if triple.confidence is None else triple.confidence


def _steps(triples: int) -> int:
    """Into how many steps confidences are divided, a power of ten: as many as the sum of so many triples permits."""
    steps = _FINEST
    while steps > 1 and triples * steps > _LARGEST_SUM:
        steps //= 10
    return steps


def _best(
    outcome: Solved, keys: Sequence[str], groups: Groups, triples: Mapping[str, Triple], accepted: Collection[str]
) -> tuple[set[str], bool]:
    """The triples to keep, and whether they were chosen by confidence alone."""
    found = {keys[int(atom[1][0])] for atom in outcome.models[-1].atoms} if outcome.models else set()
    if outcome.finished:
        return found, False
    greedy = _by_confidence(keys, groups, triples, accepted)
    gains = [
        (sum(key in accepted for key in chosen), math.fsum(worth(triples[key]) for key in chosen))
        for chosen in (found, greedy)
    ]
    return (found, False) if gains[0] >= gains[1] else (greedy, True)


def _by_confidence(
    keys: Iterable[str], groups: Groups, triples: Mapping[str, Triple], accepted: Collection[str]
) -> set[str]:
    """Accepted triples first, then the surest, each that agrees with those before it."""
    claims: defaultdict[str, list[tuple[str, str | int]]] = defaultdict(list)
    for name, members in groups.items():
        for claim in members:
            claims[claim.key].append((name, claim.value))
    taken: dict[str, str | int] = {}
    kept = set()
    for key in sorted(keys, key=lambda key: (key not in accepted, -worth(triples[key]), key)):
        own = claims[key]
        consistent = all(taken.get(name, value) == value for name, value in own)
        if consistent and len({name for name, _ in own}) == len(set(own)):
            taken |= dict(own)
            kept.add(key)
    return kept
