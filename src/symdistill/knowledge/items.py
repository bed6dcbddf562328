"""What the knowledge base holds: items a person can read, where each came from, and what using it changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from symdistill.content import content_key

Kind = Literal["summary", "supplementary", "triple", "rule"]
Status = Literal["active", "review", "retired"]
Flag = Literal["leaks_answer", "copies_question", "too_long", "truncated", "contradiction", "merged", "retired_twin"]

LEAKING: frozenset[Flag] = frozenset({"leaks_answer", "copies_question"})
"""Flags of items that are not shown for a question they came from."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """One source of an item: the question, the student's wrong reply to it, and the teacher's request.

    `request_key` addresses the teacher's reply in the response store, `prompt` names the wording it was asked with
    and its version (`error-analysis/1`). Text in here is a model's or a file's: data, never instructions or markup.
    """

    example_id: str
    task: str
    question: str
    student_reply: str = ""
    request_key: str = ""
    model: str = ""
    prompt: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class KnowledgeItem:
    """One piece of knowledge at one version.

    `active` items are retrieved, those in `review` wait for a person, `retired` ones are kept and not used. `flags`
    say what refinement found. `version` counts from 1; an edit makes the next one and keeps those before.
    `edited_by` is a person, or the part of the program that made this version; `edited_at` is UTC, ISO 8601.
    """

    id: str
    kind: Kind
    title: str
    text: str
    task: str
    status: Status = "active"
    provenance: tuple[Provenance, ...] = ()
    flags: tuple[Flag, ...] = ()
    version: int = 1
    edited_by: str = ""
    edited_at: str = ""

    @property
    def sources(self) -> frozenset[str]:
        """Ids of the questions the item came from."""
        return frozenset(p.example_id for p in self.provenance)


@dataclass(frozen=True, slots=True)
class Use:
    """An item put before a student for one question, beside the same prompt without that item.

    Both replies are the same student's, decoded alike; other items retrieved for the question stood in both prompts.
    `gold` is the right answer. `recorded_at` (UTC, ISO 8601) is set by the base that the use was written into first;
    it is no part of what was measured.
    """

    item_id: str
    version: int
    example_id: str
    question: str
    run: str
    student: str
    correct_with: bool
    correct_without: bool
    reply_with: str
    reply_without: str
    gold: str = ""
    recorded_at: str = field(default="", compare=False)


def item_id(kind: Kind, task: str, text: str, source: str = "") -> str:
    """The id of a new item: `k_` and 12 hexadecimal digits of what it says and where it came from (`source`: a
    request's key, a file's line, ""), so that making the same item twice gives one item."""
    return "k_" + content_key("k1", {"kind": kind, "task": task, "text": text, "source": source})[3:15]
