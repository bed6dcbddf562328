"""What a model does to the logits of its output head before it hands them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

_TOKENS = 4
_NEAR, _FAR = 2.0**-20, 2.0**20
"""Where a curve still is its slope at nought, and where a cap is all that is left."""
_REACH = 200.0
"""Logits up to which the curve is compared."""


@dataclass(frozen=True, slots=True)
class LogitCurve:
    """cap · tanh(scale · x / cap) of each logit x of the head; scale · x without a cap.

    Gemma 2 and its like have a cap (`final_logit_softcapping`), Cohere multiplies (`logit_scale`), Granite divides
    (`logits_scaling`), most models do nothing.
    """

    scale: float = 1.0
    cap: float | None = None

    @property
    def straight(self) -> bool:
        """Whether logits stay as they are."""
        return self.scale == 1.0 and self.cap is None

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """The model's logits, given those of the head, in their place."""
        logits.mul_(self.scale)
        return logits if self.cap is None else logits.div_(self.cap).tanh_().mul_(self.cap)

    def slope(self, logits: torch.Tensor) -> torch.Tensor | float:
        """The derivative by the head's logits, where the model's are `logits`."""
        return self.scale if self.cap is None else self.scale * (1 - (logits / self.cap) ** 2)


def curve_of(model: Any, head: Any) -> LogitCurve | None:
    """The curve from the logits of `head` to those of `model`, measured: the model is run with others in the place of
    the head's. None where it is of another kind, or the logits do not come from one call of the head."""
    said: list[torch.Tensor] = []

    def exchanged(_module: Any, _arguments: Any, output: torch.Tensor) -> torch.Tensor:
        probe = torch.linspace(-_REACH, _REACH, output.numel(), device=output.device)
        probe[:2] = torch.tensor([_NEAR, _FAR])
        said.append(probe.view(output.shape))
        return said[-1].clone()

    handle = head.register_forward_hook(exchanged)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            ids = torch.arange(_TOKENS, device=head.weight.device)[None] % head.weight.shape[0]
            logits = model(input_ids=ids, use_cache=False).logits.float()
    finally:
        handle.remove()
        model.train(was_training)
    if len(said) != 1 or said[0].shape != logits.shape:
        return None
    near, far = logits.flatten()[:2].tolist()
    scale = near / _NEAR
    curve = LogitCurve(scale, None if abs(far - scale * _FAR) <= 1e-4 * abs(far) else abs(far))
    return curve if torch.allclose(curve.apply(said[0]), logits, rtol=1e-5, atol=1e-6) else None
