"""Which questions are held out and which are drawn: seeded, even over tasks, and blind to the order of the rows.

Where asked, a question and the questions that name it in `contrast_of` are drawn together or not at all.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

from symdistill.records import Example


def draw(
    examples: Sequence[Example], count: int, seed: int, purpose: str, *, pairs: bool = True
) -> tuple[list[Example], list[Example]]:
    """`count` examples, each task in proportion, and the others; both in the order given.

    With `pairs` contrast pairs stay whole, so there can be a few examples fewer; there is always one.
    The draw depends on the ids, the seed and `purpose`.
    """
    if count >= len(examples):
        return list(examples), []
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, example in enumerate(examples):
        root = (example.contrast_of if pairs else None) or example.id
        groups[example.task][root].append(at)
    tasks = sorted(groups)
    sizes = [sum(map(len, groups[task].values())) for task in tasks]
    chosen: set[int] = set()
    for task, wanted in zip(tasks, _shares(sizes, count, tasks, seed), strict=True):
        taken = 0
        for root in sorted(groups[task], key=lambda root: _rank(seed, purpose, root)):
            members = groups[task][root]
            if taken + len(members) <= wanted:
                chosen.update(members)
                taken += len(members)
    if not chosen:
        task = tasks[0]
        chosen.update(min(groups[task].items(), key=lambda item: _rank(seed, purpose, item[0]))[1])
    drawn = [example for at, example in enumerate(examples) if at in chosen]
    return drawn, [example for at, example in enumerate(examples) if at not in chosen]


def fraction_of(examples: Sequence[Example], fraction: float, seed: int) -> list[Example]:
    """`fraction` of each task's examples, rounded, one at least; in the order given.

    Of one seed, a smaller share is part of every larger one. Contrast pairs stay whole, so there can be a few more.
    """
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, example in enumerate(examples):
        groups[example.task][example.contrast_of or example.id].append(at)
    chosen: set[int] = set()
    for roots in groups.values():
        wanted = max(1, round(fraction * sum(map(len, roots.values()))))
        taken = 0
        for root in sorted(roots, key=lambda root: _rank(seed, "fraction", root)):
            if taken >= wanted:
                break
            chosen.update(roots[root])
            taken += len(roots[root])
    return [example for at, example in enumerate(examples) if at in chosen]


def _shares(sizes: Sequence[int], count: int, tasks: Sequence[str], seed: int) -> list[int]:
    """`count` spread over the tasks by size: whole parts first, then the largest remainders."""
    total = sum(sizes)
    exact = [Fraction(size * count, total) for size in sizes]
    shares = [int(share) for share in exact]
    left = count - sum(shares)
    order = sorted(range(len(sizes)), key=lambda at: (shares[at] - exact[at], _rank(seed, "share", tasks[at])))
    for at in order[:left]:
        shares[at] += 1
    return shares


def _rank(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{purpose}\n{name}".encode("utf-8", "surrogatepass")).digest()


def with_twins(examples: Iterable[Example], chosen: Iterable[Example]) -> set[str]:
    """The ids of `chosen` and of their contrast twins among `examples`: what is learned of one of a pair is known of
    the other."""
    roots = {example.contrast_of or example.id for example in chosen}
    return {example.id for example in examples if (example.contrast_of or example.id) in roots}
