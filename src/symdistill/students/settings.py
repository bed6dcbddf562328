"""The `student` section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from symdistill.settings import Settings

Engine = Literal["torch", "ctranslate2"]


class LoraSettings(Settings):
    """Low-rank adapters on every linear layer but the head; merged into the saved student."""

    r: PositiveInt = 32
    """The rank."""
    alpha: PositiveInt | None = None
    """None: 2r, as NesyCD's code has it."""
    dropout: float = Field(default=0.0, ge=0, lt=1)


class StudentSettings(Settings):
    """The small model."""

    model: str = "smollm2-135m"
    """A directory, a hub id, a GGUF file, or `smollm2-135m`."""
    lora: LoraSettings | None = None
    """None: every weight is trained."""
    template: Literal["auto", "chat", "plain"] = "auto"
    """`auto`: the tokenizer's chat template where there is one."""
    instruction: str = "Answer the question."
    """The student's system message, in training and at inference alike; empty for none."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the weights at inference; training keeps float32 masters."""
    batch_size: PositiveInt = 64
    """Sequences decoded together."""
    engine: Literal["torch", "auto", "ctranslate2"] = "torch"
    """What answers for a student. `ctranslate2`: int8 on the CPU, greedy replies only; `auto`: the faster of the two,
    where both write the same replies to a few training questions."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model."""
