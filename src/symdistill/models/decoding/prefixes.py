"""Which beginnings several prompts have in common, and are therefore computed once."""

from __future__ import annotations

from collections.abc import Iterable

SHARED_TOKENS = 64
"""A common beginning shorter than this is computed for each prompt by itself."""

Prompt = tuple[int, ...]


def shared_prefixes(prompts: Iterable[Prompt], least: int = SHARED_TOKENS) -> dict[Prompt, tuple[int, ...]]:
    """For each prompt the lengths, ascending, of its beginnings that other prompts of the list have too.

    Every length is at least `least` longer than the one before, and shorter than the prompt.
    """
    found: dict[Prompt, tuple[int, ...]] = dict.fromkeys(prompts, ())
    _descend(sorted(found), 0, least, found)
    return found


def _descend(prompts: list[Prompt], depth: int, least: int, found: dict[Prompt, tuple[int, ...]]) -> None:
    """Note the beginnings longer than `depth` that neighbours in the sorted list share."""
    start = 0
    for end in range(1, len(prompts) + 1):
        if end < len(prompts) and _common(prompts[end - 1], prompts[end]) >= depth + least:
            continue
        cluster = prompts[start:end]
        start = end
        if len(cluster) == 1:
            continue
        shared = min(_common(cluster[0], cluster[-1]), len(cluster[0]) - 1)
        if shared < depth + least:  # all of the first prompt is the beginning of the others
            _descend(cluster[1:], depth, least, found)
            continue
        for prompt in cluster:
            found[prompt] += (shared,)
        _descend(cluster, shared, least, found)


def _common(first: Prompt, second: Prompt) -> int:
    """How many tokens two prompts begin with in common."""
    for at, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return at
    return min(len(first), len(second))
