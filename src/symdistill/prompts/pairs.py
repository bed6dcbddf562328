"""The prompts of rounds that write one text about another: the request with its input, texts shown as a list, and the
question a model is asked that grades a pair.

What a model wrote comes back in later prompts as data: a tag that would close its own, and the control tokens of chat
templates, lose their bracket.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from symdistill.prompts.files import wording
from symdistill.prompts.tags import Tags
from symdistill.records import Message

INPUT = "{input}"
"""Where a request has its input."""
PAIR_AUDIT = "pair-audit/1"
"""Name and version of what `audit_messages` asks; a change of its wording means a new number."""
NEW_TEXTS = "new_texts"
"""The wording that asks for one more text like some."""

_TAGS = Tags("input", "output")
_PART = re.compile(r"\{(question|input|output)\}")
_MARKER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s+")
_LEAD_IN = re.compile(r"(?:sure|certainly|of course|okay|ok|here)\b.*:|.*\bhere(?:['’]s| is| are)\b.*:", re.IGNORECASE)
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
    parts = {"question": question, "input": _TAGS.plain(text), "output": _TAGS.plain(output)}
    return (Message("user", _PART.sub(lambda match: parts[match[1]], wording("pair_audit"))),)


def label_of(request: str) -> str:
    """What a request ends in for its reader to go on from ("Shorter sentence:"), or nothing."""
    last = request.rstrip().rpartition("\n")[2].strip()
    return last if last.endswith(":") and INPUT not in last else ""


def first_line(reply: str, label: str = "") -> str:
    """The first line of a reply that says something, without what stands around it: a line that leads in to it ("Sure,
    here is one:"), the `label` its request ended in, its number in a list, stars and quotation marks."""
    line, _ = _chosen(reply)
    labelled = re.compile(rf"(?:\*\*|__)?{re.escape(label)}(?:\*\*|__)?\s*(?=\S)", re.IGNORECASE) if label else None
    before = None
    while line != before:
        before = line
        line = _MARKER.sub("", line).strip()
        if labelled and (match := labelled.match(line)):
            line = line[match.end() :]
        for mark in ("**", "__"):
            if len(line) > 4 and line.startswith(mark) and line.endswith(mark) and mark not in line[2:-2]:
                line = line[2:-2].strip()
        if len(line) > 1 and (line[0], line[-1]) in _QUOTES and line[0] not in line[1:-1]:
            line = line[1:-1].strip()
    return line


def ends_with_first_line(reply: str) -> bool:
    """Whether the line that `first_line` takes is the last one, so that it ends where the reply was cut."""
    return _chosen(reply)[1]


def _chosen(reply: str) -> tuple[str, bool]:
    """The line that is meant, and whether nothing follows."""
    lines = [line.strip() for line in reply.splitlines() if line.strip()] or [""]
    place = 1 if len(lines) > 1 and _LEAD_IN.fullmatch(lines[0]) else 0
    return lines[place], place == len(lines) - 1


def _line(text: str) -> str:
    return " ".join(_TAGS.plain(text).split())
