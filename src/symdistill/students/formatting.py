"""Training examples as token ids, with the completion, and nothing else, marked as what is learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from symdistill.errors import TrainingError
from symdistill.models.chat import PromptFormat
from symdistill.records import Message, TrainingExample


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Prompt and completion as ids, end of turn included. The first `prompt_length` ids are read, the rest learned."""

    input_ids: tuple[int, ...]
    prompt_length: int
    weight: float = 1.0
    group: str = "default"

    @property
    def completion_length(self) -> int:
        """Labels: the completion's tokens and the end of turn."""
        return len(self.input_ids) - self.prompt_length

    @property
    def label_mask(self) -> tuple[bool, ...]:
        """One flag an id: whether it is learned."""
        return tuple(position >= self.prompt_length for position in range(len(self.input_ids)))


@dataclass(frozen=True, slots=True)
class EncodedSet:
    """What is left to train on. `too_long` examples were dropped; `longest` is the longest of them, in tokens."""

    examples: tuple[EncodedExample, ...]
    too_long: int = 0
    longest: int = 0


def encode_examples(form: PromptFormat, examples: Sequence[TrainingExample], max_length: int) -> EncodedSet:
    """Encode the examples; those above `max_length` tokens of prompt and completion are dropped and counted.

    Raises:
        TrainingError: there are no examples, none is short enough, a completion is empty, a weight is no positive
            number, or no label is left.
    """
    if not examples:
        raise TrainingError("There are no examples to train on.", "Check what curation dropped, and why.")
    prompts: dict[tuple[Message, ...], list[int]] = {}
    kept: list[EncodedExample] = []
    longest = 0
    for example in examples:
        if not (math.isfinite(example.weight) and example.weight > 0):
            raise TrainingError(
                f"The training example of {example.example_id} has weight {example.weight}.",
                "Leave it out, or give it a weight above 0.",
            )
        if example.prompt not in prompts:
            prompts[example.prompt] = form.encode_prompt(example.prompt)
        prompt = prompts[example.prompt]
        completion = form.encode_completion(example.completion)
        if not completion:
            raise TrainingError(
                f"The training example of {example.example_id} has an empty completion: there is no label in it.",
                "Leave out replies without text.",
            )
        ids = (*prompt, *completion, form.end_of_turn)
        if len(ids) > max_length:
            longest = max(longest, len(ids))
        else:
            kept.append(EncodedExample(ids, len(prompt), example.weight, example.group))
    if not kept:
        raise TrainingError(
            f"All {len(examples):,} training examples are longer than {max_length:,} tokens; no label is left.",
            "Raise `training.max_length`.",
        )
    return EncodedSet(tuple(kept), len(examples) - len(kept), longest)


def decoded_preview(form: PromptFormat, example: EncodedExample) -> str:
    """An example as the student meets it, decoded from its ids: `·` lines are read, `>` lines are learned."""
    prompt = form.tokenizer.decode(list(example.input_ids[: example.prompt_length]), skip_special_tokens=False)
    completion = form.tokenizer.decode(list(example.input_ids[example.prompt_length :]), skip_special_tokens=False)
    lines = [
        f"first example: {example.prompt_length} tokens read (·), {example.completion_length} learned (>)",
        *(f"  · {line}" for line in prompt.splitlines()),
        *(f"  > {line}" for line in completion.splitlines()),
    ]
    return "\n".join(lines)
