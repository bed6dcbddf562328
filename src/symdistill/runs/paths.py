"""The paths of a configuration: which keys hold one, where it is looked for, and how it is written into a run.

A relative path in the file is taken from the file's folder, one in an override from the working directory; what is
not there is looked for in the other. A run's config.yaml holds absolute paths, so it works from anywhere.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from symdistill.students.settings import StudentSettings

_FILES = (
    *("task.path", "task.eval_path", "teacher.demonstrations", "curation.embedding_model", "store"),
    *("knowledge.path", "knowledge.retrieval.embedding_model", "features.questions"),
)
_FAMILY_FILES = {
    "direct.relation_schema": False,
    "direct.heads": True,
    "direct.labels": True,
    "direct.reference": True,
    "direct.critic.features": False,
    "direct.judge.labels": True,
    "direct.judge.features": False,
    "multilevel.inputs": True,
    "multilevel.invent.seeds": True,
    "multilevel.seeds": True,
    "multilevel.demonstrations": True,
    "multilevel.audit.labels": True,
    "multilevel.audit.filter.path": True,
    "multilevel.audit.filter.model": True,
}
"""Keys of the families, and whether their value can only be a path; else it may be a name of our own."""
_METHOD_FILES = ("embedding_model", "compressor_model", "corpus", "reranker_model", "critic", "graph")
_FILE_BACKENDS = ("recorded", "llama_cpp", "transformers")
_BUILT_IN = StudentSettings().model  # a name of our own, whatever lies beside the configuration

Change = Callable[[str, str, bool], str]
"""Key and path in, path out; the flag says whether it can only be a path (a model may also be a name on the hub)."""


def change_paths(data: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """A copy of a configuration with every path put through `change`. What has the wrong type stays as it is."""
    found = copy.deepcopy(dict(data))

    def at(section: Any, name: str, key: str, *, certain: bool) -> None:
        value = section.get(name) if isinstance(section, dict) else None
        if isinstance(value, Path) or (isinstance(value, str) and value):
            section[name] = change(key, str(value), certain)

    def teacher_at(section: Any, key: str) -> None:
        name = section.get("model") if isinstance(section, dict) else None
        backend, colon, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
        if colon and backend.strip() in _FILE_BACKENDS and rest.strip():
            certain = backend.strip() != "transformers"
            section["model"] = f"{backend.strip()}:{change(key, rest.strip(), certain)}"

    for key, certain in [*((key, True) for key in _FILES), *_FAMILY_FILES.items()]:
        *sections, name = key.split(".")
        holder: Any = found
        for section in sections:
            holder = holder.get(section) if isinstance(holder, dict) else None
        at(holder, name, key, certain=certain)
    several = found.get("methods")
    entries = {"method": found.get("method")}
    entries |= {f"methods.{i}": m for i, m in enumerate(several if isinstance(several, (list, tuple)) else ())}
    labels = {
        e if isinstance(e, str) else e.get("label") or e.get("name")
        for e in entries.values()
        if isinstance(e, (str, dict))
    }
    for place, entry in list(entries.items()):
        if not isinstance(entry, dict):
            continue
        source = entry.get("knowledge")
        if isinstance(source, dict):
            entries[f"{place}.knowledge"] = source
        elif isinstance(source, (str, Path)) and source not in labels:
            at(entry, "knowledge", f"{place}.knowledge", certain=True)
            base = os.path.join(str(entry["knowledge"]), "knowledge.sqlite")
            if os.path.isfile(base):  # a run directory stands for the base in it
                entry["knowledge"] = base
    for place, entry in entries.items():
        if isinstance(entry, dict):
            at(entry.get("teacher"), "demonstrations", f"{place}.teacher.demonstrations", certain=True)
            at(entry.get("curation"), "embedding_model", f"{place}.curation.embedding_model", certain=True)
            for name in _METHOD_FILES:
                at(entry, name, f"{place}.{name}", certain=True)
            teacher_at(entry.get("analysis"), f"{place}.analysis.model")
    rounds = found.get("multilevel")
    filters = rounds.get("filters") if isinstance(rounds, dict) else None
    for i, entry in enumerate(filters if isinstance(filters, (list, tuple)) else ()):
        for name in ("path", "model"):
            at(entry, name, f"multilevel.filters.{i}.{name}", certain=True)
    audit = rounds.get("audit") if isinstance(rounds, dict) else None
    teacher_at(audit.get("auditor") if isinstance(audit, dict) else None, "multilevel.audit.auditor.model")
    student = found.get("student")
    if isinstance(student, dict) and student.get("model") != _BUILT_IN:
        at(student, "model", "student.model", certain=False)
    teacher_at(found.get("teacher"), "teacher.model")
    return found


def found_path(path: str, first: Path, then: Path, *, certain: bool) -> str:
    """`path` where it lies: in the folder `first`, else in `then`.

    What lies in neither keeps its name where that may be one on the hub. A path goes where its own folder is, else to
    `first`, so that the error about a missing file, or the file that is made, is where it was meant to be.
    """
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return path
    places = [path if folder == Path() else str(folder / path) for folder in (first, then)]
    there = next((p for p in places if os.path.exists(p)), None)
    if there is None and certain:
        there = next((p for p in places if os.path.isdir(os.path.dirname(p) or ".")), places[0])
    return there or path


def absolute(path: str | Path) -> str:
    """The one absolute name of a path, links on the way resolved. A link at its end keeps its name."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def moved_along(path: str, before: str, now: Path) -> str:
    """An absolute path after a run directory has moved from `before` to `now`.

    Where the same file lies as it lay from the run directory, the project was moved or copied as a whole and that one
    is meant; else the path stands as it was written.
    """
    if not os.path.isabs(path):
        return path
    along = os.path.normpath(os.path.join(absolute(now), os.path.relpath(path, before)))
    return along if os.path.exists(along) else path
