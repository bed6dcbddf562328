"""A tiny random student: a Llama of a few thousand weights and a byte-level tokenizer, made in moments, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from symdistill.students.loading import Student, make_student

CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are Tiny.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Like SmolLM2's: where the conversation brings no system message, it writes one of its own."""

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tiny_tokenizer(template: str | None = CHATML, *, begin: bool = False) -> PreTrainedTokenizerFast:
    """One token a byte, and the three special tokens. With `begin` every text starts with <|endoftext|>."""
    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    if begin:
        from tokenizers.processors import TemplateProcessing

        inner.post_processor = TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", inner.token_to_id("<|endoftext|>"))]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
    )
    tokenizer.chat_template = template
    return tokenizer


def tiny_model(seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """Two layers, hidden size 32, grouped-query attention, tied head, float32."""
    settings: dict[str, Any] = {
        "vocab_size": 260,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,
        "eos_token_id": 258,
        "bos_token_id": 256,
        **changes,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**settings)).eval()


def tiny_student(seed: int = 0, **changes: Any) -> Student:
    """Model and tokenizer as a student."""
    return make_student(tiny_model(seed, **changes), tiny_tokenizer(), name=f"transformers:tiny-{seed}")


def save_tiny(directory: Path, seed: int = 0, **changes: Any) -> Path:
    """A tiny student as a directory that `transformers` loads."""
    tiny_model(seed, **changes).save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)
    return directory
