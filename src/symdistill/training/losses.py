"""The loss of every supervised method, and logits computed where there is a label only.

    loss = Σ_g λ_g · f_g · ( Σ_i w_i Σ_t CE_it ) / ( Σ_i w_i T_i )

g runs over groups, i over the examples of a group in the whole optimiser step (all batches of all processes), t over
the T_i tokens of a completion, end of turn included. A mean over the mixed batch would silently change λ.

f_g is how much of the group there is in the step, beside how much there is on average: the mean over the step's
examples of their weights where they are of the group (0 where not), divided by the same mean over all examples. It is
1 where a step holds the groups in the proportions of the whole, always so for one group of equal weights. Without it a
group that stands in few steps would weigh less than its λ says, and weights that are alike within a step would cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from symdistill.training.collation import Batch
from symdistill.training.logits import LogitCurve, curve_of
from symdistill.training.shared_attention import forward

SHORT_ROW = 192
"""Tokens up to which plain bfloat16 attention trains faster on a CPU than the fused kernel (5.0 against 5.5 CPU
seconds for a step of 8 rows of 100 tokens with a 135M student; equal at 256, slower from 512 on)."""

CHUNK = 256
"""Labels whose logits are in memory at a time."""
_ROWS = 16
_VOCABULARY = 8192


def group_sizes(batches: Sequence[Batch], groups: int) -> torch.Tensor:
    """Σ_i w_i T_i of each group over the batches given, float64 `[groups]`."""
    sizes = torch.zeros(groups, dtype=torch.float64)
    for batch in batches:
        sizes.index_add_(0, batch.group.cpu(), batch.weight.double().cpu())
    return sizes


def group_masses(batches: Sequence[Batch], groups: int) -> torch.Tensor:
    """Σ_i w_i of each group over the batches given, and behind them the number of examples: float64 `[groups + 1]`."""
    masses = torch.zeros(groups + 1, dtype=torch.float64)
    for batch in batches:
        masses += batch.masses.cpu()
    return masses


def shares_of_groups(step: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """f of each group, given the masses of a step and those of all examples (`group_masses`): float64 `[groups]`."""
    found, usual = step[:-1] / step[-1].clamp(min=1), whole[:-1] / whole[-1].clamp(min=1)
    return torch.where(usual > 0, found / usual.clamp(min=torch.finfo(usual.dtype).tiny), 0.0)


class CompletionLoss:
    """A batch's share of its step's loss; the shares of all batches of a step add up to the loss.

    A hook takes the hidden states of the predicting positions before they enter the model's output embedding: the
    head, the largest matrix of a small model, works on labels alone, while whatever wraps the model (DDP, FSDP, LoRA)
    stays as it is. Where the model does no more to the head's logits than scale and cap them (`logits.curve_of`), they
    are computed `CHUNK` labels at a time and never kept (`chunked`), so that memory does not grow with vocabulary times
    labels; a model that does anything else does so here too, to the logits of all labels. A model that does not pass
    its hidden states through the head at all has every logit computed and the wanted ones taken from them.
    """

    def __init__(self, model: Any, lambdas: torch.Tensor, *, chunked: bool, recomputed: bool = False) -> None:
        """`recomputed`: the model checkpoints its activations, and must find the same attention on the way back."""
        self._recomputed = recomputed
        self._head = model.get_output_embeddings()
        self.lambdas = lambdas
        self._curve = curve_of(model, self._head) if chunked and type(self._head) is torch.nn.Linear else None

    def __call__(self, model: Any, batch: Batch, sizes: torch.Tensor) -> torch.Tensor:
        """`sizes` `[groups]` are those of the whole step, divided by f. A batch of tries wants `sharing`, backward pass
        included."""
        share = torch.where(sizes > 0, self.lambdas.to(sizes) / sizes, 0.0)
        coefficients = batch.weight * share.to(batch.weight)[batch.group]
        taken: list[torch.Tensor] = []

        def take(hidden: torch.Tensor) -> torch.Tensor:
            taken.append(hidden[batch.row, batch.at])
            return taken[0][None, :1] if self._curve else taken[0][None]

        with _into(self._head, batch, take), nullcontext() if self._recomputed else _attention(batch):
            logits = _forward(model, batch).logits
        if taken and self._curve:
            bias = getattr(self._head, "bias", None)
            loss: torch.Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
                taken[0], self._head.weight, bias, batch.target, coefficients, self._curve
            )
            return loss
        logits = logits[0] if taken else logits[batch.row, batch.at]
        losses = torch.nn.functional.cross_entropy(logits.float(), batch.target, reduction="none")
        return (losses * coefficients.to(losses)).sum()


class _LinearCrossEntropy(torch.autograd.Function):
    """Σ_k c_k · CE(curve(W h_k + b), y_k), with its gradients computed on the way, `CHUNK` labels at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        target: torch.Tensor,
        coefficients: torch.Tensor,
        curve: LogitCurve,
    ) -> torch.Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        matrix = weight.to(dtype)
        to_hidden = torch.empty_like(hidden)
        to_weight = torch.empty_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        to_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and ctx.needs_input_grad[2] else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        # Fresh pages for every chunk would cost as much as what is written to them.
        room = hidden.new_empty(min(CHUNK, len(hidden)), weight.shape[0], dtype=dtype)
        with torch.autocast(device, enabled=False):
            for begin in range(0, len(hidden), CHUNK):
                part = slice(begin, begin + CHUNK)
                states, labels, factors = hidden[part].to(dtype), target[part], coefficients[part].float()
                logits = torch.mm(states, matrix.T, out=room[: len(states)])
                if bias is not None:
                    logits += bias.to(dtype)
                losses = _losses_to_gradients(logits, labels, curve)
                total += (factors * losses).sum()
                to_hidden[part] = (logits @ matrix) * factors[:, None]
                if to_bias is not None:
                    to_bias += factors @ logits.float()
                if to_weight is not None:
                    _add_product(to_weight, logits, (states * factors[:, None]).to(dtype), first=begin == 0)
        gradients = (to_hidden, to_weight, to_bias)
        ctx.save_for_backward(*(g for g in gradients if g is not None))
        ctx.present = [g is not None for g in gradients]
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[torch.Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        scale = outer[0]
        # Usually nothing follows the loss: on a CPU a look at the scale saves a pass over the head's gradient.
        plain = not scale.is_cuda and float(scale) == 1.0
        found = [(next(saved) if plain else next(saved) * scale) if present else None for present in ctx.present]
        return (*found, None, None, None)


def _losses_to_gradients(logits: torch.Tensor, labels: torch.Tensor, curve: LogitCurve) -> torch.Tensor:
    """The cross-entropy of the curve of each row of `logits` `[K, V]`, float32 `[K]`; `logits` become its gradient."""
    losses = torch.empty(len(labels), dtype=torch.float32, device=logits.device)
    # A few rows in float32 stay in a CPU's cache for all that is done with them.
    step = len(labels) if logits.is_cuda else _ROWS
    for begin in range(0, len(labels), step):
        part = slice(begin, begin + step)
        shaped = logits[part] if curve.straight else curve.apply(logits[part].to(torch.float32, copy=True))
        logprobs = torch.log_softmax(shaped, -1, dtype=torch.float32)
        chosen = labels[part, None]
        losses[part] = -logprobs.gather(1, chosen)[:, 0]
        gradient = logprobs.exp_()
        gradient.scatter_add_(1, chosen, gradient.new_full(chosen.shape, -1.0))
        if not curve.straight:
            gradient *= curve.slope(shaped)
        logits[part] = gradient
    return losses


def _add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, first: bool) -> None:
    """total += leftᵀ @ right, or total = it where it is the `first`, some rows at a time: the product is as large as
    the head, and never there whole. `left` `[K, V]`, `right` `[K, size]`, `total` `[V, size]`."""
    step = len(total) if total.is_cuda else _VOCABULARY
    for begin in range(0, len(total), step):
        part = slice(begin, begin + step)
        product = left[:, part].T @ right
        if first:
            total[part] = product
        else:
            total[part] += product


def _forward(model: Any, batch: Batch) -> Any:
    if batch.layout is None or batch.depths is None:
        return model(input_ids=batch.input_ids, use_cache=False)
    return forward(model, batch.input_ids[0], batch.depths, batch.layout)


@contextmanager
def _into(head: Any, batch: Batch, take: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Have `take` decide what of the hidden states `[B, T, size]` enters the head."""

    def hook(_module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        hidden = arguments[0] if arguments else None
        if hidden is None or hidden.shape[:2] != batch.input_ids.shape:
            return None
        return (take(hidden), *arguments[1:])

    handle = head.register_forward_pre_hook(hook) if head is not None else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _attention(batch: Batch) -> AbstractContextManager[None]:
    short = batch.layout is None and batch.input_ids.shape[1] <= SHORT_ROW
    plain = short and batch.input_ids.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()
