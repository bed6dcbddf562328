"""Finished runs of one family, joined over their seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.joined import joined, joined_table
from symdistill.evaluation.tables import Table
from symdistill.runs.config import RunConfig
from symdistill.runs.directory import RunDirectory


def family_of(path: Path) -> str | None:
    """The family that a run directory is of; None for other runs, and for what is no run."""
    directory = RunDirectory(path)
    return directory.load_config().family if directory.config.exists() else None


def family_of_all(paths: Sequence[Path]) -> str | None:
    """The family of runs that are to be joined; None where they are runs of methods, grids, or no runs. Raises
    ConfigError where they are of different kinds."""
    kinds = [family_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != kinds[0]:
            first, other = (f"a run of {one}" if one else "none of a family" for one in (kinds[0], kind))
            raise ConfigError(f"{paths[0]} is {first}, and {path} is {other}.", "Join each kind by itself.")
    return kinds[0]


def join_family(paths: Sequence[Path]) -> Table:
    """The figures of finished runs over their seeds.

    Raises:
        ConfigError: two have one seed, or they differ in more than the seed. RunDirectoryError: one is not finished.
        DataError: the figures of one are of an earlier version.
    """
    runs: dict[int, Mapping[str, Any]] = {}
    first: Mapping[str, Any] | None = None
    for path in paths:
        directory = RunDirectory(path)
        config = directory.load_config()
        judged = _judged_by(config)
        first = first or judged
        if other := sorted(key for key in judged.keys() | first.keys() if judged.get(key) != first.get(key)):
            raise ConfigError(
                f"{path} and {paths[0]} differ in more than their seed ({', '.join(other)}).",
                "Join runs of one configuration.",
            )
        if config.seed in runs:
            raise ConfigError(
                f"Two of the runs have the seed {config.seed}.", "Run the configuration with `seed=1`, `seed=2`, …"
            )
        runs[config.seed] = metrics = directory.read_json(directory.metrics)
        try:
            joined({config.seed: metrics})
        except KeyError as error:
            raise DataError(
                f"The figures in {directory.metrics} are of an earlier version: there is no {error}.",
                "Run the same configuration again: what is in its store is not bought twice. A multilevel run with an "
                "audit needs a --run-dir of its own, since its inputs are cut otherwise now.",
            ) from None
    return joined_table(joined(runs), list(runs))


def _judged_by(config: RunConfig) -> dict[str, Any]:
    """All that the figures of a run depend on but its seed, by the names of its keys: what makes it the run it is, on
    what it is judged, and by which engine its student answers."""
    whole = {**config.identity(), "evaluation": config.evaluation.model_dump(mode="json")}
    return {**dict(_flat(whole)), "student.engine": config.student.engine, "seed": None}


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
