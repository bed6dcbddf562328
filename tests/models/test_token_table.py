"""The input embedding, read out of a model's files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from symdistill.errors import UnusableModel
from symdistill.models.token_table import input_embedding
from tiny import save_tiny, tiny_model


@pytest.mark.parametrize("tied", [True, False])
def test_the_matrix_is_that_of_the_model(tmp_path: Path, tied: bool) -> None:
    place = save_tiny(tmp_path / "m", tie_word_embeddings=tied)
    assert torch.equal(input_embedding(place), tiny_model(tie_word_embeddings=tied).get_input_embeddings().weight)


def test_weights_in_several_files_are_searched(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "m")
    (place / "model.safetensors").unlink()
    tiny_model().save_pretrained(place, max_shard_size="20KB")
    assert (place / "model.safetensors.index.json").exists()
    assert torch.equal(input_embedding(place), tiny_model().get_input_embeddings().weight)


def test_a_file_that_does_not_name_it_is_loaded_whole(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "m")
    wanted = tiny_model().get_input_embeddings().weight
    (place / "model.safetensors").unlink()
    torch.save(tiny_model().state_dict(), place / "pytorch_model.bin")
    assert torch.equal(input_embedding(place), wanted)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel):
        input_embedding(tmp_path)
