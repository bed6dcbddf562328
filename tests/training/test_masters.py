from __future__ import annotations

from copy import deepcopy

import pytest

pytest.importorskip("torch")

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from symdistill.training.masters import MasterWeights
from tiny import tiny_model

IDS = torch.arange(1, 25).view(2, 12)


def backward(model: torch.nn.Module, ids: torch.Tensor = IDS) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids, use_cache=False).logits
    torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids.flatten()).backward()


def test_the_model_computes_in_bfloat16_and_gets_its_float32_weights_back() -> None:
    model = tiny_model()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    masters = MasterWeights(model)
    embedding = model.get_input_embeddings().weight
    assert embedding.dtype == torch.float32, "rows of it sum many gradients in a step"
    assert {p.dtype for p in model.parameters() if p is not embedding} == {torch.bfloat16}
    assert {m.dtype for m in masters.trained()} == {torch.float32}
    masters.close()
    assert all(torch.equal(p, before[n]) and p.dtype == torch.float32 for n, p in model.named_parameters())
    assert model(input_ids=IDS).logits.dtype == torch.float32


def test_gradients_are_those_of_bfloat16_and_gather_in_float32() -> None:
    """Two passes add up, a later step starts from zero, and the error is that of autocast."""
    exact, cast, model = tiny_model(), tiny_model(), tiny_model()
    for ids in (IDS, IDS.flip(0) + 100):
        backward(cast, ids)
        logits = exact(input_ids=ids).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
    masters = MasterWeights(model)
    for _ in range(2):
        with masters.gradients():
            for ids in (IDS, IDS.flip(0) + 100):
                backward(model, ids)
        assert all(p.grad is None for p in model.parameters() if p.dtype == torch.bfloat16), "freed at once"
        found = [m.grad.clone() for m in masters.trained() if m.grad is not None]
        model.zero_grad()
    assert {g.dtype for g in found} == {torch.float32}
    wanted = [p.grad for p in exact.parameters()]
    noise = sum(float((p.grad - g).square().sum()) for p, g in zip(cast.parameters(), wanted, strict=True)) ** 0.5
    error = sum(float((f - g).square().sum()) for f, g in zip(found, wanted, strict=True)) ** 0.5
    assert 0 < error <= 2.0 * noise


def test_steps_too_small_for_bfloat16_add_up() -> None:
    model = tiny_model()
    masters = MasterWeights(model)
    weight = model.model.layers[0].mlp.up_proj.weight
    master = masters.of(weight)
    before, rounded = master.detach().clone(), weight.detach().clone()
    for _ in range(64):
        with torch.no_grad():
            master.add_(before, alpha=2**-12)
        masters.refresh()
    assert torch.allclose(master, before * (1 + 2**-6), rtol=1e-5)
    assert torch.equal(weight, master.to(torch.bfloat16))
    assert not torch.equal(weight, rounded)


def test_weights_without_a_gradient_in_a_step_keep_none_of_the_last() -> None:
    model = tiny_model()
    masters = MasterWeights(model)
    with masters.gradients():
        backward(model)
    with masters.gradients():
        pass
    assert all(masters.of(p).grad is None for p in model.parameters() if p.dtype == torch.bfloat16)


def test_whole_shows_the_masters_and_takes_what_is_loaded() -> None:
    model = tiny_model()
    masters = MasterWeights(model)
    weight = model.model.layers[1].self_attn.q_proj.weight
    with masters.whole():
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        with torch.no_grad():
            weight.fill_(1 / 3)
    assert weight.dtype == torch.bfloat16
    assert torch.equal(weight, torch.full_like(weight, 1 / 3))
    masters.close()
    assert torch.equal(weight, torch.full_like(weight, 1 / 3))
    assert weight.dtype == torch.float32


def test_a_copy_of_the_whole_model_computes_on_its_own() -> None:
    model = tiny_model()
    wanted = model(input_ids=IDS).logits
    masters = MasterWeights(model)
    with masters.whole():
        copy = deepcopy(model)
    masters.close()
    assert torch.equal(copy(input_ids=IDS).logits, wanted)


def test_position_tables_keep_float32_too() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=260, n_embd=32, n_layer=1, n_head=2))
    masters = MasterWeights(model)
    assert {m.weight.dtype for m in model.modules() if isinstance(m, torch.nn.Embedding)} == {torch.float32}
    with masters.gradients():
        backward(model)
    assert all(m.grad is not None and m.grad.dtype == torch.float32 for m in masters.trained())
    masters.close()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
