"""What in a grid concerns which method: a cell is not multiplied by what changes nothing in it.

The methods here stand on their own: the notes behind a gate are an entry in `knowledge`, and a word there is a path
(see `gates.on_its_own`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdistill.methods import METHODS, Method
from symdistill.methods.kb_student import KbStudent
from symdistill.methods.nesycd import NesycdSettings
from symdistill.methods.rl import RlSettings
from symdistill.methods.skintern import Skintern, SkinternSettings
from symdistill.methods.symbolic import Symbolic
from symdistill.runs.gates import looks_up, makes_notes
from symdistill.runs.shared_keys import NOT_IN_ANALYSIS, analysis_changes

_OF_NOTES = ("knowledge.path", "knowledge.retrieval.exclude_leaking", "knowledge.retrieval.embedding_model")
"""Keys of `knowledge` that concern a method which trains with notes and looks up none."""


def uses_rationales(method: Method, demonstrations: bool) -> bool:
    """Whether a teacher's replies to the training questions have a part in what the method answers."""
    if looks_up(method) and isinstance(method.settings.knowledge, Mapping):  # the notes are about them
        return True
    return method.needs == "rationales" and (method.trains or not method.asks_student or not demonstrations)


def uses_training(method: Method) -> bool:
    """Whether a training has a part in what the method answers: its own, or that of the student whose mistakes the
    notes behind its gate are about."""
    source = method.settings.knowledge
    return method.trains or (looks_up(method) and isinstance(source, Mapping) and source.get("name") == "nesycd")


def depends(method: Method, key: str, demonstrations: bool) -> bool:
    """Whether the dotted `key` of a run can change what the method answers, where its entry does not set it."""
    section = key.partition(".")[0]
    if section == "knowledge":
        noted = isinstance(method, Skintern) and bool(method.kinds)
        of_notes = noted and any(f"{of_notes}.".startswith(f"{key}.") for of_notes in _OF_NOTES)
        given = isinstance(method.settings.knowledge, str) and key == "knowledge.path"
        return method.uses_knowledge or of_notes or (looks_up(method) and not given)
    if isinstance(method, (Symbolic, KbStudent)) and section == "teacher" and key != "teacher.samples":
        return True  # it answers questions about every input
    if section == "features":
        return isinstance(method, (Symbolic, KbStudent))
    if section in ("teacher", "curation"):
        return uses_rationales(method, demonstrations)
    return uses_training(method) if section == "training" else True


def set_by_entry(method: Method, key: str) -> bool:
    """Whether the entry of a method says the dotted `key` of a section itself, wherever the method reads it."""
    section, _, name = key.partition(".")
    found = _changes(method, section)
    return bool(found) and all(name.partition(".")[0] in changes for changes in found)


def _changes(method: Method, section: str) -> list[Mapping[str, Any]]:
    """What a method changes of a section of the run, for each time that it reads it."""
    if section not in ("teacher", "training", "curation", "evaluation"):
        return []
    settings = method.settings
    found: list[Mapping[str, Any]] = [getattr(settings, section)]
    if section == "training":
        if isinstance(settings, NesycdSettings):
            found.append(settings.general)
        if isinstance(settings, RlSettings):
            found = [settings.round_training(), {**settings.training, **settings.warm_start}]
    if section == "teacher":
        if isinstance(method, (Symbolic, KbStudent)):
            found.append({})
        if makes_notes(method) and isinstance(settings, NesycdSettings | SkinternSettings):
            found.append({**dict.fromkeys(NOT_IN_ANALYSIS), **analysis_changes(settings)})
    source = settings.knowledge
    if section != "evaluation" and looks_up(method) and isinstance(source, Mapping):
        kind = METHODS[source["name"]]
        found += _changes(kind(kind.settings_type.model_validate(source)), section)
    return found
