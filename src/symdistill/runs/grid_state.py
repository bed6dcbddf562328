"""What a finished cell was made of: so long as none of it has changed, the cell is not run again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from symdistill.content import content_key, file_sha256
from symdistill.errors import StoreError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.models.gguf_header import gguf_fingerprint
from symdistill.records import Example
from symdistill.runs.config import RunConfig
from symdistill.runs.featuring import tree_files
from symdistill.runs.paths import change_paths

_READ_OTHERWISE = ("task.path", "task.eval_path", "store")
"""Paths whose content counts by what is read from it: the questions, each reply by its own key."""


def examples_key(examples: tuple[Example, ...] | list[Example]) -> str:
    """The content key of all there is to know about questions."""
    return content_key("q5", [_values(example) for example in examples])


def inputs_key(config: RunConfig) -> str:
    """The content key of every file and directory a configuration names, but for its questions and its store."""
    found: dict[str, str] = {}

    def look(key: str, path: str, certain: bool) -> str:
        if key not in _READ_OTHERWISE:
            found[key] = content_of(Path(path).expanduser())
        return path

    change_paths(config.model_dump(mode="json"), look)
    return content_key("i1", found)


def editable_key(cell: Path) -> str:
    """The content key of what a run has made and people may then change, which the next start takes up: rationales,
    notes, questions about inputs."""
    found = sorted([*cell.glob("rationales*.jsonl"), *cell.glob("knowledge*.sqlite")])
    there = [path for path in (*found, tree_files(cell).questions) if path.exists()]
    return content_key("e1", {path.name: content_of(path) for path in there})


def _values(example: Example) -> dict[str, Any]:
    found = {field.name: getattr(example, field.name) for field in dataclasses.fields(example)}
    return {**found, "choices": list((example.choices or {}).items()), "rationales": list(example.rationales)}


def content_of(path: Path) -> str:
    """The content of a file, a folder or a knowledge base, in a few digits; "absent" where nothing is there."""
    if not path.exists():
        return "absent"
    if path.suffix == ".sqlite":
        return _items_key(path)
    if not path.is_dir():
        return _digits(path)
    return content_key("f1", [[str(file.relative_to(path)), _digits(file)] for file in _files_in(path)])


def _items_key(path: Path) -> str:
    """The items of a knowledge base as they are now; how they came to be so does not count."""
    try:
        with KnowledgeBase(path, create=False, report=lambda text: None) as base:
            items = base.items(status=None)
    except StoreError:
        return "not readable"
    told = [[i.id, i.kind, i.title, i.text, i.task, i.status, sorted(i.sources), sorted(i.flags)] for i in items]
    return content_key("k1", told)


def _files_in(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _digits(path: Path) -> str:
    stat = path.stat()
    return _read_once(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read_once(path: Path, _size: int, _changed: int) -> str:
    """The cells of a grid name the same files."""
    return gguf_fingerprint(path) if path.suffix == ".gguf" else file_sha256(path)
