"""Texts as unit vectors by a sentence encoder in a directory, as sentence-transformers saves them.

Such a directory is a Hugging Face model and a few small files that say how its token vectors become one vector
(`modules.json`). transformers runs it alone: mean or first-token pooling, then length 1. A directory that asks for
more (a dense layer on top) is refused. Nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import UnusableModel
from symdistill.models.weights import (
    check_directory,
    directory_fingerprint,
    quiet,
    readable_errors,
    require_transformers,
)

_BATCH = 32
_LONGEST = 512
"""Tokens of a text where nothing says how many the model reads."""
Pooling = Literal["mean", "cls"]
_POOLINGS: dict[str, Pooling] = {"mean_tokens": "mean", "cls_token": "cls", "mean": "mean", "cls": "cls"}


class SentenceEncoder:
    """A loaded encoder. `pooling`: the mean over a text's tokens, or its first token. Longer texts are cut."""

    def __init__(self, model: Any, tokenizer: Any, *, pooling: Pooling, max_tokens: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._max_tokens = max_tokens

    @classmethod
    def load(cls, directory: Path) -> SentenceEncoder:
        """Load the encoder in `directory`, in float32, on the GPU where there is one.

        Raises:
            PrerequisiteError: torch or transformers is missing.
            UnusableModel: there is no directory, it holds no model, or the model needs more than pooling.
        """
        model, tokenizer, pooling, longest = load_encoder(directory)
        return cls(model, tokenizer, pooling=pooling, max_tokens=longest)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of length 1 a text ([len(texts), width])."""
        import torch

        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # little padding in a batch
        rows = np.zeros((len(texts), int(self._model.config.hidden_size)), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            batch = self._tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            ).to(self._model.device)
            with torch.inference_mode():
                states = self._model(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
                pooled = states[:, 0] if self._pooling == "cls" else (states * mask).sum(1) / mask.sum(1).clamp(min=1)
                rows[places] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return rows


def load_encoder(directory: Path) -> tuple[Any, Any, Pooling, int]:
    """The model in `directory` in float32 (on the GPU where there is one), its tokenizer, how it pools, and the tokens
    it reads of a text.

    Raises:
        PrerequisiteError: torch or transformers is missing.
        UnusableModel: there is no directory, it holds no model, or the model needs more than pooling.
    """
    weights, pooling = check_encoder(directory)
    import torch
    from transformers import AutoModel, AutoTokenizer

    with quiet(), readable_errors(directory):
        tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
        model = AutoModel.from_pretrained(weights, local_files_only=True, dtype=torch.float32)
    longest = _settings(weights / "sentence_bert_config.json").get("max_seq_length") or min(
        int(tokenizer.model_max_length), int(getattr(model.config, "max_position_embeddings", _LONGEST)), _LONGEST
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.eval().to(device), tokenizer, pooling, int(longest)


def check_encoder(directory: Path) -> tuple[Path, Pooling]:
    """Where the weights of an encoder lie, and how it pools, without loading it. Raises as `load_encoder`."""
    require_transformers()
    if not directory.is_dir():
        raise UnusableModel(f"{directory} is not a directory.", "Name a sentence-transformers directory.")
    weights, pooling = _layout(directory)
    check_directory(weights)
    return weights, pooling


def encoder_identity(directory: Path) -> str:
    """What decides the vectors of an encoder: a fingerprint of its weights and tokenizer, how it pools, and the tokens
    it reads where a file says so. Raises as `load_encoder`."""
    weights, pooling = check_encoder(directory)
    longest = _settings(weights / "sentence_bert_config.json").get("max_seq_length")
    return " ".join([directory_fingerprint(weights), pooling, *([str(longest)] if longest else [])])


def _layout(directory: Path) -> tuple[Path, Pooling]:
    """Where the weights lie, and how token vectors are pooled; a plain model directory is pooled by the mean."""
    modules = _settings(directory / "modules.json") or []
    weights, pooling = directory, "mean"
    for module in modules:
        kind, where = str(module.get("type", "")).rpartition(".")[2], directory / str(module.get("path", ""))
        if kind == "Transformer":
            weights = where
        elif kind == "Pooling":
            pooling = _pooling(where / "config.json")
        elif kind != "Normalize":
            raise UnusableModel(
                f"The encoder in {directory} has a part `{kind}`, which cannot be run here.",
                "Use an encoder of a transformer and a pooling, for example all-MiniLM-L6-v2.",
            )
    return weights, _POOLINGS[pooling]


def _pooling(file: Path) -> str:
    settings = _settings(file)
    chosen = [settings["pooling_mode"]] if isinstance(settings.get("pooling_mode"), str) else []
    chosen += [key.removeprefix("pooling_mode_") for key, on in settings.items() if on is True and "mode_" in key]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        raise UnusableModel(
            f"{file} asks for the pooling {' and '.join(map(str, chosen)) or 'of nothing'}.",
            "Use an encoder with mean or first-token pooling, for example all-MiniLM-L6-v2.",
        )
    return str(chosen[0])


def _settings(file: Path) -> Any:
    """A JSON file of the directory; an empty group where it is not there. Raises UnusableModel."""
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UnusableModel(f"{file} cannot be read ({problem}).", "Copy the model again.") from problem
