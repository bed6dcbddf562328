"""Attention over keys and values that rows hold of their own or share, for any model that lets it be exchanged.

transformers hands every layer's queries to the function registered here, together with the `reader` the model was
called with: `Prefill` while prompts are computed, `Slots` while tokens are decoded. Parts of a row's past that lie in
different places are attended to one after the other and merged by their log-sum-exp, which is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache

NAME = "symdistill"
_KNOWN = frozenset({"is_causal", "position_ids", "use_cache", "output_attentions", "output_hidden_states"})
_LINE = 64
"""Bytes of a line of the processor's cache, on which memory should begin."""
_ROOM = 32
"""Slots have room for a multiple of so many tokens. All of it takes part in every step: to cut a view out of it would
be to copy it."""

Pair = tuple[torch.Tensor, torch.Tensor]


class CannotAttend(Exception):
    """The model wants something of its attention that is not known here."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """The tokens of a prompt from `start` on, computed: keys and values `[key heads, tokens, size]` of each layer.

    What lies before `start` is in `parent`. `logits` `[vocabulary]` are those of the last token. `shared` ones are
    attended to where they are; others are copied to the rows that need them.
    """

    tokens: tuple[int, ...]
    parent: Stretch | None
    layers: list[Pair]
    logits: torch.Tensor | None
    shared: bool

    @property
    def start(self) -> int:
        return len(self.parent.tokens) if self.parent else 0

    def path(self) -> list[Stretch]:
        """The stretches that make up the prompt, first to last."""
        return [*(self.parent.path() if self.parent else ()), self]


class Reader(Cache):  # type: ignore[misc]
    """What stands in for a cache: layers hand their new keys and values through, `attend` does the rest."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.layer = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> Pair:
        self.layer = layer_idx
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        """`[rows, heads, new tokens, size]` for queries of that shape; raises CannotAttend."""
        raise NotImplementedError


class Prefill(Reader):
    """Prompts computed together, padded on the right, that all go on from `parent`."""

    def __init__(self, parent: Stretch | None) -> None:
        super().__init__()
        self.computed: dict[int, Pair] = {}
        self._past = parent.path() if parent else []

    def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        self.computed[self.layer] = (keys, values)
        rows, heads, tokens, size = queries.shape
        groups = heads // keys.shape[1]
        if groups > 1:
            keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
        if not self._past:
            return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scale)
        out, weight = _with_weight(queries, keys, values, scale, causal=True)
        together = queries.view(rows, -1, groups, tokens, size).permute(1, 0, 2, 3, 4)
        for stretch in self._past:
            held_keys, held_values = stretch.layers[self.layer]
            flat = together.reshape(1, len(held_keys), -1, size)
            past, past_weight = _with_weight(flat, held_keys[None], held_values[None], scale)
            past = past.view(-1, rows, groups, tokens, size).transpose(0, 1).reshape(out.shape)
            past_weight = past_weight.view(-1, rows, groups, tokens).transpose(0, 1).reshape(weight.shape)
            out, weight = _merged(out, weight, past, past_weight)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A stretch that the rows `index` (None: all) share, and the columns of the scores it takes."""

    stretch: Stretch
    index: torch.Tensor | None
    start: int
    end: int


class Slots(Reader):
    """The rows that are being decoded, dense from slot 0: each holds the keys and values that are its alone.

    A slot's tokens stand in no particular place of the prompt: positions are in the keys already.
    """

    def __init__(self, most_rows: int) -> None:
        super().__init__()
        self.lengths: list[int] = []
        self._most_rows = most_rows
        self._held: dict[int, Pair] = {}
        self._capacity = 0
        self._shared: list[list[Stretch]] = []
        self._parts: list[_Part] = []
        self._parts_are_new = True
        self._reach = 0
        self._places = self._mask = torch.empty(0)

    def enter(self, path: Sequence[Stretch]) -> None:
        """Take a row in, behind the last one, whose prompt is `path`."""
        slot = len(self.lengths)
        own = [s for s in path if not s.shared]
        total = sum(len(s.tokens) - s.start for s in own)
        if not self._held:
            for layer, (keys, _) in enumerate(path[-1].layers):
                empty = keys.new_empty(self._most_rows, keys.shape[0], 0, keys.shape[2])
                self._held[layer] = (empty, empty)
        self._make_room(total)
        self.lengths.append(total)
        self._shared.append([s for s in path if s.shared])
        self._parts_are_new = True
        for layer, (keys, values) in self._held.items():
            at = 0
            for stretch in own:
                new_keys, new_values = stretch.layers[layer]
                keys[slot, :, at : at + new_keys.shape[1]] = new_keys
                values[slot, :, at : at + new_keys.shape[1]] = new_values
                at += new_keys.shape[1]

    def leave(self, slot: int) -> None:
        """Let a row go; the last row moves into its slot."""
        last, length = len(self.lengths) - 1, self.lengths[-1]
        if slot != last:
            for keys, values in self._held.values():
                keys[slot, :, :length] = keys[last, :, :length]
                values[slot, :, :length] = values[last, :, :length]
            self.lengths[slot], self._shared[slot] = length, self._shared[last]
        self.lengths.pop()
        self._shared.pop()
        self._parts_are_new = True

    def begin(self) -> None:
        """Make ready for one new token in every row."""
        longest = max(self.lengths)
        self._make_room(longest + 1)
        if self._capacity > longest + 2 * _ROOM:
            self._resize(longest + 1)
        keys = self._held[0][0]
        heads = keys.shape[1]
        lengths = torch.tensor(self.lengths, device=keys.device)
        slots = torch.arange(len(self.lengths) * heads, device=keys.device)
        self._places = slots * self._capacity + lengths.repeat_interleave(heads)
        beyond = torch.arange(self._capacity, device=keys.device) > lengths[:, None]
        wide = torch.float32 if keys.device.type == "cpu" else keys.dtype
        self._mask = torch.zeros(beyond.shape, dtype=wide, device=keys.device).masked_fill_(beyond, float("-inf"))[
            :, None, None
        ]
        if self._parts_are_new:
            self._find_parts(keys.device)
            self._parts_are_new = False

    def end(self) -> None:
        """The new tokens are in."""
        self.lengths = [length + 1 for length in self.lengths]

    def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        rows, size = len(queries), queries.shape[-1]
        held_keys, held_values = self._held[self.layer]
        held_keys.view(-1, size).index_copy_(0, self._places, keys.reshape(-1, size))
        held_values.view(-1, size).index_copy_(0, self._places, values.reshape(-1, size))
        own_keys, own_values = held_keys[:rows], held_values[:rows]
        grouped = queries.reshape(rows, keys.shape[1], -1, size)
        if queries.device.type != "cpu":
            out = torch.nn.functional.scaled_dot_product_attention(
                grouped, own_keys, own_values, attn_mask=self._mask, scale=scale
            )
            return out.reshape(queries.shape)
        # One query a row makes two thin products, which a CPU's attention kernel does at half their speed; the first
        # one is quicker with the keys on the left.
        scores = torch.matmul(own_keys, (grouped * scale).transpose(2, 3)).transpose(2, 3) + self._mask
        if not self._parts:
            return torch.matmul(scores.softmax(-1).to(values.dtype), own_values).view(queries.shape)
        return self._with_shared(grouped * scale, scores, own_values).view(queries.shape)

    def _with_shared(self, queries: torch.Tensor, scores: torch.Tensor, own_values: torch.Tensor) -> torch.Tensor:
        """Attention over the rows' own tokens, of which the scores are given, and over the stretches they share."""
        rows, heads, group, size = queries.shape
        across = scores.new_full((rows, heads, group, self._reach + scores.shape[-1]), float("-inf"))
        across[..., self._reach :] = scores
        for part in self._parts:
            keys = part.stretch.layers[self.layer][0]
            some = queries if part.index is None else queries[part.index]
            found = torch.matmul(some.transpose(0, 1).reshape(heads, -1, size), keys.transpose(1, 2))
            place = slice(None) if part.index is None else part.index
            across[place, :, :, part.start : part.end] = (
                found.view(heads, -1, group, keys.shape[1]).transpose(0, 1).float()
            )
        weights = across.softmax(-1).to(own_values.dtype)
        out = torch.matmul(weights[..., self._reach :], own_values)
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
                members.setdefault(stretch, []).append(slot)
                ends[stretch] = end
        self._reach = max(ends.values(), default=0)
        self._parts = [
            _Part(
                stretch,
                None if len(rows) == len(self.lengths) else torch.tensor(rows, device=device),
                ends[stretch] - stretch.layers[0][0].shape[1],
                ends[stretch],
            )
            for stretch, rows in members.items()
        ]

    def _make_room(self, tokens: int) -> None:
        if tokens > self._capacity:
            self._resize(tokens)

    def _resize(self, tokens: int) -> None:
        """Let every slot hold `tokens` and a few more, in memory that is touched only where it is used."""
        used, rows = max(self.lengths, default=0), len(self.lengths)
        self._capacity = (tokens // _ROOM + 1) * _ROOM
        for layer, pair in self._held.items():
            resized = []
            for held in pair:
                room = _untouched_zeros(held, (*held.shape[:2], self._capacity, held.shape[3]))
                room[:rows, :, :used] = held[:rows, :, :used]
                resized.append(room)
            self._held[layer] = (resized[0], resized[1])


def _untouched_zeros(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros that take up memory only once they are written to, where the system has such. What is masked must still
    be a number: nothing times infinity is not nothing."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    size = math.prod(shape) * like.element_size()
    memory = torch.from_numpy(np.zeros(size + _LINE, np.uint8))
    begin = -memory.data_ptr() % _LINE
    return memory[begin : begin + size].view(like.dtype).view(shape)


def _merged(first: torch.Tensor, first_weight: torch.Tensor, second: torch.Tensor, second_weight: torch.Tensor) -> Pair:
    """Two attentions of the same queries over different keys as one over all of them; weights are log-sum-exps."""
    share = torch.sigmoid(second_weight - first_weight)[..., None]
    return torch.lerp(first.float(), second.float(), share).to(first.dtype), torch.logaddexp(
        first_weight, second_weight
    )


def _with_weight(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scale: float,
    *,
    causal: bool = False,
    mask: torch.Tensor | None = None,
) -> Pair:
    """Attention, and the log-sum-exp of its scores, float32 `[rows, heads, queries]`. On a CPU alone."""
    pair: Pair = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries, keys, values, 0.0, causal, attn_mask=mask, scale=scale
    )
    return pair


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    reader: Reader | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    unknown = [name for name, given in others.items() if given is not None and name not in _KNOWN]
    if unknown or reader is None or attention_mask is not None:
        raise CannotAttend(f"{type(module).__name__} asks for {', '.join(unknown) or 'a mask or another cache'}")
    out = reader.attend(query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
