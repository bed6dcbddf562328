"""Computing again on the way back what is cheap to compute and large to keep.

Between its matrix products a decoder keeps, for every token, several copies of its normalised states and of the gated
states of its feed-forward block: about half of all that is kept for the backward pass. Computed again from what the
products keep anyway they cost a few passes over memory, and the results are the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

_GATED = ("gate_proj", "up_proj", "down_proj", "act_fn")


class CheapParts:
    """A model whose norms, and gated feed-forward blocks of the usual form, keep no more than their inputs, until
    `close`. A copy of the model would call the parts of this one: make it while this is `paused`."""

    def __init__(self, model: Any) -> None:
        self._forwards = {m: forward for m in model.modules() if (forward := _forward(m)) is not None}
        self._change()

    def _change(self) -> None:
        for module, forward in self._forwards.items():
            module.forward = forward

    def _restore(self) -> None:
        for module in self._forwards:
            del module.forward  # the class's own is found again

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block the model is as it was."""
        self._restore()
        try:
            yield
        finally:
            self._change()

    def close(self) -> None:
        self._restore()
        self._forwards = {}


def _forward(module: Any) -> Callable[..., Any] | None:
    if "forward" in vars(module):
        return None  # somebody else's
    own = module.forward
    if type(module).__name__.endswith("Norm") and not list(module.children()):
        return lambda *given, **named: own(*given, **named) if named else _again(own, *given)
    if all(hasattr(module, name) for name in _GATED):
        gated = _gated(module)
        return gated if _same(own, gated, module.gate_proj) else None
    return None


def _gated(module: Any) -> Callable[..., Any]:
    """The forward of a gated feed-forward block that keeps its two inner products alone."""

    def inner(gate: torch.Tensor, up: torch.Tensor) -> Any:
        return module.act_fn(gate) * up

    def whole(gate: torch.Tensor, up: torch.Tensor) -> Any:
        return module.down_proj(inner(gate, up))

    def forward(states: torch.Tensor) -> Any:
        gate, up = module.gate_proj(states), module.up_proj(states)
        if type(module.down_proj) is torch.nn.Linear:
            return _again(whole, gate, up)  # its product is the last thing done, and is not computed a second time
        return module.down_proj(_again(inner, gate, up))

    return forward


def _again(function: Callable[..., Any], *given: Any) -> Any:
    if not torch.is_grad_enabled():
        return function(*given)
    return checkpoint(function, *given, use_reentrant=False, preserve_rng_state=False)


def _same(one: Callable[..., Any], other: Callable[..., Any], first: Any) -> bool:
    """Whether two forms of a block compute the same; what a block does is tried, not read from its name."""
    size = int(getattr(first, "in_features", 0) or getattr(getattr(first, "base_layer", None), "in_features", 0))
    weight = next(first.parameters())
    states = torch.linspace(-1, 1, 3 * size, dtype=torch.float32, device=weight.device).view(1, 3, size)
    try:
        with torch.no_grad():
            return bool(torch.equal(one(states.to(weight.dtype)), other(states.to(weight.dtype))))
    except (TypeError, RuntimeError):
        return False
