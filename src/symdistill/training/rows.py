"""Examples as tries: what they have in common stands once in a row, and everything after it sees it.

A row holds T tokens of one or more tries, one after the other, without padding. Examples are sorted by their ids, so
that each shares its longest prefix with the one before it; what is new of it follows in the row. A token's position is
its depth. What an example sees is its path: the row's indices of all its tokens, shared ones first.

Attention over a row is computed in blocks. A segment is a run of new tokens of one example; its queries see the path up
to their own depth. Segments of like length form a block of padded queries `[n, q]` over gathered keys `[n, k]`, so that
attention costs what it would in rows of their own while everything else (projections, MLPs) is computed once a token.
A dense mask over the whole row (tree masks as in AReaL's and TRL's trainers) would score every pair of tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from symdistill.students.formatting import EncodedExample

_LONGEST = 512
"""Queries of a segment at most: a longer run is cut, so that no block's scores grow with the square of its length."""
_SCORES = 1 << 20
"""Scores of a block and head at most, but for a block of one segment: 2 MB in bfloat16."""
_SLACK = 16
"""Query tokens by which a segment may be shorter than the longest of its block, or a quarter of it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Segments that are attended to together.

    queries [n, q]     indices into the row; short segments repeat their first query
    keys    [n, k]     indices into the row: the path, padded with its first token
    depth   [n, q]     positions of the queries; a query sees the keys up to its own depth
    """

    queries: torch.Tensor
    keys: torch.Tensor
    depth: torch.Tensor

    def to(self, device: torch.device) -> Block:
        return Block(self.queries.to(device), self.keys.to(device), self.depth.to(device))

    def visible(self, window: int | None = None) -> torch.Tensor:
        """Which keys each query sees, bool `[n, q, k]`; with a sliding window only the last `window` positions."""
        place = torch.arange(self.keys.shape[1], device=self.keys.device)
        seen = place <= self.depth[..., None]
        return seen if window is None else seen & (place > self.depth[..., None] - window)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a row of T tokens attends to itself: its blocks, and where each token's result is found among theirs.

    `place` `[T]` points into the blocks' queries, flattened and put one after the other.
    """

    blocks: tuple[Block, ...]
    place: torch.Tensor

    def to(self, device: torch.device) -> Layout:
        return Layout(tuple(b.to(device) for b in self.blocks), self.place.to(device))


@dataclass(frozen=True, slots=True)
class Trie:
    """One row: ids and depths `[T]`, and each example's path, numpy int64 `[its length]`, by its index."""

    ids: np.ndarray
    depths: np.ndarray
    paths: dict[int, np.ndarray]
    layout: Layout


def plan_rows(examples: Sequence[EncodedExample], budget: int) -> list[list[int]]:
    """Indices of the examples of each row, in the order of their ids; no row computes more than `budget` tokens unless
    one example alone does."""
    order = sorted(range(len(examples)), key=lambda i: examples[i].input_ids)
    rows: list[list[int]] = []
    tokens = 0
    for index in order:
        ids = examples[index].input_ids
        new = len(ids) - (common_prefix(examples[rows[-1][-1]].input_ids, ids) if rows else 0)
        if rows and tokens + new <= budget:
            rows[-1].append(index)
            tokens += new
        else:
            rows.append([index])
            tokens = len(ids)
    return rows


def build_trie(examples: Sequence[EncodedExample], order: Sequence[int]) -> Trie:
    """The row of the examples in `order`, which is that of their ids."""
    ids: list[int] = []
    depths: list[int] = []
    paths: dict[int, np.ndarray] = {}
    segments: list[_Segment] = []
    before: tuple[int, ...] = ()
    path = np.empty(0, dtype=np.int64)
    for index in order:
        example = examples[index]
        shared = common_prefix(before, example.input_ids)
        own = np.arange(len(ids), len(ids) + len(example.input_ids) - shared)
        ids += example.input_ids[shared:]
        depths += range(shared, len(example.input_ids))
        path = np.concatenate([path[:shared], own])
        paths[index] = path
        # A long prompt in a block of its own keeps the block of the completions narrow.
        cuts = sorted({shared, max(shared, example.prompt_length), len(path)})
        segments += [
            _Segment(start, path[: min(start + _LONGEST, end)])
            for begin, end in itertools.pairwise(cuts)
            for start in range(begin, end, _LONGEST)
        ]
        before = example.input_ids
    return Trie(np.array(ids, dtype=np.int64), np.array(depths, dtype=np.int64), paths, _layout(segments, len(ids)))


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two sequences begin with alike."""
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    low, high = 0, length  # equal up to low, different within high
    while high - low > 1:
        middle = (low + high) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class _Segment:
    begin: int
    path: np.ndarray

    @property
    def queries(self) -> int:
        return len(self.path) - self.begin


def _layout(segments: list[_Segment], tokens: int) -> Layout:
    place = np.empty(tokens, dtype=np.int64)
    blocks = []
    offset = 0
    for members in _alike(segments):
        width = max(s.queries for s in members)
        reach = max(len(s.path) for s in members)
        queries = np.empty((len(members), width), dtype=np.int64)
        depth = np.empty((len(members), width), dtype=np.int64)
        keys = np.empty((len(members), reach), dtype=np.int64)
        for row, segment in enumerate(members):
            own = segment.path[segment.begin :]
            place[own] = offset + row * width + np.arange(len(own))
            queries[row], depth[row] = own[0], segment.begin
            queries[row, : len(own)] = own
            depth[row, : len(own)] += np.arange(len(own))
            keys[row] = segment.path[0]
            keys[row, : len(segment.path)] = segment.path
        blocks.append(Block(torch.from_numpy(queries), torch.from_numpy(keys), torch.from_numpy(depth)))
        offset += queries.size
    return Layout(tuple(blocks), torch.from_numpy(place))


def _alike(segments: list[_Segment]) -> list[list[_Segment]]:
    """Segments put together so that little of a block is padding."""
    blocks: list[list[_Segment]] = []
    for segment in sorted(segments, key=lambda s: (-s.queries, -len(s.path))):
        longest = blocks[-1][0] if blocks else None
        if (
            longest
            and longest.queries - segment.queries <= max(_SLACK, longest.queries // 4)
            and (len(blocks[-1]) + 1) * longest.queries * max(len(s.path) for s in (*blocks[-1], segment)) <= _SCORES
        ):
            blocks[-1].append(segment)
        else:
            blocks.append([segment])
    return blocks
