"""Knowledge items and their uses as rows of a knowledge base, and back, with every value checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, get_args

from symdistill.errors import DataError
from symdistill.knowledge.items import Flag, Kind, KnowledgeItem, Provenance, Status, Use
from symdistill.sampling.database import storable

KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[Status, ...] = get_args(Status)
FLAGS: tuple[Flag, ...] = get_args(Flag)

ITEM_COLUMNS = "item, version, kind, title, text, task, status, provenance, flags, edited_by, edited_at"
USE_COLUMNS = (
    "item, version, example_id, question, run, student, correct_with, correct_without, reply_with, reply_without, "
    "gold, recorded_at"
)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_MOST_VERSIONS = 10**9
_PROVENANCE = tuple(field.name for field in fields(Provenance))
_NEEDED = ("example_id", "task", "question")
_TEXTS = ("title", "text", "task", "edited_by", "edited_at")


def checked(item: KnowledgeItem) -> KnowledgeItem:
    """The item as it can be stored: every value of its type and known, lone surrogates replaced. Raises DataError."""
    try:
        _check(item)
    except ValueError as problem:
        raise DataError(
            f"The knowledge item {item.id!r} cannot be kept: {problem}.", "Correct that value and try again."
        ) from None
    texts: dict[str, Any] = {name: storable(getattr(item, name)) for name in _TEXTS}
    sources = tuple(Provenance(*(storable(getattr(p, name)) for name in _PROVENANCE)) for p in item.provenance)
    return replace(item, provenance=sources, **texts)


def item_row(item: KnowledgeItem) -> tuple[Any, ...]:
    """The values of `ITEM_COLUMNS`."""
    return (
        *(item.id, item.version, item.kind, item.title, item.text, item.task, item.status),
        json.dumps([provenance_values(p) for p in item.provenance], ensure_ascii=False, separators=(",", ":")),
        json.dumps(list(item.flags), separators=(",", ":")),
        *(item.edited_by, item.edited_at),
    )


def item_from(row: Sequence[Any]) -> KnowledgeItem:
    """The item of a row. Raises ValueError, in words, for a row that makes no sense."""
    key, version, kind, title, text, task, status, provenance, flags, by, at = row
    item = KnowledgeItem(
        *(key, kind, title, text, task, status),
        provenance=provenance_from(_parsed(provenance, "provenance")),
        flags=flags_from(_parsed(flags, "flags")),
        version=version,
        edited_by=by,
        edited_at=at,
    )
    _check(item)
    return item


def use_row(use: Use) -> tuple[Any, ...]:
    """The values of `USE_COLUMNS`."""
    values = (getattr(use, field.name) for field in fields(use))
    return tuple(storable(value) if isinstance(value, str) else int(value) for value in values)


def use_from(row: Sequence[Any]) -> Use:
    """The use of a row. Raises ValueError, in words."""
    for name, value in zip(USE_COLUMNS.split(", "), row, strict=True):
        wanted = int if name == "version" or name.startswith("correct_") else str
        if not isinstance(value, wanted):
            raise ValueError(f"{name} is not {'a whole number' if wanted is int else 'text'}")
    values: dict[str, Any] = dict(zip((field.name for field in fields(Use)), row, strict=True))
    verdicts = {name: bool(values[name]) for name in ("correct_with", "correct_without")}
    return Use(**values | verdicts)


def same_content(one: KnowledgeItem, other: KnowledgeItem) -> bool:
    """Whether two versions say the same, whoever wrote them and when."""
    return replace(one, version=1, edited_by="", edited_at="") == replace(other, version=1, edited_by="", edited_at="")


def provenance_values(source: Provenance) -> dict[str, str]:
    """A source as JSON values, those that are empty left out."""
    return {name: value for name, value in asdict(source).items() if value or name in _NEEDED}


def provenance_from(value: Any) -> tuple[Provenance, ...]:
    """The sources that `provenance_values` wrote. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(source, Mapping) for source in value):
        raise ValueError("provenance is not a list of sources")
    for source in value:
        unknown = next((name for name in source if name not in _PROVENANCE), None)
        if unknown is not None:
            raise ValueError(f"provenance has an unknown value {unknown!r}")
        missing = next((name for name in _NEEDED if name not in source), None)
        if missing is not None:
            raise ValueError(f"provenance has no {missing}")
    return tuple(Provenance(**source) for source in value)


def flags_from(value: Any) -> tuple[Flag, ...]:
    """A list of flags after parsing. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("flags is not a list")
    return tuple(value)


def _check(item: KnowledgeItem) -> None:
    if not isinstance(item.id, str) or not _ID.fullmatch(item.id):
        raise ValueError("its id is not made of 1 to 80 letters, digits and _ . -")
    for name in _TEXTS:
        if not isinstance(getattr(item, name), str):
            raise ValueError(f"{name} is not text")
    if isinstance(item.version, bool) or not isinstance(item.version, int) or not 0 < item.version < _MOST_VERSIONS:
        raise ValueError(f"version {item.version!r} is not a whole number from 1")
    if item.kind not in KINDS:
        raise ValueError(f"unknown kind {item.kind!r} (known: {', '.join(KINDS)})")
    if item.status not in STATUSES:
        raise ValueError(f"unknown status {item.status!r} (known: {', '.join(STATUSES)})")
    wrong = next((flag for flag in item.flags if flag not in FLAGS), None)
    if wrong is not None:
        raise ValueError(f"unknown flag {wrong!r} (known: {', '.join(FLAGS)})")
    if not all(isinstance(getattr(p, name), str) for p in item.provenance for name in _PROVENANCE):
        raise ValueError("a value of its provenance is not text")


def _parsed(text: Any, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"{name} is not JSON") from None
