"""A planted relation: what a question asks about, and what its rationale speaks of, share no word.

Each of eight subjects has words that questions use and words that rationales and passages use. Between them stand
fillers that all share, so that a question's own words find passages about every subject.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from symdistill.records import Example

SUBJECTS = range(8)
FILLERS = [f"filler{i}" for i in range(30)]
ASKED = {s: [f"ask{s}x", f"ask{s}y"] for s in SUBJECTS}
SAID = {s: [f"say{s}x", f"say{s}y"] for s in SUBJECTS}
WORDS = [*FILLERS, *(w for pair in (*ASKED.values(), *SAID.values()) for w in pair)]


def write_corpus(path: Path, each: int = 3, seed: int = 0) -> Path:
    """`each` passages about each subject."""
    rng = random.Random(seed)
    rows = []
    for i in range(each):
        for s in SUBJECTS:
            words = [*rng.sample(FILLERS, 8), *rng.choices(SAID[s], k=2)]
            rng.shuffle(words)
            rows.append({"id": f"{s}-{i}", "text": " ".join(words)})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def questions(count: int, seed: int = 1) -> list[tuple[Example, str]]:
    """Questions, each with its rationale."""
    rng = random.Random(seed)
    found = []
    for i in range(count):
        s = i % len(SUBJECTS)
        asked = [*rng.sample(FILLERS, 4), rng.choice(ASKED[s])]
        said = [*rng.sample(FILLERS, 2), *SAID[s]]
        found.append((Example(f"q{i}", " ".join(asked), "yes", "label", task="planted"), " ".join(said)))
    return found


def word_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; words it has not seen are one token, too."""
    vocabulary = {word: at for at, word in enumerate(["[unknown]", "[end]", *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[unknown]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[unknown]", eos_token="[end]", pad_token="[end]", model_max_length=128
    )


def save_word_student(directory: Path) -> Path:
    """A student whose random embedding tells words apart."""
    tokenizer = word_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def save_word_encoder(directory: Path) -> Path:
    """A tiny BERT over the same words."""
    tokenizer = word_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
