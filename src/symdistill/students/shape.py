"""The size of a decoder, counted from its config or its parameters, for FLOPs and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Parameters and dimensions of a decoder.

    `parameters` counts every weight once. `head_parameters` are those of the output head, shared with the input
    embedding where the two are tied; `non_embedding_parameters` leaves out both embedding and head;
    `linear_parameters` are the matrices of linear layers, head included. `attention_width` is that of all query heads
    together, which need not be the hidden size.
    """

    parameters: int
    non_embedding_parameters: int
    head_parameters: int
    linear_parameters: int
    layers: int
    hidden: int
    vocabulary: int
    heads: int
    key_value_heads: int
    attention_width: int
    tied: bool


def model_shape(model_or_config: Any) -> ModelShape:
    """Count a model, or the model a config describes, which is built without memory for its weights.

    An encoder-decoder, or a model whose output head is no matrix over the hidden state, is counted the same way.
    """
    import torch

    model = model_or_config
    if not isinstance(model, torch.nn.Module):
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(model_or_config)
        model.tie_weights()
    config = model.config.get_text_config()
    embedding = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    head_weight = embedding if head is None else head.weight
    tied = head is None or head_weight is embedding
    total = sum(p.numel() for p in model.parameters())
    outside = embedding.numel() + (0 if tied else head_weight.numel())
    linear = sum(_matrix(m) for m in model.modules() if m is not head) + head_weight.numel()
    heads, hidden = int(config.num_attention_heads), int(config.hidden_size)
    return ModelShape(
        parameters=total,
        non_embedding_parameters=total - outside,
        head_parameters=head_weight.numel(),
        linear_parameters=linear,
        layers=int(config.num_hidden_layers),
        hidden=hidden,
        vocabulary=int(head_weight.shape[0]),
        heads=heads,
        key_value_heads=int(getattr(config, "num_key_value_heads", None) or heads),
        attention_width=heads * int(getattr(config, "head_dim", None) or hidden // heads),
        tied=tied,
    )


def _matrix(module: Any) -> int:
    """Weights of a linear layer; GPT-2's Conv1D is one in all but name."""
    import torch

    if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D":
        return int(module.weight.numel())
    return 0
