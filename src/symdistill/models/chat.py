"""Conversations as token ids: one place decides what a local model reads, in training and at inference alike.

`chat` uses the tokenizer's own template, `plain` a text without roles, for base models. Two things never happen
silently: a template's own system prompt does not slip in where the conversation brings none, and words in a message
that look like control tokens stay text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from symdistill.errors import ModelError, UnusableModel
from symdistill.records import Message

Template = Literal["auto", "chat", "plain"]

PROBE_SYSTEM = "SYMDISTILLSYSTEM"
PROBE_USER = "SYMDISTILLUSER"
PROBE_REPLY = "SYMDISTILLREPLY"
FIXED_DATE = "26 Jul 2024"
"""For templates that write today's date into the prompt: the same prompt must not differ from day to day."""


@dataclass(frozen=True)
class PromptFormat:
    """How one tokenizer writes a conversation. Build it once a tokenizer with `prompt_format`.

    `kind` is the resolved template. `system` says what becomes of a system message: "native" (the template has the
    role), "fold" (it is put before the first user turn). `needs_empty_system` is set where the template would
    otherwise write a system prompt of its own. `end_of_turn` closes a reply.
    """

    tokenizer: Any
    kind: Literal["chat", "plain"]
    system: Literal["native", "fold"]
    needs_empty_system: bool
    end_of_turn: int
    begin: tuple[int, ...] = ()
    control_texts: tuple[str, ...] = field(default=(), repr=False)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """The ids of the conversation up to where the reply begins. Raises ModelError for one without a user turn."""
        if not any(m.role == "user" for m in messages):
            raise ModelError("A conversation without a user turn cannot be answered.", "Give the prompt a question.")
        if self.kind == "plain":
            return [*self.begin, *encode_text(self.tokenizer, plain_text(messages))]
        turns = self.turns(messages)
        sanitize = any(c in turn["content"] for turn in turns for c in self.control_texts)
        extra: dict[str, Any] = {"sanitize_control_tokens": True} if sanitize else {}
        ids = self.tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=False, date_string=FIXED_DATE, **extra
        )
        return list(ids)

    def encode_completion(self, text: str) -> list[int]:
        """The ids of a reply, without the end of turn, tokenised apart from its prompt."""
        return encode_text(self.tokenizer, text)

    def turns(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        """The messages as the template takes them: system folded in where it has no such role, or made explicit."""
        turns = [{"role": m.role, "content": m.content} for m in messages]
        if turns[0]["role"] != "system":
            return [{"role": "system", "content": ""}, *turns] if self.needs_empty_system else turns
        if self.system == "native":
            return turns
        first, rest = turns[0]["content"], turns[1:]
        index = next(i for i, turn in enumerate(rest) if turn["role"] == "user")
        joined = f"{first}\n\n{rest[index]['content']}" if first else rest[index]["content"]
        return [*rest[:index], {"role": "user", "content": joined}, *rest[index + 1 :]]


def prompt_format(tokenizer: Any, template: Template = "auto") -> PromptFormat:
    """Look at the tokenizer's template once. Raises UnusableModel for `chat` without a template, or no end token."""
    if template == "chat" and template_kind(tokenizer) == "plain":
        raise UnusableModel(
            "The tokenizer has no chat template.", "Set `student.template: plain`, or use an instruct model."
        )
    kind = template_kind(tokenizer, template)
    control = tuple(t.content for t in tokenizer.added_tokens_decoder.values() if t.special and t.content.strip())
    if kind == "plain":
        return PromptFormat(tokenizer, "plain", "fold", False, _end_of_text(tokenizer), _begin(tokenizer), control)
    system = _system_support(tokenizer)
    return PromptFormat(
        tokenizer,
        "chat",
        system,
        system == "native" and _writes_own_system(tokenizer),
        _end_of_turn(tokenizer),
        (),
        control,
    )


def template_kind(tokenizer: Any, template: Template = "auto") -> Literal["chat", "plain"]:
    """What `template` comes to with this tokenizer: `chat` takes a template of its own."""
    return "chat" if template != "plain" and getattr(tokenizer, "chat_template", None) else "plain"


def encode_prompt(tokenizer: Any, messages: Sequence[Message], template: Template = "auto") -> list[int]:
    """The ids of the conversation up to where the reply begins (see `PromptFormat`, which is quicker for many)."""
    return prompt_format(tokenizer, template).encode_prompt(messages)


def end_of_turn_id(tokenizer: Any, template: Template = "auto") -> int:
    """The token that closes a reply. Raises UnusableModel where the tokenizer has none."""
    return prompt_format(tokenizer, template).end_of_turn


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """The ids of `text` alone: no begin or end token, and no control token out of what merely looks like one."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def plain_text(messages: Sequence[Message]) -> str:
    """A conversation without roles: its turns in order, a blank line after each, so that the reply comes next."""
    return "".join(f"{m.content.strip()}\n\n" for m in messages if m.content.strip())


def template_differences(tokenizer: Any, messages: Sequence[Message], completion: str, template: Template) -> list[str]:
    """Where training's tokens differ from the tokenizer's own rendering of the whole conversation.

    Compares prompt ids + completion ids + end of turn with `apply_chat_template` of prompt and reply together. White
    space after the end of turn does not count. Each difference is one sentence; an empty list means parity. The plain
    format has no other rendering to differ from.
    """
    form = prompt_format(tokenizer, template)
    if form.kind == "plain":
        return []
    prompt = form.encode_prompt(messages)
    ours = [*prompt, *form.encode_completion(completion), form.end_of_turn]
    turns = [*form.turns(messages), {"role": "assistant", "content": completion}]
    whole = list(
        tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False, date_string=FIXED_DATE),
    )
    found: list[str] = []
    if prompt_opens_reasoning(tokenizer, prompt):
        found.append("The template's generation prompt opens a <think> block, so a completion starts as reasoning.")
    if whole[: len(ours)] == ours and not _text(tokenizer, whole[len(ours) :]).strip():
        return found
    at = next((i for i, (a, b) in enumerate(zip(ours, whole, strict=False)) if a != b), min(len(ours), len(whole)))
    expected, got = _text(tokenizer, whole[at : at + 8]), _text(tokenizer, ours[at : at + 8])
    if "<think>" in _text(tokenizer, whole) and "<think>" not in _text(tokenizer, ours):
        found.append("The template wraps a reply without reasoning in an empty <think> block; training does not.")
    elif at == len(ours) - 1 and not _text(tokenizer, whole[at:]).strip():
        found.append("The template does not close a reply; training ends it with the end-of-text token.")
    elif at < len(prompt):
        found.append(f"The prompt differs from the template at token {at}: the template has {expected!r}, not {got!r}.")
    else:
        found.append(f"The reply differs from the template at token {at}: the template has {expected!r}, not {got!r}.")
    return found


def prompt_opens_reasoning(tokenizer: Any, prompt: Sequence[int]) -> bool:
    """Whether the prompt ends inside a <think> block that the reply is to go on with."""
    return _text(tokenizer, prompt[-8:]).rstrip().endswith("<think>")


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _render(tokenizer: Any, turns: list[dict[str, str]], generation: bool = True) -> str:
    return str(
        tokenizer.apply_chat_template(turns, add_generation_prompt=generation, tokenize=False, date_string=FIXED_DATE)
    )


def _system_support(tokenizer: Any) -> Literal["native", "fold"]:
    """Templates without the system role either refuse it or leave its text out."""
    from jinja2.exceptions import TemplateError

    turns = [{"role": "system", "content": PROBE_SYSTEM}, {"role": "user", "content": PROBE_USER}]
    try:
        text = _render(tokenizer, turns)
    except TemplateError:
        return "fold"
    return "native" if PROBE_SYSTEM in text and PROBE_USER in text else "fold"


def _writes_own_system(tokenizer: Any) -> bool:
    """Whether the template puts a system prompt of its own where the conversation has none.

    With a system text S the template writes A + S + B; without one, a default shows as A + default + B. Raises
    UnusableModel when even an empty system message does not keep it out.
    """
    user = {"role": "user", "content": PROBE_USER}
    before, _, after = _render(tokenizer, [{"role": "system", "content": PROBE_SYSTEM}, user]).partition(PROBE_SYSTEM)
    bare = _render(tokenizer, [user])
    if not (bare.startswith(before) and bare.endswith(after) and len(bare) > len(before) + len(after)):
        return False
    default = bare[len(before) : len(bare) - len(after)]
    if default in _render(tokenizer, [{"role": "system", "content": ""}, user]):
        raise UnusableModel(
            f"The chat template always writes a system prompt of its own ({default.strip()[:60]!r}).",
            "Give the student an instruction, or set `student.template: plain`.",
        )
    return True


def _end_of_turn(tokenizer: Any) -> int:
    """The first special token the template writes after a reply; the end-of-text token where it writes none."""
    turns = [{"role": "user", "content": PROBE_USER}, {"role": "assistant", "content": PROBE_REPLY}]
    tail = _render(tokenizer, turns, generation=False).rpartition(PROBE_REPLY)[2]
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    for token in tokenizer(tail, add_special_tokens=False)["input_ids"]:
        if token in special:
            return int(token)
    return _end_of_text(tokenizer)


def _end_of_text(tokenizer: Any) -> int:
    if tokenizer.eos_token_id is None:
        raise UnusableModel(
            "The tokenizer has no end-of-text token, so a student could not learn to stop.",
            "Set `eos_token` in the model's tokenizer_config.json.",
        )
    return int(tokenizer.eos_token_id)


def _begin(tokenizer: Any) -> tuple[int, ...]:
    """The begin token, where the tokenizer puts one before a text by itself."""
    ids = tokenizer("a")["input_ids"]
    begin = tokenizer.bos_token_id
    return (int(begin),) if begin is not None and ids and ids[0] == begin else ()
