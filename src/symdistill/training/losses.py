"""The loss of every supervised method, and logits computed where there is a label only.

    loss = Σ_g λ_g · ( Σ_i w_i Σ_t CE_it ) / ( Σ_i w_i T_i )

g runs over groups, i over the examples of a group in the whole optimiser step (all micro-batches of all processes), t
over the T_i tokens of a completion, end of turn included. A mean over the mixed batch would silently change λ.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from symdistill.training.collation import Batch

SHORT_ROW = 192
"""Tokens up to which plain bfloat16 attention trains faster on a CPU than the fused kernel (5.0 against 5.5 CPU
seconds for a step of 8 rows of 100 tokens with a 135M student; equal at 256, slower from 512 on)."""


def group_sizes(batches: Sequence[Batch], groups: int) -> torch.Tensor:
    """Σ_i w_i T_i of each group over the micro-batches given, float64 `[groups]`."""
    sizes = torch.zeros(groups, dtype=torch.float64)
    for batch in batches:
        sizes.index_add_(0, batch["group"].cpu(), batch["weight"].double().cpu())
    return sizes


def step_loss(logits: torch.Tensor, batch: Batch, sizes: torch.Tensor, lambdas: torch.Tensor) -> torch.Tensor:
    """A micro-batch's share of the step's loss; the shares of all micro-batches add up to the loss.

    `logits` `[K, vocabulary]` belong to the batch's K labels; `sizes` and `lambdas` `[groups]` to the whole step.
    """
    losses = torch.nn.functional.cross_entropy(logits.float(), batch["target"], reduction="none")
    share = torch.where(sizes > 0, lambdas / sizes, 0.0).to(losses)
    return (losses * batch["weight"].to(losses) * share[batch["group"]]).sum()


def completion_logits(model: Any, batch: Batch, head: Any) -> torch.Tensor:
    """Logits `[K, vocabulary]` of the batch's labels, from one forward pass of `model`.

    A hook takes the hidden states of the predicting positions before they enter `head`, the model's output embedding:
    the head, the largest matrix of a small model, works on labels alone, while whatever wraps the model (DDP, FSDP,
    LoRA) and whatever it does to its logits afterwards (scaling, soft caps) stay as they are. A model that does not
    pass its hidden states through `head` has all logits computed and the wanted ones taken from them.
    """
    seen = {}

    def take(_module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        hidden = arguments[0] if arguments else None
        if hidden is None or hidden.shape[:2] != batch["input_ids"].shape:
            return None
        seen["taken"] = True
        return (hidden[batch["row"], batch["at"]][None], *arguments[1:])

    hook = head.register_forward_pre_hook(take) if head is not None else None
    try:
        with _attention(batch["input_ids"]):
            logits: torch.Tensor = model(input_ids=batch["input_ids"], use_cache=False).logits
    finally:
        if hook is not None:
            hook.remove()
    return logits[0] if seen else logits[batch["row"], batch["at"]]


def _attention(ids: torch.Tensor) -> AbstractContextManager[None]:
    plain = ids.device.type == "cpu" and ids.shape[1] <= SHORT_ROW and torch.is_autocast_enabled("cpu")
    return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()
