"""A grid: one configuration with a section `grid`, and the runs (cells) that come of it.

A cell is an ordinary run of one method. What nothing in a method depends on does not multiply it: an untrained student
is asked once whatever the seeds, and a method without rationales is trained once whatever the teacher's samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

from symdistill.content import canonical_json, content_key
from symdistill.errors import ConfigError, SymdistillError
from symdistill.methods import Method
from symdistill.runs.config import GRID, RunConfig, parse_config
from symdistill.runs.config_file import put, read_config
from symdistill.runs.gates import check_sources, makes_notes, on_its_own, providers_in
from symdistill.runs.grid_axes import Student, Varied, meant, named_students, plain, put_varied, varied_keys
from symdistill.runs.grid_concern import depends, set_by_entry, uses_rationales, uses_training
from symdistill.runs.grid_keys import in_own_keys, moved
from symdistill.runs.grid_names import Axes
from symdistill.runs.grid_recipe import comes_to
from symdistill.runs.grid_settings import GridSettings
from symdistill.runs.idle import idle_keys, is_idle
from symdistill.runs.paths import absolute
from symdistill.runs.usual import entries_in, label_in, with_share
from symdistill.runs.validation import Places, closest, in_place_of, known_keys, nearest, validated

_NAME = 180  # characters of a folder's name at most


@dataclass(frozen=True)
class Cell:
    """One run of the grid. `seed` and `fraction` are None where nothing in the method depends on them; `vary` holds
    the varied keys that concern it. `keys` are the keys of its configuration that stand elsewhere in the grid's file,
    each with the place where they do."""

    name: str
    title: str
    axes: Axes
    config: RunConfig
    keys: Mapping[str, str]

    @property
    def method(self) -> str:
        return self.axes.method

    @property
    def student(self) -> str:
        return self.axes.student

    @property
    def fraction(self) -> float | None:
        return self.axes.fraction

    @property
    def seed(self) -> int | None:
        return self.axes.seed

    @property
    def vary(self) -> Mapping[str, Any]:
        return self.axes.vary


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
    base = parse_config(data, places, base=path.parent, whole=False)
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
class _Draft:
    """A method on its own, with the values of the varied keys that concern it: its entry, and where in the grid's file
    its keys stand."""

    method: Method
    entry: Mapping[str, Any]
    varied: Mapping[Varied, Any]
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
        named = base.named_methods(places)
        self._prefixes, self._methods = list(named), list(named.values())
        found = entries_in(data)
        self._entries: list[Mapping[str, Any]] = found["methods"] if found.get("methods") else [found["method"]]
        providers_in(dict(zip(self._prefixes, self._entries, strict=True)), places)
        self._refuse_fixed()
        self._students = named_students(settings, base.student.model, places)
        self._varied = varied_keys(settings, [method.label for method in self._methods], places)
        self._idle: dict[str, str] = {}

    def all(self) -> tuple[Cell, ...]:
        """Every cell, the methods of one seed together, so that a whole comparison is there early."""
        found: dict[str, Cell] = {}
        drafts = [list(self._drafts(number)) for number in range(len(self._methods))]
        for seed, student, fraction in product(self._settings.seeds, self._students, self._settings.fractions):
            for draft in chain.from_iterable(drafts):
                cell = self._cell(draft, seed, fraction, student)
                found.setdefault(cell.axes.place, cell)
        self._refuse_idle(found.values())
        cells = _distinct_names(list(found.values()))
        _refuse_twins(cells)
        return cells

    def _drafts(self, number: int) -> Iterator[_Draft]:
        """A method in every combination of the varied keys that concern it."""
        own = [v for v in self._varied if v.method == self._methods[number].label]
        for values in product(*(v.values for v in own)):
            changes, silent = self._with_effect(number, dict(zip(own, values, strict=True)))
            alone = self._alone(number, changes | silent, self._knowledge_path({}))
            shared = [v for v in self._varied if v.method is None and self._concerns(alone.method, v.target)]
            for others in product(*(v.values for v in shared)):
                every = meant(changes | dict(zip(shared, others, strict=True)))
                ordered = {v: every[v] for v in self._varied if v in every}
                draft = self._alone(number, ordered | silent, self._knowledge_path(ordered))
                yield replace(draft, varied=ordered)

    def _with_effect(self, number: int, changes: Mapping[Varied, Any]) -> tuple[dict[Varied, Any], dict[Varied, Any]]:
        """The varied keys of a method, with their values, but for those that mean nothing beside the others; and those
        that have to be said and make no difference: what stands behind a gate that is `never` says how many questions
        are kept apart (see `usual.with_share`), and mostly that is the same."""
        data = {"method": plain(self._entries[number])}
        changes = meant(changes)
        put_varied(data, changes)
        idle = idle_keys(data["method"])
        found, silent = {}, {}
        for one, value in changes.items():
            if why := is_idle(one.target.removeprefix("method."), idle):
                self._idle[one.key] = f"of {one.method}, since {why}"
            else:
                found[one] = value
        for one in [one for one in found if f"{one.target}.".startswith("method.knowledge.")]:
            path = self._knowledge_path({})
            entries = [self._alone(number, found | {one: value}, path).entry for value in one.values]
            if "knowledge" not in entries[0] and all(entry == entries[0] for entry in entries):
                self._idle[one.key] = f"of {one.method}, since its gate is `never`"
                silent[one] = found[one]
        return {one: value for one, value in found.items() if one not in silent}, silent

    def _concerns(self, method: Method, key: str) -> bool:
        return depends(method, key, self._shown) and not set_by_entry(method, key)

    def _alone(self, number: int, varied: Mapping[Varied, Any], path: Path | None) -> _Draft:
        """A method as it stands where no other is, with the values of varied keys in its entry."""
        data = {"method": plain(self._entries[number])}
        put_varied(data, {one: value for one, value in varied.items() if one.method is not None})
        keys = {"method": self._prefixes[number], **{one.target: f"grid.vary.{one.key}" for one in varied}}
        places = moved(self._places, keys)
        try:
            method = self._base.method_of(data["method"], "method", places)
            everyone = [*self._methods[:number], method, *self._methods[number + 1 :]]
            entries = [*self._entries[:number], data["method"], *self._entries[number + 1 :]]
            makers = {m.label: e for m, e in zip(everyone, entries, strict=True) if makes_notes(m)}
            inner = [e["knowledge"] for e in entries if isinstance(e.get("knowledge"), Mapping)]
            provided = {label_in(e): e for e in inner}
            givers = [self._base.method_of(e, "method.knowledge", places) for e in provided.values()]
            check_sources({"method": method}, [*everyone, *givers], path, places)
        except SymdistillError as error:
            raise in_own_keys(error, keys) from error
        entry = with_share(data["method"], entries, path)
        if method.gating is None and any(one.target == "method.gate" for one in varied):
            entry = {key: value for key, value in entry.items() if key != "knowledge"}
        entry = on_its_own(method, entry, {**provided, **makers}, path)
        if isinstance(entry.get("knowledge"), Mapping) and not isinstance(method.settings.knowledge, Mapping):
            labels = [m.label for m in everyone]
            if (maker := label_in(entry["knowledge"])) in labels:
                keys["method.knowledge"] = self._prefixes[labels.index(maker)]
        return _Draft(self._base.method_of(entry, "method", places), entry, varied, keys)

    def _knowledge_path(self, varied: Mapping[Varied, Any]) -> Path | None:
        """`knowledge.path`, as far as it decides what stands behind a gate."""
        data = {"knowledge": plain(self._data.get("knowledge") or {})}
        for one, value in varied.items():
            if one.target == "knowledge.path":
                put(data, one.target, value)
        path = data["knowledge"].get("path")
        return None if path is None else Path(str(path))

    def _cell(self, draft: _Draft, seed: int, fraction: float, student: Student) -> Cell:
        method = draft.method
        data = plain({**self._data, "method": draft.entry})
        if student.changes:
            data["student"] = {**(data.get("student") or {}), **student.changes}
        put_varied(data, {one: value for one, value in draft.varied.items() if one.method is None})
        keys = {**draft.keys, **student.keys}
        trained, rationales = uses_training(method), uses_rationales(method, self._shown)
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
        axes = Axes(
            method.label,
            student.label,
            fraction if asked_by_fraction else None,
            seed if trained else None,
            {one.key: value for one, value in draft.varied.items()},
        )
        title = axes.title(len(self._students) > 1, len(self._settings.fractions) > 1, len(self._settings.seeds) > 1)
        return Cell(axes.name(), title, axes, config, keys)

    @property
    def _shown(self) -> bool:
        """Whether there are demonstrations to show, so that few-shot needs no rationales."""
        return self._base.teacher.demonstrations is not None

    def _refuse_idle(self, cells: Iterable[Cell]) -> None:
        """Raise ConfigError where a varied key concerns no method."""
        concern = {key for cell in cells for key in cell.vary}
        for one in self._varied:
            if one.key in concern:
                continue
            key = f"grid.vary.{one.key}"
            if one.key in self._idle:
                raise ConfigError(
                    f"`{key}`{self._places.at(key)} changes nothing {self._idle[one.key]}.",
                    "Take it out, or change what it depends on.",
                )
            if one.target not in known_keys(RunConfig):
                hint = in_place_of(one.target, RunConfig, "grid.vary")
                raise ConfigError(f"Unknown key `{key}`{self._places.at(key)}.", hint)
            raise ConfigError(
                f"`{key}`{self._places.at(key)} changes nothing: no method of this grid depends on it, or each that "
                "does sets it in its entry.",
                "Take it out, or vary METHOD.KEY.",
            )

    def _refuse_fixed(self) -> None:
        """Raise ConfigError where the file fixes what the grid sets in every cell."""
        for section, key in (("training", "seed"), ("curation", "seed"), ("task", "fraction")):
            if key in (self._data.get(section) or {}):
                self._fixed(f"{section}.{key}")
        entries = dict(zip(self._prefixes, self._entries, strict=True))
        for prefix, entry in list(entries.items()):
            if isinstance(source := entry.get("knowledge"), Mapping):
                entries[f"{prefix}.knowledge"] = source
        for prefix, entry in entries.items():
            for section in ("training", "general", "warm_start", "curation"):
                changes = entry.get(section)
                if isinstance(changes, Mapping) and "seed" in changes:
                    self._fixed(f"{prefix}.{section}.seed")

    def _fixed(self, key: str) -> None:
        axis = "grid.fractions" if key.endswith("fraction") else "grid.seeds"
        raise ConfigError(f"`{key}`{self._places.at(key)} fixes what `{axis}` varies.", "Take it out.")


def _distinct_names(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with a part of a hash in the names that would be the same, or too long, without it."""
    names = Counter(cell.name for cell in cells)
    found = []
    for cell in cells:
        if names[cell.name] > 1 or len(cell.name) > _NAME:
            cell = replace(cell, name=f"{cell.name[:_NAME]}_{content_key('n1', cell.axes.place)[-8:]}")
        found.append(cell)
    return tuple(found)


def _refuse_twins(cells: Sequence[Cell]) -> None:
    """Raise ConfigError where two cells would compute the same, however their configurations say it."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        told = canonical_json([comes_to(cell.config, cell.method), cell.fraction, cell.seed])
        if told in seen:
            raise ConfigError(
                f"The cells `{seen[told].title}` and `{cell.title}` are the same run.",
                "Take one of them out, or change a setting of one.",
            )
        seen[told] = cell
