"""A tiny random sentence encoder in the layout of sentence-transformers, made in moments, offline."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from tiny import tiny_tokenizer

MODULES = ("Transformer", "Pooling", "Normalize")


def save_encoder(directory: Path, *, pooling: str = "mean_tokens", modules: tuple[str, ...] = MODULES) -> Path:
    """One layer, width 16, a token a byte, texts cut at 64 tokens."""
    config = BertConfig(
        vocab_size=260,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(config)
    model.save_pretrained(directory)
    tiny_tokenizer(None).save_pretrained(directory)
    listed = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": f"sentence_transformers.models.{kind}"}
        for n, kind in enumerate(modules)
    ]
    (directory / "modules.json").write_text(json.dumps(listed))
    (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    (directory / "1_Pooling").mkdir()
    chosen = {f"pooling_mode_{name}": name == pooling for name in ("cls_token", "mean_tokens", "max_tokens")}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **chosen}))
    return directory
