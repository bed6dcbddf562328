from __future__ import annotations

import pytest

pytest.importorskip("torch")

from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig

from symdistill.students.shape import model_shape
from tiny import tiny_model

EMBEDDING = 260 * 32
LAYER = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 48
NORMS = 32 * 5


def test_a_tied_head_is_counted_once() -> None:
    shape = model_shape(tiny_model())
    assert shape.parameters == EMBEDDING + 2 * LAYER + NORMS
    assert shape.non_embedding_parameters == 2 * LAYER + NORMS
    assert shape.head_parameters == EMBEDDING
    assert shape.linear_parameters == 2 * LAYER + EMBEDDING
    assert (shape.layers, shape.hidden, shape.vocabulary, shape.heads, shape.key_value_heads) == (2, 32, 260, 4, 2)
    assert shape.tied


def test_an_untied_head_is_counted_beside_the_embedding() -> None:
    shape = model_shape(tiny_model(tie_word_embeddings=False))
    assert shape.parameters == 2 * EMBEDDING + 2 * LAYER + NORMS
    assert shape.non_embedding_parameters == 2 * LAYER + NORMS
    assert not shape.tied


def test_a_config_counts_like_its_model() -> None:
    model = tiny_model()
    assert model_shape(model.config) == model_shape(model)


def test_a_large_config_costs_no_memory() -> None:
    shape = model_shape(LlamaConfig(num_hidden_layers=80, hidden_size=8192, intermediate_size=28672))
    assert shape.parameters > 60e9


def test_attention_is_as_wide_as_all_heads_together() -> None:
    assert model_shape(tiny_model()).attention_width == 32
    assert model_shape(tiny_model(head_dim=16)).attention_width == 4 * 16


def test_gpt2_s_matrices_are_linear_layers_too() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=4))
    shape = model_shape(model)
    assert (shape.linear_parameters, shape.attention_width) == (2 * 12 * 32 * 32 + EMBEDDING, 32)
