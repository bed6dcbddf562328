"""bfloat16 weights to compute with, float32 weights to learn with (Micikevicius et al. 2018, section 3.1).

Autocast alone keeps float32 weights in the model and casts every one of them in every forward pass, their gradients on
the way back, and much of what flows between layers. Here the model's own weights are bfloat16 for the length of a
training, each with a float32 master beside it: the optimiser moves the masters, and a small step that bfloat16 would
round away is kept. A gradient is added to its master's as soon as it is there and freed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class MasterWeights:
    """The float32 masters of a model whose weights become bfloat16; `close` gives the model its masters back.

    Embeddings, of tokens and of positions, stay as they are (and cast what they give out): a row read many times in a
    step sums as many gradients, too many for bfloat16. Frozen weights are cast like the others and come back unchanged.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tables = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
        apart = {id(p) for table in self._tables for p in table.parameters()}
        named = {id(p): p for p in model.parameters() if p.dtype == torch.float32}
        self._cast = [p for key, p in named.items() if key not in apart]
        self._wide = [p.data for p in self._cast]
        self._narrow = [p.data.to(torch.bfloat16) for p in self._cast]
        self._masters: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
        self._waiting: set[torch.nn.Parameter] = set()
        self._set(self._narrow)
        self._handles: list[Any] = []
        self._narrow_tables()
        for parameter, wide in zip(self._cast, self._wide, strict=True):
            if parameter.requires_grad:
                self._masters[parameter] = torch.nn.Parameter(wide)
                self._handles.append(parameter.register_post_accumulate_grad_hook(self._take))

    def of(self, parameter: torch.nn.Parameter) -> torch.nn.Parameter:
        """What the optimiser moves for a parameter of the model: its master, or itself where it has none."""
        return self._masters.get(parameter, parameter)

    def trained(self) -> list[torch.nn.Parameter]:
        """All the optimiser moves, each with its gradient after `gradients`."""
        return [self.of(p) for p in self._model.parameters() if p.requires_grad]

    @contextmanager
    def gradients(self) -> Iterator[None]:
        """Within the block, one optimiser step's backward passes, gradients gather at the masters, from zero."""
        self._waiting = set(self._masters)
        try:
            yield
        finally:
            for parameter in self._waiting:
                self._masters[parameter].grad = None
            self._waiting = set()

    def _take(self, parameter: torch.nn.Parameter) -> None:
        master, gradient = self._masters[parameter], parameter.grad
        assert gradient is not None
        if master.grad is None:
            master.grad = gradient.to(torch.float32)
        elif parameter in self._waiting:
            master.grad.copy_(gradient)  # last step's memory: fresh pages would cost as much as what is written to them
        else:
            master.grad.add_(gradient)
        self._waiting.discard(parameter)
        parameter.grad = None

    def refresh(self) -> None:
        """Round the masters into the model; after every optimiser step."""
        with torch.no_grad():
            torch._foreach_copy_(self._narrow, self._wide)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Within the block the model holds its masters, to be saved, copied, or loaded into."""
        self._widen_tables()
        self._set(self._wide)
        try:
            yield
        finally:
            self.refresh()
            self._set(self._narrow)
            self._narrow_tables()

    def close(self) -> None:
        """The model is what it was before, with what it learned."""
        self._widen_tables()
        for handle in self._handles:
            handle.remove()
        self._set(self._wide)
        self._narrow = []

    def _narrow_tables(self) -> None:
        self._hooks = [t.register_forward_hook(lambda _module, _inputs, found: _narrowed(found)) for t in self._tables]

    def _widen_tables(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _set(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self._cast, values, strict=True):
            parameter.data = value


def _narrowed(found: Any) -> Any:
    return found.to(torch.bfloat16) if isinstance(found, torch.Tensor) and found.dtype == torch.float32 else found
