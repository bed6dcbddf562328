"""Sentence encoders: what a directory says is what is computed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from symdistill.errors import PrerequisiteError, UnusableModel
from symdistill.models.encoder import SentenceEncoder
from tiny_encoder import save_encoder

TEXTS = ["a swap", "", "a longer text about the last swap", "x" * 200, "a swap"]


def alone(directory: Path, text: str, pooling: str) -> np.ndarray:
    """The vector of one text, without a batch around it."""
    ids = AutoTokenizer.from_pretrained(directory)(text or "\0", truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModel.from_pretrained(directory)(**ids).last_hidden_state[0]
    vector = states.mean(0) if pooling == "mean_tokens" else states[0]
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_a_text_has_the_vector_it_has_alone(tmp_path: Path, pooling: str) -> None:
    directory = save_encoder(tmp_path / "encoder", pooling=pooling)
    rows = SentenceEncoder.load(directory).encode(TEXTS)
    assert (rows.shape, rows.dtype) == ((5, 16), np.float32)
    for place in (0, 2, 3, 4):
        np.testing.assert_allclose(rows[place], alone(directory, TEXTS[place], pooling), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(np.delete(rows, 1, axis=0), axis=1), 1, atol=1e-5)
    assert np.isfinite(rows).all()


def test_no_texts_have_no_rows(tmp_path: Path) -> None:
    assert SentenceEncoder.load(save_encoder(tmp_path / "encoder")).encode([]).shape == (0, 16)


def test_a_plain_model_directory_is_pooled_by_the_mean(tmp_path: Path) -> None:
    directory = save_encoder(tmp_path / "encoder")
    with_layout = SentenceEncoder.load(directory).encode(TEXTS)
    (directory / "modules.json").unlink()
    np.testing.assert_array_equal(SentenceEncoder.load(directory).encode(TEXTS), with_layout)


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="is not a directory"):
        SentenceEncoder.load(tmp_path / "nowhere")
    with pytest.raises(UnusableModel, match="has a part `Dense`"):
        SentenceEncoder.load(save_encoder(tmp_path / "dense", modules=("Transformer", "Pooling", "Dense")))
    with pytest.raises(UnusableModel, match="asks for the pooling max_tokens"):
        SentenceEncoder.load(save_encoder(tmp_path / "max", pooling="max_tokens"))
    damaged = save_encoder(tmp_path / "damaged")
    (damaged / "modules.json").write_text("{")
    with pytest.raises(UnusableModel, match=r"modules.json cannot be read"):
        SentenceEncoder.load(damaged)


def test_without_transformers_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(PrerequisiteError, match=r"pip install 'symdistill\[train\]'$"):
        SentenceEncoder.load(tmp_path)
