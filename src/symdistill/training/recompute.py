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


@contextmanager
def cheap_parts_recomputed(model: Any) -> Iterator[None]:
    """Within the block the model's norms, and its gated feed-forward blocks of the usual form, keep no more than their
    inputs."""
    changed = []
    for module in model.modules():
        forward = _forward(module)
        if forward is not None:
            module.forward = forward
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward  # the class's own is found again


def _forward(module: Any) -> Callable[..., Any] | None:
    if "forward" in vars(module):
        return None  # somebody else's
    own = module.forward
    if type(module).__name__.endswith("Norm") and not list(module.children()):
        return lambda *given: _again(own, *given)
    if all(hasattr(module, name) for name in _GATED) and type(module.down_proj) is torch.nn.Linear:

        def output(gate: torch.Tensor, up: torch.Tensor) -> Any:
            return module.down_proj(module.act_fn(gate) * up)

        def gated(states: torch.Tensor) -> Any:
            return _again(output, module.gate_proj(states), module.up_proj(states))

        return gated if _same(own, gated, module.gate_proj) else None
    return None


def _again(function: Callable[..., Any], *given: Any) -> Any:
    if not torch.is_grad_enabled():
        return function(*given)
    # Recomputing stops at what is wanted: the product at the end of a block is not computed a second time.
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
