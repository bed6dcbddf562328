"""The axes of a grid beside its seeds and fractions: the students, and the keys that are varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symdistill.errors import ConfigError
from symdistill.runs.config import RunConfig
from symdistill.runs.config_file import put
from symdistill.runs.grid_names import student_name
from symdistill.runs.grid_settings import GridSettings
from symdistill.runs.validation import Places, nearest

_ELSEWHERE = {
    "seed": "All cells share the run's `seed`: another one means other questions and other replies. Use `grid.seeds`.",
    "training.seed": "Use `grid.seeds`.",
    "curation.seed": "Use `grid.seeds`.",
    "task.fraction": "Use `grid.fractions`.",
    "student.model": "Use `grid.students`.",
    "method": "Name every method in `methods`.",
    "methods": "Name every method in `methods`.",
    "store": "All cells share one store.",
    "grid": "Only keys of a run can be varied.",
}
"""Keys that `vary` does not take, and what to use."""


@dataclass(frozen=True, eq=False)
class Varied:
    """A varied key: where it stands in a cell's configuration (`target`), whose it is (None: all methods'), and its
    values."""

    key: str
    target: str
    method: str | None
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Student:
    """A student of the grid: its name, the keys of `student` it changes, and where in the file these stand."""

    label: str
    changes: Mapping[str, Any]
    keys: Mapping[str, str]


def named_students(settings: GridSettings, model: str, places: Places) -> list[Student]:
    """The students of a grid; where it names none, the one whose `model` the section `student` has.

    Raises:
        ConfigError: two have one name.
    """
    if not settings.students:
        return [Student(student_name(model), {}, {})]
    found: list[Student] = []
    for number, entry in enumerate(settings.students):
        changes = {"model": entry} if isinstance(entry, str) else dict(entry)
        label = changes.pop("label", None)
        if label is None:
            label = student_name(str(changes.get("model", model)))
        key = f"grid.students.{number}"
        if any(label == other.label for other in found):
            raise ConfigError(
                f"Two students are called `{label}` (`{key}`{places.at(key)}).",
                "Write it as a group of keys with a `label` of its own: {label: …, model: …}.",
            )
        keys = {f"student.{name}": key if isinstance(entry, str) else f"{key}.{name}" for name in changes}
        found.append(Student(str(label), changes, keys))
    return found


def varied_keys(settings: GridSettings, labels: Sequence[str], places: Places) -> list[Varied]:
    """The varied keys of a grid with methods of these labels. Raises ConfigError where one cannot be varied."""
    found = []
    for key, values in settings.vary.items():
        where = f"`grid.vary.{key}`{places.at(f'grid.vary.{key}')}"
        target, method = _target(key, where, labels)
        found.append(Varied(key, target, method, tuple(values)))
    return found


def meant(varied: Mapping[Varied, Any]) -> dict[Varied, Any]:
    """The varied keys of a cell with their values, but for those inside a section that another one sets to null."""
    none = [one.target for one, value in varied.items() if value is None]
    return {
        one: value for one, value in varied.items() if not any(one.target.startswith(f"{section}.") for section in none)
    }


def put_varied(data: dict[str, Any], varied: Mapping[Varied, Any]) -> None:
    """Set the varied keys of a cell, a section before what stands in it."""
    for one in sorted(varied, key=lambda one: one.target.count(".")):
        put(data, one.target, plain(varied[one]))


def plain(value: Any) -> Any:
    """A deep copy in which no two places share an object, as those of a YAML anchor do."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _target(key: str, where: str, labels: Sequence[str]) -> tuple[str, str | None]:
    """The key in a cell's configuration, and the method it belongs to."""
    owner = max((label for label in labels if key.startswith(f"{label}.")), key=len, default=None)
    if key.startswith("method.") and len(labels) == 1:
        owner, key = labels[0], f"{labels[0]}{key.removeprefix('method')}"
    if owner is not None:
        target = "method" + key.removeprefix(owner)
        if target in ("method.name", "method.label", "method.training.seed", "method.curation.seed"):
            raise ConfigError(f"{where} cannot be varied.", "Add an entry to `methods`, or use `grid.seeds`.")
        return target, owner
    section = key.partition(".")[0]
    if key in _ELSEWHERE or section in ("method", "methods", "grid"):
        raise ConfigError(f"{where} cannot be varied.", _ELSEWHERE.get(key, _ELSEWHERE.get(section, "")))
    sections = [name for name in RunConfig.model_fields if name not in _ELSEWHERE]
    if section not in sections or "." not in key:
        hint = nearest(section, [*sections, *labels])
        raise ConfigError(f"{where} names no key of a run.", f"{hint} Write SECTION.KEY or METHOD.KEY.")
    return key, None
