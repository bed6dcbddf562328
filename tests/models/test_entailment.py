"""An entailment model in a directory: its label is found, and a pair has the probability it has alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from symdistill.errors import UnusableModel
from symdistill.models.entailment import EntailmentModel
from tiny import tiny_tokenizer


def save_classifier(directory: Path, labels: tuple[str, ...]) -> Path:
    """One layer, width 16, a token a byte, texts cut at 64 tokens."""
    config = BertConfig(
        vocab_size=260,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={name: number for number, name in enumerate(labels)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(directory)
    tiny_tokenizer(None).save_pretrained(directory)
    return directory


def test_a_pair_has_the_probability_it_has_alone(tmp_path: Path) -> None:
    model = EntailmentModel.load(save_classifier(tmp_path / "nli", ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")))
    pairs = [("It rains.", "It is wet."), ("A", "b"), ("x" * 200, "y" * 200), ("It is wet.", "It rains.")]
    found = model.probabilities(pairs)
    assert found.shape == (4,)
    assert ((found > 0) & (found < 1)).all()
    alone = [model.probabilities([pair])[0] for pair in pairs]
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert found[0] != pytest.approx(found[3], abs=1e-6), "which text comes first counts"
    assert model.probabilities([]).shape == (0,)


def test_the_three_labels_sum_to_one(tmp_path: Path) -> None:
    orders = [("entailment", "b", "c"), ("a", "entailment", "c"), ("a", "b", "entailment")]
    found = [
        EntailmentModel.load(save_classifier(tmp_path / str(n), labels)).probabilities([("It rains.", "It is wet.")])[0]
        for n, labels in enumerate(orders)
    ]
    assert sum(found) == pytest.approx(1.0, abs=1e-5)


def test_a_classifier_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="none is `entailment`"):
        EntailmentModel.load(save_classifier(tmp_path / "mood", ("positive", "negative")))
    with pytest.raises(UnusableModel, match="not a directory"):
        EntailmentModel.load(tmp_path / "nowhere")
