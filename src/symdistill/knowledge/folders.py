"""A knowledge base as a folder of Markdown files, and the edits made there back into the base.

An edit that does not start from the latest version is a conflict: it is reported and nothing is overwritten, neither in
the base nor in the folder. A file that was deleted changes nothing; an item is taken out of use with
`status: retired`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from symdistill.errors import DataError, StoreError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, item_id
from symdistill.knowledge.markdown import Draft, file_name, parse, render, stamped
from symdistill.knowledge.utility import Lift

MOST_BYTES = 16 * 2**20
"""A larger file is taken for damage, not for an item."""

_BOM = "\ufeff"


@dataclass(slots=True)
class Exported:
    """How many files were written, how many said the same already, and in words those that were left alone."""

    written: int = 0
    unchanged: int = 0
    kept: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Imported:
    """What came out of a folder: ids of new items, of items with a new version, and how many files changed nothing.

    `conflicts` and `problems` say in words what was left out, file by file; `notes` what else a person should know.
    """

    added: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    unchanged: int = 0
    conflicts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export_folder(
    base: KnowledgeBase, folder: Path, items: Iterable[KnowledgeItem], lifts: Mapping[str, Lift] | None = None
) -> Exported:
    """Write each item as a file into `folder`, which is made where it is not there.

    A file of the same item that is there already keeps its name, and is written anew unless it holds an edit that the
    base has not seen.

    Raises:
        DataError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    done = Exported()
    there: dict[str, list[Path]] = {}
    names: set[str] = set()
    for path in _files(folder):
        names.add(str(path.relative_to(folder)).lower())
        known = _id_of(path)
        if known is not None:
            there.setdefault(known, []).append(path)
    for item in items:
        text = render(item, (lifts or {}).get(item.id))
        paths = there.get(item.id, [])
        if len(paths) > 1:
            done.kept.append(f"{item.id} stands in several files and was left alone: {_listed(paths)}.")
            continue
        path = paths[0] if paths else folder / _free_name(item, names)
        if paths and (why := _unseen_edit(base, path, item)):
            done.kept.append(why)
        elif paths and _read(path) == text:
            done.unchanged += 1
        else:
            _write(path, text)
            done.written += 1
    return done


def import_folder(base: KnowledgeBase, source: Path, *, by: str, note: str = "") -> Imported:
    """Take the edits and the new items of a folder, or of one file, into the base.

    Folders inside are looked through; a README.md and files whose names begin with a dot are none of ours. A file
    whose content came in has its `id` and `version` brought up to date, so that it can be edited again.

    Raises:
        DataError: there is no such folder or file.
        StoreError: the base cannot be read or written.
    """
    if not source.exists():
        raise DataError(f"There is no folder {source}.", "Name a folder that `symdistill knowledge export` wrote.")
    done = Imported()
    drafts: list[tuple[Path, str, Draft]] = []
    for path in _files(source) if source.is_dir() else [source]:
        try:
            text = _read(path)
            drafts.append((path, text, parse(text.removeprefix(_BOM), str(path))))
        except DataError as error:
            done.problems.append(str(error))
    for path, text, draft in _single(drafts, done):
        try:
            item = _take_in(base, path, draft, by, note, done)
        except (DataError, StoreError) as error:
            done.problems.append(f"{path}: {error}")
            continue
        if item is not None and (draft.id, draft.version) != (item.id, item.version):
            _stamp(path, text, draft, item, done)
    return done


def files_of_items(source: Path) -> list[Path]:
    """The files of a folder, or the file named, that say which item of a base they are."""
    return [path for path in (_files(source) if source.is_dir() else [source]) if _id_of(path) is not None]


def _take_in(base: KnowledgeBase, path: Path, draft: Draft, by: str, note: str, done: Imported) -> KnowledgeItem | None:
    """The version of the item that says what the file says; None where the file was left out."""
    key, version = _identity(draft), draft.version or 1
    if draft.id is None:
        if not draft.text.strip():
            raise DataError("there is no text below the front matter.", "Write what the item is to say.")
        new = KnowledgeItem(
            *(key, draft.kind, draft.title, draft.text, draft.task, draft.status or "active"), flags=draft.flags
        )
        if base.add([new], by=by, note=note or f"written in {path.name}"):
            done.added.append(key)
            return base.get(key)
    try:
        latest = base.get(key)
    except DataError as error:
        raise DataError(
            error.message,
            f"{error.fix} Taking the `id` line out makes a new item of the file; "
            "what another base holds comes in as a .jsonl file.",
        ) from None
    if latest.kind != draft.kind:
        raise DataError(
            f"the kind of {key} is {latest.kind} and stays so.", "Take the `id` line out to make a new item of it."
        )
    changes = draft.changes(latest)
    if not changes:
        done.unchanged += 1
        return latest
    if version != latest.version:
        before = next((v.item for v in base.history(key) if v.item.version == version), None)
        if before is None or draft.changes(before):
            done.conflicts.append(_conflict(path, key, version, latest))
            return None
        done.unchanged += 1  # nobody touched the file; the base has gone on
        return before
    if not changes.get("text", "some").strip():
        raise DataError(
            f"the text of {key} was emptied.", "Set `status: retired` to take the item out of use, and keep its text."
        )
    edited = base.edit(key, by=by, note=note or f"edited in {path.name}", expected=version, **changes)
    done.edited.append(key)
    return edited


def _conflict(path: Path, key: str, version: int, latest: KnowledgeItem) -> str:
    if version > latest.version:
        return (
            f"{path}: starts from version {version} of {key}, and the latest that the base has is {latest.version}. "
            "Import it into the base it was exported from."
        )
    return (
        f"{path}: starts from version {version} of {key}, and the base is at version {latest.version} "
        f"(by {latest.edited_by!r}, {latest.edited_at}). Put the two together by hand, then set "
        f"`version: {latest.version}` in the file and import it again."
    )


def _single(drafts: list[tuple[Path, str, Draft]], done: Imported) -> Iterator[tuple[Path, str, Draft]]:
    """The files that speak of an item alone; of several that speak of one, none can be believed."""
    by_id: dict[str, list[tuple[Path, str, Draft]]] = {}
    for entry in drafts:
        by_id.setdefault(_identity(entry[2]), []).append(entry)
    for key, entries in by_id.items():
        if len(entries) == 1:
            yield entries[0]
        else:
            done.problems.append(
                f"{_listed([path for path, _, _ in entries])}: all are item {key}; none was imported. "
                "Keep one of them, or take the `id` line out of what is to be a new item."
            )


def _identity(draft: Draft) -> str:
    return draft.id or item_id(draft.kind, draft.task, draft.text)


def _stamp(path: Path, text: str, draft: Draft, item: KnowledgeItem, done: Imported) -> None:
    mark = _BOM if text.startswith(_BOM) else ""
    try:
        _write(path, mark + stamped(text.removeprefix(_BOM), draft, item))
    except DataError as error:
        done.notes.append(f"{error.message} It was imported as version {item.version}: export it before editing again.")


def _unseen_edit(base: KnowledgeBase, path: Path, item: KnowledgeItem) -> str | None:
    """Why an existing file must not be written over, None where it may."""
    try:
        draft = parse(_read(path).removeprefix(_BOM), str(path))
    except DataError as error:
        return f"{error.message} It was left as it is."
    known = (v.item for v in base.history(item.id) if v.item.version == draft.version)
    if any(draft.kind == before.kind and not draft.changes(before) for before in known) or not draft.changes(item):
        return None
    return f"{path} holds an edit that was not imported and was left as it is. Import the folder first."


def _id_of(path: Path) -> str | None:
    """The item a file says it is, as far as that can be read without understanding the rest."""
    try:
        lines = _read(path).removeprefix(_BOM).split("\n", 40)
    except DataError:
        return None
    if lines[0].rstrip() != "---":
        return None
    for line in lines[1:]:
        if line.rstrip() == "---":
            return None
        name, _, value = line.partition(":")
        if name.strip() == "id":
            return value.strip().strip("'\"")
    return None


def _files(folder: Path) -> list[Path]:
    paths = (p for p in sorted(folder.rglob("*.md")) if p.is_file() and p.name.lower() != "readme.md")
    return [p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts)]


def _free_name(item: KnowledgeItem, names: set[str]) -> str:
    name, number = file_name(item), 1
    while name.lower() in names:  # ids that differ by upper and lower case only, or a file of the user's own
        number += 1
        name = f"{file_name(item).removesuffix('.md')}-{number}.md"
    names.add(name.lower())
    return name


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(f"{path}: larger than {MOST_BYTES // 2**20} MB.", "One item is one short text.")
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not UTF-8.", "Save the file as UTF-8.") from None
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.", "Check the file and its rights.") from None


def _write(path: Path, text: str) -> None:
    place = path.resolve()  # the file a link points to, not the link
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        part.replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):  # what went wrong is said below
            part.unlink()
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"Cannot write {path}: {error.strerror or error}.", "Choose a folder you can write to.")


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(str(path) for path in paths)
