"""Attention over rows of tries, for any Hugging Face model whose attention goes through transformers' registry.

The function registered here is given a `Layout` with each forward pass and computes what rows of their own would, for
grouped-query attention, sliding windows and soft-capped scores alike. Whether a model can do with it is not looked up
but tried (`can_share`): its logits on a small trie are compared with those of separate rows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface

from symdistill.models.exchange import exchanged_attention, positions_stand_alone
from symdistill.students.formatting import EncodedExample
from symdistill.training.rows import Block, Layout, build_trie, plan_rows

_NAME = "symdistill_trie"
_TOLERANCE = 1e-3


def trie_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *,
    layout: Layout,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one row: `query` `[1, heads, T, d]`, `key` and `value` `[1, kv heads, T, d]`.

    Returns `[1, T, heads, d]` and, as transformers expects it, no weights.
    """
    heads, size = query.shape[1], value.shape[-1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    queries, keys, values = (x[0].transpose(0, 1) for x in (query, key, value))
    results = []
    for block in layout.blocks:
        arguments = (queries, keys, values, block, scale, dropout, sliding_window, softcap)
        # Computed again on the way back: kept, the scores of all layers would take more memory than everything else.
        if torch.is_grad_enabled():
            found = checkpoint(_block, *arguments, use_reentrant=False, preserve_rng_state=dropout > 0)
        else:
            found = _block(*arguments)
        results.append(found.reshape(-1, heads, size))
    whole = results[0] if len(results) == 1 else torch.cat(results)
    return whole.index_select(0, layout.place)[None].to(query.dtype), None


def _block(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    block: Block,
    scale: float,
    dropout: float,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    """One block's results `[n, q, heads, d]`, from the row's `[T, heads, d]`.

    The query heads that share a key head are laid out as more queries of it, so that no key is copied for them.
    """
    (n, q), k = block.queries.shape, block.keys.shape[1]
    shared, size = keys.shape[1], keys.shape[2]
    grouped = queries.shape[1] // shared
    own = queries.index_select(0, block.queries.flatten()).view(n, q, shared, grouped, size)
    own = (own * scale).permute(0, 2, 3, 1, 4).reshape(n * shared, grouped * q, size)
    seen = keys.index_select(0, block.keys.flatten()).view(n, k, shared, size).permute(0, 2, 3, 1)
    scores = torch.bmm(own, seen.reshape(n * shared, size, k)).view(n, shared, grouped, q, k)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~block.visible(window)[:, None, None], torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(values.dtype)
    if dropout:
        weights = torch.nn.functional.dropout(weights, dropout)
    read = values.index_select(0, block.keys.flatten()).view(n, k, shared, -1).transpose(1, 2)
    result = torch.bmm(weights.view(n * shared, grouped * q, k), read.reshape(n * shared, k, -1))
    return result.view(n, shared, grouped, q, -1).permute(0, 3, 1, 2, 4)


AttentionInterface.register(_NAME, trie_attention)


def sharing(model: Any) -> AbstractContextManager[None]:
    """Within the block, forward and backward, the model attends over tries; it wants `layout=` with every call."""
    return exchanged_attention(model, _NAME)


def forward(model: Any, ids: torch.Tensor, depths: torch.Tensor, layout: Layout) -> Any:
    """The model's output for one row of tries; inside `sharing`."""
    return model(input_ids=ids[None], position_ids=depths[None], layout=layout, use_cache=False)


def can_share(model: Any) -> bool:
    """Whether the model computes the same logits from a row of tries as from separate rows.

    A model with recurrent layers, with positions it does not take as given, or with an attention of its own does not.
    """
    if not positions_stand_alone(model.config):
        return False
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    examples = []
    for row, (shared, length) in enumerate([(12, 24), (12, 20), (18, 26), (0, 15)]):
        numbers = (7 + 31 * i + (17 * i * row if i >= shared else 0) for i in range(length))
        examples.append(EncodedExample(tuple(i % vocabulary for i in numbers), prompt_length=5))
    [order] = plan_rows(examples, budget=10_000)
    trie = build_trie(examples, order)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            with sharing(model):
                ids, depths = torch.from_numpy(trie.ids).to(device), torch.from_numpy(trie.depths).to(device)
                together = forward(model, ids, depths, trie.layout.to(device)).logits[0].float()
            for index, example in enumerate(examples):
                alone = model(input_ids=torch.tensor([example.input_ids], device=device), use_cache=False)
                wanted = alone.logits[0].float()
                found = together[torch.from_numpy(trie.paths[index]).to(device)]
                if not float((found - wanted).abs().max()) <= _TOLERANCE * float(wanted.abs().max()):
                    return False
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError, IndexError):
        return False  # the model's own code does not take what it was given: an argument, a mask of this kind
    finally:
        model.train(was_training)
    return True
