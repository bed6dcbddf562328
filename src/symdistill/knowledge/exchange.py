"""A knowledge base as one file that travels, with all its history, and back.

The file is JSON lines, gzipped when its name ends in `.gz`. The first line says what it is:

    {"format": "symdistill-knowledge", "version": 1, "items": 214, "versions": 260, "uses": 3120, "note": "…"}

Then come the versions of each item, and at the end what was measured:

    {"item": "k_…", "version": 1, "kind": "summary", "title": "…", "text": "…", "task": "…", "status": "active",
     "provenance": [{"example_id": "…", …}], "flags": [], "by": "…", "at": "…", "note": "…"}
    {"item": "k_…", "version": 2, "status": "retired", "by": "…", "at": "…", "note": "…"}
    {"use": "k_…", "item_version": 1, "example_id": "…", "correct_with": true, …, "recorded_at": "…"}

A value that is missing is that of the item's line before; on its first line it means no flags, no provenance, no note.
A use without `recorded_at` counts as older than any that has one.
The same content gives the same bytes.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from symdistill.curation.files import lines_written
from symdistill.errors import DamagedStore, DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.history import Merged, Version
from symdistill.knowledge.items import KnowledgeItem, Use
from symdistill.knowledge.rows import checked, flags_from, provenance_from, provenance_values
from symdistill.knowledge.salvage import Salvaged, salvaged
from symdistill.tasks.files import read_rows

FORMAT = "symdistill-knowledge"
VERSION = 1

_EXPORT = "Export one with `symdistill knowledge export`."
_AGAIN = "Export the file again."
_ITEM_VALUES = ("kind", "title", "text", "task", "status", "provenance", "flags")
_LINE_VALUES = frozenset(("item", "version", *_ITEM_VALUES, "by", "at", "note"))
_USE_VALUES = tuple(name for name in Use.__dataclass_fields__ if name not in ("item_id", "version"))
_MAY_BE_MISSING = frozenset(("gold", "recorded_at"))
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?\+00:00")


@dataclass(frozen=True, slots=True)
class Written:
    """How much an export holds."""

    items: int
    versions: int
    uses: int


def export_jsonl(
    base: KnowledgeBase, path: Path, *, items: Collection[str] | None = None, history: bool = True, note: str = ""
) -> Written:
    """Write what the base holds, or the items whose ids are named, with their history and what was measured.

    Without `history`, only the latest version of each item, and nothing that was measured.

    Raises:
        DataError: there is nothing to write, or nowhere to write it.
        StoreError: the base cannot be read.
    """
    histories = [versions if history else versions[-1:] for versions in base.histories(items)]
    if not histories:
        raise DataError(f"{base.path} holds no such items: nothing to export.", "`symdistill knowledge stats` counts.")
    uses = [use for use in base.uses() if items is None or use.item_id in items] if history else []
    return _write(path, histories, uses, note)


def export_damaged(base: Path, path: Path, *, note: str = "") -> tuple[Written, Salvaged]:
    """Write what can still be read of a base whose file is damaged, and return what that was.

    Raises:
        DamagedStore: nothing can be read.
        DataError: there is nowhere to write.
    """
    found = salvaged(base)
    if not found.histories:
        raise DamagedStore(
            f"Damaged: nothing can be read of the knowledge base {base}. {' '.join(found.lost)}",
            "Restore a copy, or import an older export into a new file with `symdistill knowledge import`.",
        )
    return _write(path, found.histories, found.uses, note), found


def _write(path: Path, histories: Sequence[list[Version]], uses: list[Use], note: str) -> Written:
    uses.sort(key=lambda use: (use.item_id, use.version, use.example_id, use.student))
    written = Written(len(histories), sum(len(versions) for versions in histories), len(uses))
    header = {"format": FORMAT, "version": VERSION, **asdict(written), **({"note": note} if note else {})}
    packer = zlib.compressobj(6, zlib.DEFLATED, 31) if path.suffix == ".gz" else None  # gzip, without name and time
    with lines_written(path) as write:
        for row in (header, *_version_rows(histories), *map(_use_row, uses)):
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            write(packer.compress(line) if packer else line)
        if packer:
            write(packer.flush())
    return written


def import_jsonl(base: KnowledgeBase | Path, path: Path) -> Merged:
    """Take in what an export holds; see `KnowledgeBase.merge` for what happens to items that are there already.

    A base named by its path is made where it is not there, once the whole file was found to be sound.

    Raises:
        DataError: a line cannot be read; it is named, and nothing was imported.
        StoreError: the base cannot be written.
    """
    histories, uses = read_jsonl(path)
    if isinstance(base, KnowledgeBase):
        return base.merge(histories, uses)
    with KnowledgeBase(base) as opened:
        return opened.merge(histories, uses)


def read_jsonl(path: Path) -> tuple[list[list[Version]], list[Use]]:
    """The histories of the items of an export, and what was measured. Raises DataError with the line."""
    rows = read_rows(path) if path.exists() else iter(())
    place, header = next(rows, ("", {}))
    if not place:
        what = "is empty, not an export" if path.exists() else "is not there"
        raise DataError(f"{path} {what}.", _EXPORT)
    if header.get("format") != FORMAT:
        raise DataError(f"{place}: not an export of a knowledge base (no format line).", _EXPORT)
    if header.get("version") != VERSION:
        raise DataError(
            f"{place}: format version {header.get('version')!r}; this program reads version {VERSION}.",
            "Install a symdistill that writes this version.",
        )
    histories: dict[str, list[Version]] = {}
    uses: list[Use] = []
    for place, row in rows:
        try:
            if "use" in row:
                uses.append(_use(row))
            else:
                _append(histories, row)
        except (ValueError, TypeError, DataError) as error:
            said = error.message if isinstance(error, DataError) else f"{error}."
            raise DataError(f"{place}: {said} Nothing was imported.", _AGAIN) from None
    if len(histories) != header.get("items") or len(uses) != header.get("uses"):
        raise DataError(
            f"{path} is cut short: {len(histories):,} items and {len(uses):,} uses, where its first line says "
            f"{header.get('items')} and {header.get('uses')}. Nothing was imported.",
            _AGAIN,
        )
    return list(histories.values()), uses


def _version_rows(histories: Iterable[list[Version]]) -> Iterator[dict[str, Any]]:
    for versions in histories:
        before: dict[str, Any] = {"provenance": [], "flags": []}
        for version in versions:
            values = _values(version.item)
            changed = {name: value for name, value in values.items() if before.get(name) != value}
            row = {"item": version.item.id, "version": version.item.version, **changed}
            yield {**row, "by": version.by, "at": version.at, **({"note": version.note} if version.note else {})}
            before = values


def _values(item: KnowledgeItem) -> dict[str, Any]:
    values = {name: getattr(item, name) for name in _ITEM_VALUES}
    return values | {"provenance": [provenance_values(p) for p in item.provenance], "flags": list(item.flags)}


def _use_row(use: Use) -> dict[str, Any]:
    values = asdict(use)
    return {"use": values.pop("item_id"), "item_version": values.pop("version"), **values}


def _append(histories: dict[str, list[Version]], row: Mapping[str, Any]) -> None:
    """Put one more version behind those of its item. Raises ValueError, TypeError, DataError."""
    _known(row, _LINE_VALUES)
    item_id, number = _value(row, "item", str), _value(row, "version", int)
    versions = histories.get(item_id, [])
    before = _values(versions[-1].item) if versions else {"provenance": [], "flags": []}
    if versions and versions[-1].item.version >= number:
        raise ValueError(f"version {number} of {item_id!r} stands behind version {versions[-1].item.version}")
    values = before | {name: row[name] for name in _ITEM_VALUES if name in row}
    missing = next((name for name in _ITEM_VALUES if name not in values), None)
    if missing:
        raise ValueError(f"there is no `{missing}`")
    item = checked(
        KnowledgeItem(
            item_id,
            **{name: values[name] for name in ("kind", "title", "text", "task", "status")},
            provenance=provenance_from(values["provenance"]),
            flags=flags_from(values["flags"]),
            version=number,
            edited_by=_value(row, "by", str),
            edited_at=_value(row, "at", str),
        )
    )
    note = _value(row, "note", str) if "note" in row else ""
    histories.setdefault(item_id, []).append(Version(item, note, item.edited_by, item.edited_at))


def _use(row: Mapping[str, Any]) -> Use:
    _known(row, frozenset(("use", "item_version", *_USE_VALUES)))
    given = [name for name in _USE_VALUES if name in row or name not in _MAY_BE_MISSING]
    values = {name: _value(row, name, bool if name.startswith("correct_") else str) for name in given}
    use = Use(_value(row, "use", str), _value(row, "item_version", int), **values)
    if use.recorded_at and _UTC.fullmatch(use.recorded_at) is None:
        raise ValueError(f"`recorded_at` is {use.recorded_at!r}, not a time in UTC such as 2026-05-01T12:00:00+00:00")
    return use


def _known(row: Mapping[str, Any], names: Collection[str]) -> None:
    unknown = next((name for name in row if name not in names), None)
    if unknown is not None:
        raise ValueError(f"unknown value {unknown!r}")


def _value(row: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in row:
        raise ValueError(f"there is no `{name}`")
    value = row[name]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"`{name}` has the wrong type")
    return value
