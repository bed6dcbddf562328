"""What a model's tokens mean before any context: its input embedding, read without loading the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symdistill.models.weights import load_config, load_pretrained, quiet, readable_errors, weight_files


def input_embedding(directory: Path) -> Any:
    """The input embedding of the causal model in a directory, a tensor `[vocabulary, hidden]` in the stored dtype.

    Only that matrix is read where the weights are safetensors. Raises UnusableModel.
    """
    import torch
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    config = load_config(directory)
    with quiet(), readable_errors(directory), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    weight = model.get_input_embeddings().weight
    name = next(name for name, parameter in model.named_parameters() if parameter is weight)
    for file in weight_files(directory):
        if file.suffix != ".safetensors":
            continue
        with readable_errors(directory), safe_open(file, framework="pt") as tensors:
            # a base model's file may leave out what the head's wrapper puts before each name
            found = next((key for key in tensors.keys() if name == key or name.endswith(f".{key}")), None)  # noqa: SIM118
            if found is not None and tuple(tensors.get_slice(found).get_shape()) == tuple(weight.shape):
                return tensors.get_tensor(found)
    loaded, _ = load_pretrained(directory, dtype="float32")
    return loaded.get_input_embeddings().weight.detach().cpu()


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer in a directory. Raises UnusableModel."""
    from transformers import AutoTokenizer

    with quiet(), readable_errors(directory):
        return AutoTokenizer.from_pretrained(directory, local_files_only=True)
