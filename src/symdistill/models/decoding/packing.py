"""Weights of linear layers in the order the processor multiplies them in.

oneDNN brings a weight into its own blocked order at every call; with a few dozen rows that is a good part of the work.
Here it is done once. The products are the same up to the order of their sums.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from symdistill.models.weights import bfloat16_is_native

_TOLERANCE = 0.01
Forward = Callable[[torch.Tensor], torch.Tensor]


class Packed:
    """The linear layers of a model on a CPU, packed for about `rows` rows at a time; none where there is no way to.

    With `owned`, nobody else uses the model, and each weight is given up for its packed copy.
    """

    def __init__(self, model: Any, rows: int, *, owned: bool) -> None:
        self._rows = rows
        self._owned = owned
        self._linears = [m for m in model.modules() if type(m) is torch.nn.Linear] if _can_pack(model) else []
        self._tied = model.get_input_embeddings().weight
        self._forwards: list[Forward] = []

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let the layers compute with packed weights.

        They are packed anew each time unless `owned`: a fused optimiser changes weights without any sign of it.
        """
        if not (self._owned and self._forwards):
            self._forwards = []
            self._forwards = [self._pack(linear) for linear in self._linears]
            if self._owned:
                return_memory()
        for linear, forward in zip(self._linears, self._forwards, strict=True):
            linear.forward = forward  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            for linear in self._linears:
                del linear.forward

    def _pack(self, linear: torch.nn.Linear) -> Forward:
        """A layer's forward with packed weights; its own where that does not compute the same."""
        own, bias = linear.forward, linear.bias
        with torch.no_grad():
            weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), self._rows)

        def forward(x: torch.Tensor) -> torch.Tensor:
            product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
            return product

        with torch.no_grad():
            probe = torch.linspace(-1, 1, 2 * linear.in_features).view(2, -1).to(linear.weight.dtype)
            wanted = own(probe).float()
            if not float((forward(probe).float() - wanted).norm()) <= _TOLERANCE * float(wanted.norm()):
                return own
        if self._owned and linear.weight is not self._tied:
            linear.weight = torch.nn.Parameter(linear.weight.new_empty(0), requires_grad=False)
        return forward


def return_memory() -> None:
    """Hand back to the system what many small tensors took: glibc keeps it otherwise, a gap for each of them."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _can_pack(model: Any) -> bool:
    if model.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(model.dtype == torch.float32 or (model.dtype == torch.bfloat16 and bfloat16_is_native()))
