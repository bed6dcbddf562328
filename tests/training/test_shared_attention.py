"""Rows of tries against separate rows: the same loss and the same gradients, for every kind of model that can."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import Collator
from symdistill.training.losses import CompletionLoss, group_sizes
from symdistill.training.shared_attention import can_share, sharing
from tiny import tiny_model

SIZES: dict[str, Any] = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "head_dim": 8}
OPT: dict[str, Any] = {"vocab_size": 260, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "init_std": 0.3}
PLAIN: dict[str, Any] = {"dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0}

MODELS: dict[str, Any] = {
    "llama": lambda: tiny_model(),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, num_attention_heads=4, num_key_value_heads=2)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, **HEADS)),
    "opt": lambda: OPTForCausalLM(
        OPTConfig(**OPT, **PLAIN, num_attention_heads=4, word_embed_proj_dim=32, max_position_embeddings=128)
    ),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(
            **SIZES, **HEADS, sliding_window=8, attn_logit_softcapping=3.0, final_logit_softcapping=2.0,
            query_pre_attn_scalar=8, attn_implementation="eager"
        )
    ),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(
            **SIZES, **HEADS, sliding_window=8, layer_types=["sliding_attention", "full_attention"],
            query_pre_attn_scalar=8,
        )
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=4, n_positions=128, resid_pdrop=0.0, embd_pdrop=0.0,
                   attn_pdrop=0.0, initializer_range=0.3)
    ),
}  # fmt: skip


def make(kind: str) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[kind]().eval()


def step(
    model: Any, examples: Sequence[EncodedExample], *, share: bool, row_tokens: int = 4096, batch_size: int = 4
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one optimiser step."""
    lambdas = {"a": 0.7, "b": 1.0}
    batches = Collator(sorted(lambdas), batch_size=batch_size, share=share, row_tokens=row_tokens)(examples)
    sizes = group_sizes(batches, 2)
    loss = CompletionLoss(model, torch.tensor([0.7, 1.0], dtype=torch.float64), chunked=True)
    model.zero_grad()
    total = 0.0
    for batch in batches:
        with sharing(model) if share else nullcontext():
            part = loss(model, batch, sizes)
            part.backward()
        total += float(part.detach())
    return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_same(one: tuple[float, dict[str, torch.Tensor]], other: tuple[float, dict[str, torch.Tensor]]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[1].keys() == other[1].keys()
    noise = 1e-6 * max(float(g.norm()) for g in other[1].values())  # where a gradient is 0 but for rounding
    for name, gradient in other[1].items():
        assert float((one[1][name] - gradient).norm()) <= 1e-5 * float(gradient.norm()) + noise, name


def prompts_and_completions(shapes: list[tuple[int, list[int]]], common: int = 0) -> list[EncodedExample]:
    """One prompt of its own for each entry, of that length, with completions of the lengths given."""
    examples = []
    for p, (prompt, completions) in enumerate(shapes):
        start = [(11 * i + 3) % 250 for i in range(common)] + [(p * 37 + 7 * i) % 250 for i in range(prompt)]
        for c, length in enumerate(completions):
            tail = [(p * 5 + 17 * c + 3 * i) % 250 for i in range(length)]
            examples.append(EncodedExample((*start, *tail), len(start), 1.0 + c % 2, "ab"[(p + c) % 2]))
    return examples


SHAPES = [(12, [5, 9, 3, 5]), (31, [4]), (3, [20, 1, 18]), (17, [6, 6])]


@pytest.mark.parametrize("kind", MODELS)
def test_loss_and_every_gradient_equal_those_of_separate_rows(kind: str) -> None:
    model = make(kind)
    assert can_share(model)
    examples = prompts_and_completions(SHAPES)
    assert_same(step(model, examples, share=True), step(model, examples, share=False))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.lists(st.integers(1, 25), min_size=1, max_size=6)), min_size=1, max_size=4
    ),
    st.integers(0, 70),
    st.integers(20, 300),
)
def test_gradients_are_equal_for_any_shapes(shapes: list[tuple[int, list[int]]], common: int, budget: int) -> None:
    model = make("llama")
    examples = prompts_and_completions(shapes, common)
    assert_same(step(model, examples, share=True, row_tokens=budget), step(model, examples, share=False))


def test_equal_examples_count_twice() -> None:
    model = make("llama")
    examples = prompts_and_completions([(6, [5])]) * 2
    assert_same(step(model, examples, share=True), step(model, examples, share=False))


def test_gradients_under_lora_are_equal() -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    model = peft.get_peft_model(make("llama"), config)
    assert can_share(model)
    examples = prompts_and_completions(SHAPES)
    shared, separate = step(model, examples, share=True), step(model, examples, share=False)
    assert all("lora" in name for name in separate[1])
    assert_same(shared, separate)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = make("llama").train()
    examples = prompts_and_completions(SHAPES)
    wanted = step(model, examples, share=True)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_same(step(model, examples, share=True), wanted)


def test_under_bfloat16_it_stays_within_bfloat16_noise() -> None:
    model = make("llama")
    examples = prompts_and_completions(SHAPES)
    exact = step(model, examples, share=False)[1]
    with torch.autocast("cpu", torch.bfloat16):
        shared, separate = (step(model, examples, share=s)[1] for s in (True, False))

    def error(found: dict[str, torch.Tensor]) -> float:
        return sum(float((found[n] - g).square().sum()) for n, g in exact.items()) ** 0.5

    assert 0 < error(shared) <= 1.5 * error(separate)


def test_a_model_that_cannot_share_is_found_out() -> None:
    alibi = BloomForCausalLM(BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3))
    mamba = MambaForCausalLM(MambaConfig(vocab_size=260, hidden_size=32, num_hidden_layers=2, state_size=4))
    assert not can_share(alibi)
    assert not can_share(mamba)


def test_rotations_that_depend_on_the_longest_row_are_not_shared() -> None:
    model = tiny_model(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0})
    assert not can_share(model)


def test_memory_grows_with_the_tokens_of_a_row_not_with_completions_times_prompt() -> None:
    """Bytes kept for the way back, 30 completions: a prompt four times as long adds its own tokens, no more."""

    def kept(prompt: int) -> int:
        model = make("llama")
        examples = prompts_and_completions([(prompt, [20] * 30)])
        [batch] = Collator(["a", "b"], batch_size=1, share=True)(examples)
        loss = CompletionLoss(model, torch.tensor([0.7, 1.0], dtype=torch.float64), chunked=True)
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        with sharing(model), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss(model, batch, group_sizes([batch], 2))
        return sum(sizes.values())

    tokens = {prompt: prompt + 30 * 20 for prompt in (200, 800)}
    assert kept(800) / kept(200) < 1.25 * tokens[800] / tokens[200]


def test_nothing_of_it_is_left_on_the_model() -> None:
    model = make("llama")
    before = model.config._attn_implementation
    ids = torch.tensor([[5, 6, 7]])
    wanted = model(input_ids=ids).logits
    assert can_share(model)
    assert model.config._attn_implementation == before
    assert torch.equal(model(input_ids=ids).logits, wanted)
