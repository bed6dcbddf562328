"""The prompts of rounds that write one text about another: the request with its input, texts shown as a list, and the
question a model is asked that grades a pair.

What a model wrote comes back in later prompts as data: a tag that would close its own, and the control tokens of chat
templates, lose their bracket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from symdistill.prompts import _breaking_out, _without_bracket, wording
from symdistill.records import Message

INPUT = "{input}"
"""Where a request has its input."""
PAIR_AUDIT = "pair-audit/1"
"""Name and version of what `audit_messages` asks; a change of its wording means a new number."""
NEW_TEXTS = "new_texts"
"""The wording that asks for one more text like some."""

_BREAKS_OUT = _breaking_out("input", "output")
_PART = re.compile(r"\{(question|input|output)\}")
_MARKER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s+")
_QUOTES = {('"', '"'), ("“", "”"), ("'", "'"), ("`", "`"), ("«", "»")}


def pair_messages(
    instruction: str, request: str, text: str, shown: Sequence[tuple[str, str]] = ()
) -> tuple[Message, ...]:
    """What teacher and student read: `request` with `text` in it. Each of `shown`, an input with its output, is an
    exchange that goes before."""
    turns = [Message("system", instruction)] if instruction else []
    for example, output in shown:
        turns += [Message("user", request.replace(INPUT, example)), Message("assistant", output)]
    return (*turns, Message("user", request.replace(INPUT, text)))


def listed(texts: Sequence[str]) -> str:
    """Texts as a numbered list, one a line."""
    return "\n".join(f"{number}. {_line(text)}" for number, text in enumerate(texts, 1))


def audit_messages(question: str, text: str, output: str) -> tuple[Message, ...]:
    """Asks whether an output is right, in the words of `question`."""
    parts = {"question": question, "input": _plain(text), "output": _plain(output)}
    return (Message("user", _PART.sub(lambda match: parts[match[1]], wording("pair_audit"))),)


def first_line(reply: str) -> str:
    """The first line of a reply that says something, without its number in a list and the quotation marks around
    it."""
    line = next((line for line in reply.splitlines() if line.strip()), "")
    line = _MARKER.sub("", line).strip()
    if len(line) > 1 and (line[0], line[-1]) in _QUOTES and line[0] not in line[1:-1]:
        line = line[1:-1].strip()
    return line


def _line(text: str) -> str:
    return " ".join(_plain(text).split())


def _plain(text: str) -> str:
    return _BREAKS_OUT.sub(_without_bracket, text)
