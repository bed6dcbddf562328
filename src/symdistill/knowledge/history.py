"""Versions of knowledge items: what changed between two, and how two histories of one item fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.rows import item_from, same_content

EDITABLE = ("title", "text", "task", "status", "flags", "provenance")
"""What an edit may change; id and kind stay."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an item: what it says, who wrote it, when (UTC, ISO 8601), and why."""

    item: KnowledgeItem
    note: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Change:
    """An edit that is to be made: the values of `EDITABLE` that change.

    `expected_version` is the version the change was thought out for; None takes whatever is there.
    """

    item_id: str
    expected_version: int | None
    changes: Mapping[str, Any]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An item that was changed here and elsewhere: the latest version of either. Nothing was written."""

    item_id: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did: items that were new, items that got later versions, how many had nothing new, conflicts.

    `uses` measurements were taken in; `foreign_uses` were left out because the text they were made with is not here.
    """

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: int = 0
    uses: int = 0
    conflicts: tuple[Conflict, ...] = ()
    foreign_uses: int = 0


def difference(before: KnowledgeItem | None, after: KnowledgeItem) -> list[str]:
    """What changed from one version to the next, as the lines of a unified diff without its head.

    The first version (`before` None) is all new.
    """
    lines = list(unified_diff(_lines(before) if before else [], _lines(after), lineterm="", n=2))
    return lines[2:]


def continuing(ours: Sequence[Sequence[Any]], theirs: Sequence[Version]) -> list[Version] | None:
    """The versions of `theirs` that continue `ours`; None where the two do not fit together."""
    if not ours:
        return list(theirs)
    here = {row[1]: row for row in ours}
    for version in theirs:
        row = here.get(version.item.version)
        try:
            if row is not None and not same_content(item_from(row), version.item):
                return None
        except ValueError:  # a row of ours that makes no sense: a person has to look
            return None
    latest = ours[-1][1]
    fresh = [version for version in theirs if version.item.version > latest]
    return fresh if not fresh or any(version.item.version == latest for version in theirs) else None


def _lines(item: KnowledgeItem) -> list[str]:
    head = [f"{name}: {getattr(item, name)}" for name in ("title", "task", "status")]
    head += [f"flag: {flag}" for flag in item.flags]
    head += [f"from: {source.example_id} ({source.task})" for source in item.provenance]
    return [*head, "", *item.text.split("\n")]
