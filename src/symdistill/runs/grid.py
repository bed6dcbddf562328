"""A grid: one configuration with a section `grid`, and the runs (cells) that come of it.

A cell is an ordinary run of one method. What nothing in a method depends on does not multiply it: an untrained student
is asked once whatever the seeds, and a method without rationales is trained once whatever the teacher's samples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from symdistill.content import canonical_json, content_key
from symdistill.errors import ConfigError, SymdistillError
from symdistill.evaluation.grid_arms import tails
from symdistill.methods import Method
from symdistill.methods.kb_student import KbStudent
from symdistill.methods.skintern import Skintern
from symdistill.methods.symbolic import Symbolic
from symdistill.runs.config import GRID, RunConfig, parse_config
from symdistill.runs.config_file import put, read_config
from symdistill.runs.gates import given_gate, on_its_own
from symdistill.runs.grid_keys import in_own_keys, moved
from symdistill.runs.grid_settings import GridSettings
from symdistill.runs.paths import absolute
from symdistill.runs.validation import Places, closest, nearest, validated

_NAME = 180  # characters of a folder's name at most
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
_OF_NOTES = ("knowledge.path", "knowledge.retrieval.exclude_leaking", "knowledge.retrieval.embedding_model")
"""Keys of `knowledge` that concern a method which trains with notes and looks up none."""


@dataclass(frozen=True)
class Cell:
    """One run of the grid. `seed` and `fraction` are None where nothing in the method depends on them; `vary` holds
    the varied keys that concern it. `keys` are the keys of its configuration that stand elsewhere in the grid's file,
    each with the place where they do."""

    name: str
    title: str
    method: str
    student: str
    fraction: float | None
    seed: int | None
    vary: Mapping[str, Any]
    config: RunConfig
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Grid:
    """A whole grid. `base` is its configuration without the section `grid`, `source` the file it came from."""

    source: Path
    directory: Path
    base: RunConfig
    settings: GridSettings
    cells: tuple[Cell, ...]
    baseline: str | None

    def place(self, cell: Cell) -> Path:
        """The cell's run directory."""
        return self.directory / "cells" / cell.name

    @property
    def store(self) -> Path:
        """The store all cells share."""
        return self.base.store or self.directory / "store.sqlite"

    @property
    def account(self) -> str:
        """What the teacher's replies are booked under: the budget is that of the grid, over all its cells and starts.

        It does not change when methods, seeds, fractions or students are added.
        """
        whole = self.base.identity(self.directory)
        return content_key("g1", {name: whole[name] for name in ("task", "teacher", "seed")})


def load_grid(path: Path, overrides: Sequence[str], directory: Path) -> Grid:
    """Read a grid and check every cell's configuration; questions and models are not looked at.

    Raises:
        ConfigError: as `config.load_config`, or: there is no `grid`, a varied key does not exist or has its own place,
            two cells would be the same, or a setting fixes what the grid varies.
    """
    data, places = read_config(path, overrides)
    if GRID not in data:
        close = next((f"Did you mean `{GRID}` by `{key}`? " for key in data if closest(str(key), [GRID])), "")
        raise ConfigError(
            f"{path} has no section `{GRID}`: it is one run.",
            f"{close}Add `{GRID}: {{seeds: [0, 1, 2]}}`, or use `symdistill run {path}`.",
        )
    section = data.pop(GRID)
    settings = validated(GridSettings, section if isinstance(section, Mapping) else {}, places, prefix=GRID)
    base = parse_config(data, places, base=path.parent)
    cells = _Cells(data, places, path, directory, settings, base).all()
    return Grid(path, directory, base, settings, cells, _baseline(settings, cells, places))


def _baseline(settings: GridSettings, cells: Sequence[Cell], places: Places) -> str | None:
    known = list(dict.fromkeys(cell.method for cell in cells))
    wanted = settings.baseline
    if wanted is not None and wanted not in known:
        raise ConfigError(
            f"`grid.baseline`{places.at('grid.baseline')} names `{wanted}`, and there is no such method.",
            nearest(wanted, known),
        )
    return wanted


@dataclass(frozen=True)
class _Varied:
    """A varied key: where it stands in a cell's configuration (`target`), whose it is (None: all methods'), and its
    values."""

    key: str
    target: str
    method: str | None
    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Student:
    """A student of the grid: its name, the keys of `student` it changes, and where in the file these stand."""

    label: str
    changes: Mapping[str, Any]
    keys: Mapping[str, str]


class _Cells:
    """Makes the cells out of the keys of the file."""

    def __init__(
        self,
        data: Mapping[str, Any],
        places: Places,
        path: Path,
        directory: Path,
        settings: GridSettings,
        base: RunConfig,
    ) -> None:
        self._data = {key: value for key, value in data.items() if key not in ("method", "methods")}
        self._places = places
        self._path = path
        self._directory = directory
        self._settings = settings
        self._base = base
        self._methods = base.build_methods(places)
        self._entries = [base.method] if base.method is not None else list(base.methods)
        self._prefixes = ["method"] if base.method is not None else [f"methods.{i}" for i in range(len(base.methods))]
        self._refuse_fixed()
        self._students = self._named_students()
        self._varied = self._resolved_keys()

    def all(self) -> tuple[Cell, ...]:
        """Every cell, the methods of one seed together, so that a whole comparison is there early."""
        found: dict[str, Cell] = {}
        for seed, student, fraction in product(self._settings.seeds, self._students, self._settings.fractions):
            for number, method in enumerate(self._methods):
                for values in self._values_for(method):
                    cell = self._cell(number, seed, fraction, student, values)
                    found.setdefault(_place_of(cell), cell)
        cells = _distinct_names(list(found.values()))
        _refuse_twins(cells)
        return cells

    def _values_for(self, method: Method) -> Iterator[dict[_Varied, Any]]:
        """Every combination of the varied keys that concern a method."""
        concern = [
            v
            for v in self._varied
            if v.method in (None, method.label) and (v.method or depends(method, v.target, self._shown))
        ]
        for values in product(*(v.values for v in concern)):
            yield dict(zip(concern, values, strict=True))

    def _cell(
        self,
        number: int,
        seed: int,
        fraction: float,
        student: _Student,
        varied: dict[_Varied, Any],
    ) -> Cell:
        method = self._methods[number]
        entries = [entry or {} for entry in self._entries]
        entry = on_its_own(number, entries, self._methods, self._base.knowledge.path)
        data = _plain({**self._data, "method": entry})
        if student.changes:
            data["student"] = {**(data.get("student") or {}), **student.changes}
        for one, value in varied.items():
            put(data, one.target, _plain(value))
        keys = {"method": self._prefixes[number], **student.keys}
        keys |= {one.target: f"grid.vary.{one.key}" for one in varied}
        trained, rationales = method.trains, uses_rationales(method, self._shown)
        asked_by_fraction = trained or rationales
        if asked_by_fraction:
            put(data, "task.fraction", fraction)
        if trained:
            put(data, "training.seed", seed)
            if rationales:
                put(data, "curation.seed", seed)
        data.setdefault("store", absolute(self._directory / "store.sqlite"))
        try:
            config = parse_config(data, moved(self._places, keys), base=self._path.parent)
        except SymdistillError as error:
            raise in_own_keys(error, keys) from error
        axes = _Axes(
            method.label,
            student.label,
            fraction if asked_by_fraction else None,
            seed if trained else None,
            {one.key: value for one, value in varied.items()},
        )
        title = axes.title(len(self._students) > 1, len(self._settings.fractions) > 1, len(self._settings.seeds) > 1)
        return Cell(axes.name(), title, axes.method, axes.student, axes.fraction, axes.seed, axes.vary, config, keys)

    @property
    def _shown(self) -> bool:
        """Whether there are demonstrations to show, so that few-shot needs no rationales."""
        return self._base.teacher.demonstrations is not None

    def _refuse_fixed(self) -> None:
        """Raise ConfigError where the file fixes what the grid sets in every cell."""
        for section, key in (("training", "seed"), ("curation", "seed"), ("task", "fraction")):
            if key in (self._data.get(section) or {}):
                self._fixed(f"{section}.{key}")
        for prefix, entry in zip(self._prefixes, self._entries, strict=True):
            for section in ("training", "general", "warm_start", "curation"):
                changes = (entry or {}).get(section)
                if isinstance(changes, Mapping) and "seed" in changes:
                    self._fixed(f"{prefix}.{section}.seed")

    def _fixed(self, key: str) -> None:
        axis = "grid.fractions" if key.endswith("fraction") else "grid.seeds"
        raise ConfigError(f"`{key}`{self._places.at(key)} fixes what `{axis}` varies.", "Take it out.")

    def _named_students(self) -> list[_Student]:
        if not self._settings.students:
            return [_Student(student_name(self._base.student.model), {}, {})]
        found: list[_Student] = []
        for number, entry in enumerate(self._settings.students):
            changes = {"model": entry} if isinstance(entry, str) else dict(entry)
            label = changes.pop("label", None)
            if label is None:
                label = student_name(str(changes.get("model", self._base.student.model)))
            key = f"grid.students.{number}"
            if any(label == other.label for other in found):
                raise ConfigError(
                    f"Two students are called `{label}` (`{key}`{self._places.at(key)}).",
                    "Write it as a group of keys with a `label` of its own: {label: …, model: …}.",
                )
            keys = {f"student.{name}": key if isinstance(entry, str) else f"{key}.{name}" for name in changes}
            found.append(_Student(str(label), changes, keys))
        return found

    def _resolved_keys(self) -> list[_Varied]:
        found = []
        for key, values in self._settings.vary.items():
            where = f"`grid.vary.{key}`{self._places.at(f'grid.vary.{key}')}"
            target, method = self._target(key, where)
            found.append(_Varied(key, target, method, tuple(values)))
        return found

    def _target(self, key: str, where: str) -> tuple[str, str | None]:
        """The key in a cell's configuration, and the method it belongs to."""
        labels = [m.label for m in self._methods]
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


@dataclass(frozen=True)
class _Axes:
    """Where a cell stands on every axis, as text."""

    method: str
    student: str
    fraction: float | None
    seed: int | None
    vary: Mapping[str, Any]

    def name(self) -> str:
        """The cell's folder: every axis is in it, so that a grid can grow along them without renaming its cells."""
        parts = [self.method, self.student]
        parts += [] if self.fraction is None else [f"{100 * self.fraction:g}pct"]
        parts += [] if self.seed is None else [f"seed{self.seed}"]
        parts += [f"{tail}-{shown(self.vary[key])}" for key, tail in tails(self.vary).items()]
        return "_".join(_slug(part) for part in parts)

    def title(self, several_students: bool, several_fractions: bool, several_seeds: bool) -> str:
        """The cell's name for people: the axes on which there is more than one place."""
        parts = [self.method]
        parts += [self.student] if several_students else []
        parts += [f"{100 * self.fraction:g}%"] if several_fractions and self.fraction is not None else []
        parts += [f"{tail} {shown(self.vary[key])}" for key, tail in tails(self.vary).items()]
        parts += [f"seed {self.seed}"] if several_seeds and self.seed is not None else []
        return " · ".join(parts)


def uses_rationales(method: Method, demonstrations: bool) -> bool:
    """Whether a teacher's replies to the training questions have a part in what the method answers."""
    if given_gate(method):  # what it is asked with is made of them, too
        return True
    return method.needs == "rationales" and (method.trains or not method.asks_student or not demonstrations)


def depends(method: Method, key: str, demonstrations: bool) -> bool:
    """Whether the dotted `key` can change what the method answers."""
    section = key.partition(".")[0]
    if section == "knowledge":
        noted = isinstance(method, Skintern) and bool(method.kinds)
        of_notes = noted and any(f"{of_notes}.".startswith(f"{key}.") for of_notes in _OF_NOTES)
        return method.uses_knowledge or given_gate(method) or of_notes
    if isinstance(method, (Symbolic, KbStudent)) and section == "teacher" and key != "teacher.samples":
        return True  # it answers questions about every input
    if section == "features":
        return isinstance(method, (Symbolic, KbStudent))
    if section in ("teacher", "curation"):
        return uses_rationales(method, demonstrations)
    return method.trains if section == "training" else True


def shown(value: Any) -> str:
    """A varied value as people write it."""
    if isinstance(value, str):
        return value
    return canonical_json(value) if isinstance(value, (bool, list, Mapping)) or value is None else f"{value:g}"


def student_name(model: str) -> str:
    """The last part of a directory, a file or a hub id."""
    return model.rstrip("/").rpartition("/")[2].removesuffix(".gguf") or model


def _slug(text: str) -> str:
    """Text that every file system takes as part of a name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.") or "x"


def _plain(value: Any) -> Any:
    """A deep copy in which no two places share an object, as those of a YAML anchor do."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _place_of(cell: Cell) -> str:
    """Where a cell stands on every axis."""
    return canonical_json([cell.method, cell.student, cell.fraction, cell.seed, dict(cell.vary)])


def _distinct_names(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with a part of a hash in the names that would be the same, or too long, without it."""
    names = Counter(cell.name for cell in cells)
    found = []
    for cell in cells:
        if names[cell.name] > 1 or len(cell.name) > _NAME:
            cell = replace(cell, name=f"{cell.name[:_NAME]}_{content_key('n1', _place_of(cell))[-8:]}")
        found.append(cell)
    return tuple(found)


def _refuse_twins(cells: Sequence[Cell]) -> None:
    """Raise ConfigError where two cells would compute the same."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        whole = cell.config.model_dump(mode="json")
        whole["method"].pop("label", None)
        told = canonical_json(whole)
        if told in seen:
            raise ConfigError(
                f"The cells `{seen[told].title}` and `{cell.title}` are the same run.",
                "Take one of them out, or change a setting of one.",
            )
        seen[told] = cell
