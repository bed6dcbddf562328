"""Attention over keys and values that rows hold of their own or share, for any model that lets it be exchanged.

transformers hands every layer's queries to the function registered here, together with the `reader` the model was
called with: `Prefill` while prompts are computed, `slots.Slots` while tokens are decoded. Parts of a prompt's past that
lie in different places are attended to one after the other and merged by their log-sum-exp, which is exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache

NAME = "symdistill"
_KNOWN = frozenset({"is_causal", "position_ids", "use_cache", "output_attentions", "output_hidden_states"})

_FEW = 256
"""Tokens up to which all of a prompt's scores are held at once."""

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


class Reader(Cache, ABC):  # type: ignore[misc]
    """What stands in for a cache: layers hand their new keys and values through, `attend` does the rest."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.layer = 0

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> Pair:
        self.layer = layer_idx
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    @abstractmethod
    def attend(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        """`[rows, heads, new tokens, size]` for queries of that shape; raises CannotAttend."""


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
        if not self._past and tokens <= _FEW and queries.device.type == "cpu":
            return _over_few(queries, keys, values, scale)
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


def _over_few(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
    """Causal attention by plain products, for which a CPU's attention kernel takes twice as long with few tokens."""
    rows, heads, tokens, _ = queries.shape
    mask = torch.full((tokens, tokens), float("-inf"), dtype=queries.dtype).triu_(1)
    grouped = (queries * scale).reshape(rows, keys.shape[1], -1, queries.shape[-1])
    scores = torch.matmul(grouped, keys.transpose(2, 3)).view(rows, heads, tokens, tokens).add_(mask)
    return torch.matmul(scores.softmax(-1).view(*grouped.shape[:3], tokens), values).view(queries.shape)


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
