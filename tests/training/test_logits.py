"""The curve from a head's logits to a model's is found by measuring, and is what the model does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import (
    Cohere2Config,
    Cohere2ForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GraniteConfig,
    GraniteForCausalLM,
)

from symdistill.training.logits import LogitCurve, curve_of
from tiny import tiny_model

SIZES: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}


@pytest.mark.parametrize(
    ("make", "scale", "cap"),
    [
        (tiny_model, 1, None),
        (lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8)), 1, 30),
        (lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=0.5)), 1, 0.5),
        (lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=None)), 1, None),
        (lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, head_dim=8, final_logit_softcapping=20.0)), 1, 20),
        (lambda: CohereForCausalLM(CohereConfig(**SIZES)), 0.0625, None),
        (lambda: Cohere2ForCausalLM(Cohere2Config(**SIZES, logit_scale=0.3)), 0.3, None),
        (lambda: GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=13.0)), 1 / 13, None),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_curve_of_a_family_is_what_its_models_do(make: Any, scale: float, cap: float | None, dtype: Any) -> None:
    model = make().to(dtype)
    curve = curve_of(model, model.lm_head)
    assert curve is not None
    assert (curve.scale, curve.cap or 0) == pytest.approx((scale, cap or 0), rel=1e-6)
    assert curve.straight == (scale == 1 and cap is None)
    assert model.training == make().training
    said: list[torch.Tensor] = []
    model.lm_head.register_forward_hook(lambda _m, _a, output: said.append(output.detach().clone()))
    with torch.no_grad():
        wanted = model.eval()(input_ids=torch.arange(12)[None], use_cache=False).logits
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 1e-2}
    torch.testing.assert_close(curve.apply(said[0].float()), wanted.float(), **tolerance)


class Head(torch.nn.Module):
    """As much of a model as there is to measure: a head, and `after` it a function."""

    def __init__(self, after: Any) -> None:
        super().__init__()
        self.lm_head = torch.nn.Linear(4, 50, bias=False)
        self._after = after

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        hidden = torch.nn.functional.one_hot(input_ids, 4).float()
        return SimpleNamespace(logits=self._after(self.lm_head, hidden))


def masked(head: Any, hidden: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = head(hidden)
    logits[..., 7] = torch.finfo(logits.dtype).min
    return logits


@pytest.mark.parametrize(
    ("after", "curve"),
    [
        (lambda head, hidden: 3.0 * torch.tanh(2.0 * head(hidden) / 3.0), LogitCurve(2.0, 3.0)),
        (lambda head, hidden: -head(hidden), LogitCurve(-1.0)),
        (lambda head, hidden: head(hidden) + 1.0, None),
        (lambda head, hidden: head(hidden).square(), None),
        (lambda head, hidden: head(hidden).clamp(-10, 10), None),
        (lambda head, hidden: head(hidden).log_softmax(-1), None),
        (lambda head, hidden: head(hidden)[..., :40], None),
        (lambda head, hidden: head(hidden).flip(-1), None),
        (lambda head, hidden: head(hidden) + head(hidden), None),
        (lambda head, hidden: hidden @ head.weight.T, None),
        (masked, None),
    ],
)
def test_what_is_of_another_kind_has_no_curve(after: Any, curve: LogitCurve | None) -> None:
    model = Head(after)
    found = curve_of(model, model.lm_head)
    if curve is None or found is None:
        assert found == curve
    else:
        assert (found.scale, found.cap or 0) == pytest.approx((curve.scale, curve.cap or 0))


@pytest.mark.parametrize("curve", [LogitCurve(), LogitCurve(0.25), LogitCurve(1.0, 2.0), LogitCurve(-3.0, 5.0)])
def test_the_slope_is_the_derivative(curve: LogitCurve) -> None:
    said, step = torch.linspace(-4, 4, 33, dtype=torch.float64), 1e-4
    slope = torch.as_tensor(curve.slope(curve.apply(said.clone())), dtype=torch.float64)
    risen = (curve.apply(said + step) - curve.apply(said - step)) / (2 * step)
    torch.testing.assert_close(slope.expand_as(said), risen, rtol=1e-6, atol=1e-7)
