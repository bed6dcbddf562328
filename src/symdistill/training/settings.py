"""The `training` section, whose names are those of Hugging Face's TrainingArguments, and a critic's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from symdistill.settings import Settings

Schedule = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"
]


LAYOUT = frozenset(
    {"share_prompts", "row_tokens", "gradient_checkpointing", "save_steps", "save_total_limit", "logging_steps"}
)
"""Settings that decide how a training fits the machine and what is written on the way, not what is learned."""


ORDER = frozenset({"curriculum", "curriculum_steps"})
"""Settings that are in the examples themselves by the time they are learned."""


class TrainingSettings(Settings):
    """How the student is trained. A step counts examples: `per_device_train_batch_size` times
    `gradient_accumulation_steps` of them, whatever their layout in memory."""

    learning_rate: PositiveFloat = 2.0e-4
    """The highest of the schedule."""
    num_train_epochs: PositiveFloat = 3.0
    max_steps: Literal[-1] | PositiveInt = Field(
        default=-1, description="a whole number above 0, or -1 for as many as `num_train_epochs` makes"
    )
    """Optimiser steps, whatever the epochs; -1: `num_train_epochs` decides."""
    per_device_train_batch_size: PositiveInt = 8
    """Examples of a batch."""
    gradient_accumulation_steps: PositiveInt = 1
    """Batches of a step."""
    lr_scheduler_type: Schedule = "cosine"
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps of warm-up in the place of `warmup_ratio`; 0: that decides. For none at all set `warmup_ratio: 0`."""
    weight_decay: NonNegativeFloat = 0.0
    max_grad_norm: NonNegativeFloat = 1.0
    """A gradient with a larger norm is scaled down to it; 0: none is."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: PositiveFloat = 1e-8
    optim: str = "adamw_torch_fused"
    """An optimiser by the name it has in TrainingArguments."""
    bf16: bool | Literal["auto"] = "auto"
    """Compute in bfloat16 and learn in float32 weights; `auto`: where the hardware has it."""
    gradient_checkpointing: bool = False
    """Compute activations a second time instead of keeping them: slower, in less memory."""
    share_prompts: bool = True
    """Compute once what a step's examples begin with alike. Losses and gradients are those of separate rows, but for
    the noise of a dropout, which the shared part then has once."""
    rationales_together: PositiveInt | Literal["all"] = 1
    """Rationales of one question in a step, where it has so many. Together they share the reading of their prompt; a
    step is then about fewer questions, and teaches less (docs/LOG.md)."""
    row_tokens: PositiveInt | None = None
    """Tokens of one forward pass where prompts are shared: it bounds the memory of a step and changes nothing of what
    is learned. None: 2,048 on a CPU, 16,384 on a GPU, and at least four times the longest example."""
    max_length: PositiveInt = 2048
    """Tokens of prompt plus completion; longer examples are dropped and counted."""
    save_steps: PositiveFloat = 200
    """Steps between two checkpoints; below 1 a share of all steps."""
    save_total_limit: PositiveInt = 1
    """Checkpoints that are kept while the training lasts."""
    logging_steps: PositiveInt = 1
    """Steps between two lines of training.jsonl; a line speaks of all steps since the one before."""
    early_stopping_patience: PositiveInt | None = None
    """Stop after so many epochs without a better dev accuracy, and keep the weights of the best epoch. The dev
    questions are cut from train. Of a curriculum only the epochs of its last step count. None: all epochs, and no dev
    questions."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training questions that `early_stopping_patience` cuts off as dev questions."""
    curriculum: Literal["none", "loss"] = "none"
    """`loss`: easy examples first, by what the untrained student makes of them."""
    curriculum_steps: int = Field(default=3, ge=2)
    """Parts that are added one after the other; each needs an epoch at least."""
    seed: int | None = None
    """None: the run's seed."""


class RerankerSettings(Settings):
    """How a reranker of passages is trained (training/reranker.py)."""

    tau_rationale: PositiveFloat = 1.0
    """τ1: how much the best passages of a rationale stand out."""
    tau_score: PositiveFloat = 0.05
    """τ2, for scores between -1 and 1, where its learning starts."""
    lexical: NonNegativeFloat | Literal["chosen"] = "chosen"
    """How much BM25(q), as a share of the best candidate's, counts beside the learned score; 0: nothing."""
    each: PositiveInt = 32
    """Candidates of a training question: so many for its rationale, and as many for the question."""
    sampled: int | None = Field(default=None, ge=2)
    """Candidates compared in one step; None: all, and 8 where an encoder is trained."""
    num_epochs: PositiveInt = 3
    batch_size: PositiveInt = 16
    """Rationales of one step."""
    learning_rate: PositiveFloat | None = None
    """None: 2e-3 for the maps over the student's token vectors, 5e-5 for an encoder."""
    width: PositiveInt = 128
    """Dimensions the student's token vectors are reduced to."""
    max_tokens: PositiveInt = 256
    """Tokens of a question or a passage that count."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the questions the reranker does not learn from, to measure it on; as many more to choose `lexical`."""


class CriticSettings(Settings):
    """The classifier that tells good texts from bad ones: what it sees, how it is fitted, where it draws the line."""

    features: str = "words"
    """`words` (n-grams, no model), `student` (its hidden states), `likelihood` (how probable it holds the text), or the
    directory of a sentence encoder."""
    layers: Literal["last", "mean"] = "mean"
    """Of a student: the states of its last layer, or the mean of all its layers."""
    l2: PositiveFloat | None = None
    """How strongly weights are held small; None: the value that did best on parts of the training labels."""
    recall: float = Field(default=0.5, gt=0, le=1)
    """Share of the good validation labels that passes: 0.5 is West et al.'s high threshold, 0.8 their medium one."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """The probability from which a text passes, given outright; `recall` then decides nothing."""
    validation: float = Field(default=0.2, gt=0, lt=1)
    """Share of the labelled heads that calibrates the probabilities and sets the threshold."""
    held_out: float = Field(default=0.3, gt=0, lt=1)
    """Share of the labelled heads that the report is about; nothing else looks at them."""

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> CriticSettings:
        if self.validation + self.held_out >= 1:
            raise ValueError("`validation` and `held_out` leave no label to learn from")
        return self
