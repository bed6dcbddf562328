"""The prompts behind triples: more heads like some, tails of a head in a relation, and triples taken out of a text.

What a schema, a file or a model wrote is data: a tag that would close its own, and the control tokens of chat
templates, lose their bracket.
"""

from __future__ import annotations

from collections.abc import Sequence

from symdistill.prompts.files import sections
from symdistill.prompts.tags import Tags
from symdistill.records import Message

TRIPLE_HEADS = "triple-heads/1"
"""Name and version of what `head_messages` asks; a change of its wording means a new number."""
TRIPLE_TAILS = "triple-tails/1"
"""Name and version of what `tail_messages` asks."""
TRIPLE_EXTRACTION = "triple-extraction/1"
"""Name and version of what `extraction_messages` asks."""

_TAGS = Tags("about", "text")


def head_messages(kind: str, examples: Sequence[str], count: int) -> tuple[Message, ...]:
    """Asks for `count` more heads like `examples`; `kind` says what they are ("events in a person's life")."""
    part = sections("triple_heads")
    instruction = part["instruction"].replace("{kind}", _line(kind))
    if any("PersonX" in example for example in examples):
        instruction = f"{instruction}\n{part['names']}"
    listed = "\n".join(f"{number}. {_line(example)}" for number, example in enumerate(examples, 1))
    request = part["request"].replace("{count}", str(count)).replace("{examples}", listed)
    return (Message("system", instruction), Message("user", request))


def tail_messages(ask: str, head: str, count: int, examples: Sequence[tuple[str, str]] = ()) -> tuple[Message, ...]:
    """Asks for `count` tails of `head`; `ask` is the relation as a question. Each of `examples`, a head with a tail, is
    an exchange that goes before: a small teacher follows a form it has seen far better than one it has been told."""
    part = sections("triple_tails")
    turns = [Message("system", part["instruction"])]
    for shown_head, tail in examples:
        turns.append(Message("user", _about(part["request_one"], ask, shown_head, 1)))
        turns.append(Message("assistant", f"1. {_line(tail)}"))
    name = "request" if count > 1 else "request_one"
    return (*turns, Message("user", _about(part[name], ask, head, count)))


def triple_question(ask: str, head: str) -> str:
    """What a student that completes triples is asked: a head, and its relation as a question."""
    return sections("triple_student")["request"].replace("{ask}", _line(ask)).replace("{head}", _line(head))


def extraction_messages(
    relations: Sequence[tuple[str, str]], text: str, shown: tuple[str, Sequence[tuple[str, str, str]]] | None = None
) -> tuple[Message, ...]:
    """Asks for the facts a text states; `relations` are ids with what they mean. `shown` is a text with its facts, an
    exchange that goes before."""
    part = sections("triple_extraction")
    listed = "\n".join(f"- {name}: {_line(meaning)}" for name, meaning in relations)
    turns = [Message("system", part["instruction"].replace("{relations}", listed))]
    if shown is not None:
        turns.append(Message("user", part["request"].replace("{text}", _TAGS.plain(shown[0]))))
        turns.append(Message("assistant", "\n".join(" | ".join(map(_line, fact)) for fact in shown[1])))
    return (*turns, Message("user", part["request"].replace("{text}", _TAGS.plain(text))))


def _about(template: str, ask: str, head: str, count: int) -> str:
    return template.replace("{ask}", _line(ask)).replace("{count}", str(count)).replace("{head}", _line(head))


def _line(text: str) -> str:
    return " ".join(_TAGS.plain(text).split())
