"""The rows that are being decoded: where their keys and values lie, and attention over them."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from symdistill.models.decoding.attention import Pair, Reader, Stretch

_ROOM = 32
"""A block has room for a multiple of so many tokens a row. All of it takes part in every step: to cut a view out of it
would be to copy it."""
_ROWS = 32
"""Rows of a block on a CPU: enough for one product, few enough to be of like length."""
_EVEN = 4
"""A step takes so many rows of a block, or a multiple of it, the last of them empty: every new shape of a product costs
oneDNN half a millisecond and, as long as it may come again, half a megabyte."""
_APART = 64
"""Tokens by which a row is shorter or longer than any of a block before another block is opened for it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A stretch that the rows `index` (None: all) share, and the columns of the scores it takes."""

    stretch: Stretch
    index: torch.Tensor | None
    start: int
    end: int


class _Block:
    """Rows of like length, dense from slot 0: each holds the keys and values that are its alone.

    A slot's tokens stand in no particular place of the prompt: positions are in the keys already.
    """

    def __init__(self, like: Sequence[Pair], rows: int) -> None:
        self.lengths: list[int] = []
        self.capacity = 0
        self.rows = 0
        self.mask = self._places = torch.empty(0)
        self._most_rows = rows
        self._layers = [
            (k.new_empty(rows, k.shape[0], 0, k.shape[2]), v.new_empty(rows, v.shape[0], 0, v.shape[2]))
            for k, v in like
        ]

    @property
    def longest(self) -> int:
        return max(self.lengths, default=0)

    def enter(self, own: Sequence[Stretch]) -> None:
        slot, total = len(self.lengths), sum(len(s.tokens) - s.start for s in own)
        self._make_room(total)
        self.lengths.append(total)
        for layer, held in enumerate(self._layers):
            at = 0
            for stretch in own:
                for place, new in zip(held, stretch.layers[layer], strict=True):
                    place[slot, :, at : at + new.shape[1]] = new
                at += len(stretch.tokens) - stretch.start

    def leave(self, slot: int) -> None:
        """Let a row go; the block's last row moves into its slot."""
        length = self.lengths.pop()
        last = len(self.lengths)
        if slot != last:
            self.lengths[slot] = length
            for held in (tensor for pair in self._layers for tensor in pair):
                held[slot, :, :length] = held[last, :, :length]

    def begin(self) -> None:
        """Make ready for one new token in every row."""
        self._make_room(self.longest + 1)
        if self.capacity > self.longest + 2 * _ROOM:
            self._resize(self.longest + 1)
        keys = self._layers[0][0]
        self.rows = min(self._most_rows, _evened(len(self.lengths)))
        lengths = torch.tensor([*self.lengths, *[0] * (self.rows - len(self.lengths))], device=keys.device)
        heads = torch.arange(self.rows * keys.shape[1], device=keys.device)
        self._places = heads * self.capacity + lengths.repeat_interleave(keys.shape[1])
        beyond = torch.arange(self.capacity, device=keys.device) > lengths[:, None]
        mask = torch.zeros(beyond.shape, dtype=keys.dtype, device=keys.device)
        self.mask = mask.masked_fill_(beyond, float("-inf"))[:, None, None]

    def put(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> Pair:
        """Take in one new token of every row `[rows, key heads, 1, size]`; all the rows' keys and values.

        An empty row's goes to the beginning of its slot, where nothing is, and is all that it sees.
        """
        for held, new in zip(self._layers[layer], (keys, values), strict=True):
            held.view(-1, new.shape[-1]).index_copy_(0, self._places, new.reshape(-1, new.shape[-1]))
        held_keys, held_values = self._layers[layer]
        return held_keys[: len(keys)], held_values[: len(keys)]

    def _make_room(self, tokens: int) -> None:
        if tokens > self.capacity:
            self._resize(tokens)

    def _resize(self, tokens: int) -> None:
        """Let every slot hold `tokens` and a few more. Row by row, so that no memory is touched without need."""
        self.capacity = (tokens // _ROOM + 1) * _ROOM
        for layer, pair in enumerate(self._layers):
            resized = []
            for held in pair:
                room = _untouched_zeros(held, (*held.shape[:2], self.capacity, held.shape[3]))
                for slot, length in enumerate(self.lengths):
                    room[slot, :, :length] = held[slot, :, :length]
                resized.append(room)
            self._layers[layer] = (resized[0], resized[1])


class Slots(Reader):
    """All rows, block by block: a row that is much shorter than another need not pay for its length.

    A step computes `places` rows, some of them empty; `taken` says which of them the slots are.
    """

    def __init__(self, most_rows: int) -> None:
        super().__init__()
        self._most_rows = most_rows
        self._blocks: list[_Block] = []
        self._shared: list[list[Stretch]] = []
        self._parts: list[_Part] = []
        self._parts_are_new = True
        self._reach = 0
        self.places = 0
        self.taken: list[int] = []

    def enter(self, path: Sequence[Stretch]) -> int:
        """Take a row in whose prompt is `path`; its slot. Rows from there on move up by one."""
        own = [s for s in path if not s.shared]
        block = self._block_for(sum(len(s.tokens) - s.start for s in own), path[-1].layers)
        block.enter(own)
        slot = sum(len(b.lengths) for b in self._blocks[: self._blocks.index(block) + 1]) - 1
        self._shared.insert(slot, [s for s in path if s.shared])
        self._parts_are_new = True
        return slot

    def leave(self, slot: int) -> int:
        """Let a row go. The slot of the row that takes its place; rows behind that one move down by one."""
        start = 0
        for block in self._blocks:
            end = start + len(block.lengths)
            if slot < end:
                break
            start = end
        block.leave(slot - start)
        if not block.lengths:
            self._blocks.remove(block)
        self._shared[slot] = self._shared[end - 1]
        del self._shared[end - 1]
        self._parts_are_new = True
        return end - 1

    def begin(self) -> None:
        """Make ready for one new token in every row."""
        self.places, self.taken = 0, []
        for block in self._blocks:
            block.begin()
            self.taken += range(self.places, self.places + len(block.lengths))
            self.places += block.rows
        if self._parts_are_new:
            self._find_parts(self._blocks[0].mask.device)
            self._parts_are_new = False

    def end(self) -> None:
        """The new tokens are in."""
        for block in self._blocks:
            block.lengths = [length + 1 for length in block.lengths]

    def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        grouped = queries.reshape(len(queries), keys.shape[1], -1, queries.shape[-1])
        counts = [block.rows for block in self._blocks]
        held = [
            block.put(self.layer, some_keys, some_values)
            for block, some_keys, some_values in zip(
                self._blocks, torch.split(keys, counts), torch.split(values, counts), strict=True
            )
        ]
        if queries.device.type != "cpu":
            [(own_keys, own_values)] = held
            out = torch.nn.functional.scaled_dot_product_attention(
                grouped, own_keys, own_values, attn_mask=self._blocks[0].mask, scale=scale
            )
            return out.reshape(queries.shape)
        # One query a row makes two thin products, which a CPU's attention kernel does at half their speed. The softmax
        # of bfloat16 scores is computed in float32 and rounded at its end.
        grouped = grouped * scale
        scores = [
            torch.matmul(some, own_keys.transpose(2, 3)).add_(block.mask)
            for block, some, (own_keys, _) in zip(self._blocks, torch.split(grouped, counts), held, strict=True)
        ]
        if self._parts:
            return self._with_shared(grouped, scores, [own for _, own in held]).view(queries.shape)
        outs = [torch.matmul(some.softmax(-1), own) for some, (_, own) in zip(scores, held, strict=True)]
        return (outs[0] if len(outs) == 1 else torch.cat(outs)).view(queries.shape)

    def _with_shared(
        self, queries: torch.Tensor, scores: Sequence[torch.Tensor], own_values: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Attention over the rows' own tokens, of which the scores are given, and over the stretches they share."""
        rows, heads, group, size = queries.shape
        width = max(block.capacity for block in self._blocks)
        across = queries.new_full((rows, heads, group, self._reach + width), float("-inf"))
        start = 0
        for some in scores:
            across[start : start + len(some), :, :, self._reach : self._reach + some.shape[-1]] = some
            start += len(some)
        for part in self._parts:
            keys = part.stretch.layers[self.layer][0]
            asking = queries if part.index is None else queries[part.index]
            found = torch.matmul(asking.transpose(0, 1).reshape(heads, -1, size), keys.transpose(1, 2))
            place = slice(None) if part.index is None else part.index
            across[place, :, :, part.start : part.end] = found.view(heads, -1, group, keys.shape[1]).transpose(0, 1)
        weights = across.softmax(-1)
        own = torch.split(weights[..., self._reach :], [len(some) for some in scores])
        out = torch.cat([torch.matmul(w[..., : v.shape[2]], v) for w, v in zip(own, own_values, strict=True)])
        for part in self._parts:
            values = part.stretch.layers[self.layer][1]
            seen = weights[..., part.start : part.end]
            seen = seen if part.index is None else seen[part.index]
            brought = torch.matmul(seen.transpose(0, 1).reshape(heads, -1, values.shape[1]), values)
            brought = brought.view(heads, -1, group, size).transpose(0, 1)
            if part.index is None:
                out += brought
            else:
                out.index_add_(0, part.index, brought)
        return out

    def _find_parts(self, device: torch.device) -> None:
        members: dict[Stretch, list[int]] = {}
        ends: dict[Stretch, int] = {}
        for slot, stretches in enumerate(self._shared):
            end = 0
            for stretch in stretches:
                end += stretch.layers[0][0].shape[1]
                members.setdefault(stretch, []).append(self.taken[slot])
                ends[stretch] = end
        self._reach = max(ends.values(), default=0)
        self._parts = [
            _Part(
                stretch,
                None if len(rows) == len(self._shared) else torch.tensor(rows, device=device),
                ends[stretch] - stretch.layers[0][0].shape[1],
                ends[stretch],
            )
            for stretch, rows in members.items()
        ]

    def _block_for(self, length: int, like: Sequence[Pair]) -> _Block:
        """The block with a free slot whose rows are most like a row of `length`, or a new one."""
        rows = _ROWS if like[0][0].device.type == "cpu" else self._most_rows
        free = [block for block in self._blocks if len(block.lengths) < rows]
        nearest = min(free, key=lambda block: abs(block.longest - length), default=None)
        many = len(self._blocks) >= 2 * math.ceil(self._most_rows / rows) or rows == self._most_rows
        if nearest is None or (abs(nearest.longest - length) > _APART and not many):
            nearest = _Block(like, rows)
            self._blocks.append(nearest)
        return nearest


def _evened(rows: int) -> int:
    return rows if rows <= _EVEN // 2 else -(-rows // _EVEN) * _EVEN


def _untouched_zeros(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros that take up memory only once they are written to, and give it back at once when they are let go of.

    What is masked must still be a number: nothing times infinity is not nothing.
    """
    if like.device.type != "cpu" or not math.prod(shape):
        return like.new_zeros(shape)
    # Of private memory (ACCESS_COPY) pages that are only read take up nothing.
    memory = mmap.mmap(-1, math.prod(shape) * like.element_size(), access=mmap.ACCESS_COPY)
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)
