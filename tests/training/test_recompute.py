from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.models.llama.modeling_llama import LlamaMLP

from symdistill.training.recompute import CheapParts
from tiny import tiny_model

IDS = torch.arange(1, 65).view(2, 32)


def step(model: Any) -> tuple[float, dict[str, torch.Tensor], int]:
    """The loss, every gradient, and the bytes kept for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.train()
    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    size = sum(n for at, n in kept.items() if at not in weights)
    loss.backward()
    return float(loss), {n: p.grad.clone() for n, p in model.named_parameters()}, size


def test_the_same_gradients_for_much_less_kept() -> None:
    model = tiny_model(intermediate_size=96)
    loss, gradients, kept = step(model)
    parts = CheapParts(model)
    again, found, less = step(model)
    with parts.paused():
        assert step(model)[2] == kept
        copy = deepcopy(model)
    assert step(model)[2] == less
    parts.close()
    assert again == loss
    assert found.keys() == gradients.keys()
    assert all(torch.equal(found[n], gradients[n]) for n in found)
    assert less < 0.75 * kept
    assert step(model)[2] == kept, "afterwards the model is as it was"
    assert not any("forward" in vars(m) for m in [*model.modules(), *copy.modules()])


class Scaled(LlamaMLP):  # type: ignore[misc]
    """Named and built like the usual block, and not computing the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * super().forward(x)


def test_a_block_of_another_form_stays_as_it_is() -> None:
    model = tiny_model()
    for layer in model.model.layers:
        layer.mlp = Scaled(model.config)
    loss, gradients, _ = step(model)
    CheapParts(model)
    assert "forward" not in vars(model.model.layers[0].mlp)
    assert "forward" in vars(model.model.layers[0].input_layernorm)
    again, found, _ = step(model)
    assert again == loss
    assert all(torch.equal(found[n], gradients[n]) for n in found)


def test_a_model_without_such_parts() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=70, n_embd=32, n_layer=1, n_head=2))
    model.config.resid_pdrop = 0.0
    model.eval()
    CheapParts(model)
    with torch.no_grad():
        assert model(input_ids=IDS).logits.shape == (2, 32, 70)
