"""Training examples as token ids, with the completion, and nothing else, marked as what is learned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symdistill.errors import TrainingError
from symdistill.models.chat import PromptFormat
from symdistill.records import Message, TrainingExample


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Prompt and completion as ids, end of turn included. The first `prompt_length` ids are read, the rest learned.

    What the reply begins with, where that is given, belongs to what is read. `question` names what the example is
    about.
    """

    input_ids: tuple[int, ...]
    prompt_length: int
    weight: float = 1.0
    group: str = "default"
    question: str = ""
    phase: int = 0

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
    """What is left to train on. `too_long` examples were dropped; `longest` is the longest of them, in tokens, and
    `too_long_in` says how many each phase lost."""

    examples: tuple[EncodedExample, ...]
    too_long: int = 0
    longest: int = 0
    too_long_in: Mapping[int, int] = field(default_factory=dict)


def encode_examples(form: PromptFormat, examples: Sequence[TrainingExample], max_length: int) -> EncodedSet:
    """Encode the examples; those above `max_length` tokens of prompt and completion are dropped and counted.

    Raises:
        TrainingError: there are no examples, none of a phase is short enough, a completion is empty, a weight is no
            positive number, or no label is left.
    """
    if not examples:
        raise TrainingError("There are no examples to train on.", "Check what curation dropped, and why.")
    prompts: dict[tuple[Message, ...], list[int]] = {}
    kept: list[EncodedExample] = []
    lost: Counter[int] = Counter()
    lengths: list[int] = []
    for example in examples:
        if not (math.isfinite(example.weight) and example.weight > 0):
            raise TrainingError(
                f"The training example of {example.example_id} has weight {example.weight}.",
                "Leave it out, or give it a weight above 0.",
            )
        if example.prompt not in prompts:
            prompts[example.prompt] = form.encode_prompt(example.prompt)
        given = [token for piece in example.given for token in form.encode_completion(piece)]
        read = [*prompts[example.prompt], *given]
        completion = form.encode_completion(example.completion)
        if not completion:
            raise TrainingError(
                f"The training example of {example.example_id} has an empty completion: there is no label in it.",
                "Leave out replies without text.",
            )
        ids = (*read, *completion, form.end_of_turn)
        if len(ids) > max_length:
            lengths.append(len(ids))
            lost[example.phase] += 1
        else:
            kept.append(
                EncodedExample(ids, len(read), example.weight, example.group, example.example_id, example.phase)
            )
    if not kept:
        raise TrainingError(
            f"All {len(examples):,} training examples are longer than {max_length:,} tokens (the shortest has "
            f"{min(lengths):,}); no label is left.",
            "Raise `training.max_length`.",
        )
    empty = sorted(lost.keys() - {e.phase for e in kept})
    if empty:
        raise TrainingError(
            f"All {lost[empty[0]]:,} examples of step {empty[0] + 1} of the curriculum are longer than {max_length:,} "
            f"tokens (the longest has {max(lengths):,}).",
            "Raise `training.max_length`, or put less before the question.",
        )
    return EncodedSet(tuple(kept), len(lengths), max(lengths, default=0), dict(sorted(lost.items())))


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
