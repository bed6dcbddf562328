"""What a student is to learn from preferences or rewards, and that as token ids.

Prompts and completions are written by the student's own format (`models.chat`), as everywhere: a prompt is what the
student reads at inference, the end of turn is learned, and a reply that was cut gets no end. GRPO has TRL write the
prompts, and what it would write is compared with the student's format before anything is trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from symdistill.errors import TrainingError
from symdistill.models.chat import FIXED_DATE, PromptFormat, plain_text
from symdistill.records import Message


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as text; `whole` says that it came to its end."""

    text: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Preference:
    """Of two replies to one prompt the better one."""

    prompt: tuple[Message, ...]
    chosen: Said
    rejected: Said


@dataclass(frozen=True, slots=True)
class Opinion:
    """A reply to a prompt, and whether it is one to give."""

    prompt: tuple[Message, ...]
    said: Said
    desirable: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is answered while the student learns, by its id."""

    question: str
    prompt: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Preferences:
    """DPO's lesson: sigmoid loss, `beta` times the log-ratio to the reference."""

    pairs: Sequence[Preference]
    beta: float


@dataclass(frozen=True, slots=True)
class Opinions:
    """KTO's lesson. The rarer of the two kinds weighs so much more that both weigh alike (equation 8)."""

    replies: Sequence[Opinion]
    beta: float


@dataclass(frozen=True, slots=True)
class Rewarded:
    """GRPO's lesson: `samples` replies to a question, each worth `reward(question, text, cut)`.

    Advantages are those within the group, over its standard deviation; the loss is TRL's (`dapo`: a mean over the
    tokens of a step). `beta` weighs the divergence from the reference; 0: none is kept.
    """

    questions: Sequence[Asked]
    reward: Callable[[str, str, bool], float]
    samples: int
    temperature: float
    top_p: float
    max_tokens: int
    beta: float


Lesson = Preferences | Opinions | Rewarded


def written_prompts(form: PromptFormat, prompts: Sequence[Sequence[Message]]) -> tuple[list[Any], dict[str, Any]]:
    """The prompts as TRL takes them, and what it is to tell the template.

    Raises:
        TrainingError: it would make other ids of one than the student reads.
    """
    template: dict[str, Any] = {"date_string": FIXED_DATE}
    written: list[Any] = []
    if form.kind == "plain":
        written = [plain_text(messages) for messages in prompts]
        read = [form.tokenizer(text=[text])["input_ids"][0] for text in written]
    else:
        written = [form.turns(messages) for messages in prompts]
        if any(control in turn["content"] for turns in written for turn in turns for control in form.control_texts):
            template["sanitize_control_tokens"] = True
        read = [
            form.tokenizer.apply_chat_template(
                [turns], add_generation_prompt=True, tokenize=True, return_dict=True, **template
            )["input_ids"][0]
            for turns in written
        ]
    for messages, ids in zip(prompts, read, strict=True):
        if list(ids) != form.encode_prompt(messages):
            raise TrainingError(
                f"TRL would write a prompt in other tokens than the student reads ({messages[-1].content[:60]!r}).",
                "Leave this question out, or choose another `algorithm`.",
            )
    return written, template


def encode_pairs(form: PromptFormat, pairs: Sequence[Preference], longest: int) -> list[dict[str, list[int]]]:
    """TRL's columns for DPO: prompt_ids, chosen_ids, rejected_ids. Pairs with a side above `longest` tokens, prompt
    included, are left out. Raises TrainingError where none is left."""
    rows = []
    for pair in pairs:
        prompt, chosen, rejected = form.encode_prompt(pair.prompt), _ids(form, pair.chosen), _ids(form, pair.rejected)
        if chosen and rejected and len(prompt) + max(len(chosen), len(rejected)) <= longest:
            rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return _some(rows, len(pairs), longest)


def encode_opinions(
    form: PromptFormat, replies: Sequence[Opinion], longest: int, batch: int, seed: int
) -> list[dict[str, Any]]:
    """TRL's columns for KTO: prompt_ids, completion_ids, label, and KL_completion_ids, another prompt's completion.

    They are shuffled, since TRL takes them in their order: neighbours would be about one question. As in TRL, each of
    a batch has the completion of the one before it beside its prompt, the first that of the last. Replies above
    `longest` tokens, prompt included, are left out. Raises TrainingError where none is left.
    """
    rows: list[dict[str, Any]] = []
    for one in replies:
        prompt, said = form.encode_prompt(one.prompt), _ids(form, one.said)
        if said and len(prompt) + len(said) <= longest:
            rows.append({"prompt_ids": prompt, "completion_ids": said, "label": one.desirable})
    random.Random(seed).shuffle(rows)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        beside = part if len(part) > 1 else [*part, rows[0]]
        for at, row in enumerate(part):
            row["KL_completion_ids"] = beside[at - 1]["completion_ids"]
    return _some(rows, len(replies), longest)


def _ids(form: PromptFormat, said: Said) -> list[int]:
    return [*form.encode_completion(said.text), *([form.end_of_turn] if said.whole else [])]


def _some(rows: list[dict[str, Any]], given: int, longest: int) -> list[dict[str, Any]]:
    if not rows:
        raise TrainingError(
            f"None of {given:,} lessons is left within {longest:,} tokens.", "Raise `training.max_length`."
        )
    return rows
