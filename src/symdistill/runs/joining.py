"""Finished runs of one family, joined over their seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from symdistill.errors import ConfigError
from symdistill.evaluation.joined import joined, joined_table
from symdistill.evaluation.tables import Table
from symdistill.runs.directory import RunDirectory


def family_of(path: Path) -> str | None:
    """The family that a run directory is of; None for other runs, and for what is no run."""
    directory = RunDirectory(path)
    return directory.load_config().family if directory.config.exists() else None


def join_family(paths: Sequence[Path]) -> Table:
    """The figures of finished runs over their seeds.

    Raises:
        ConfigError: two have one seed, or they differ in more than the seed. RunDirectoryError: one is not finished.
    """
    runs, first = {}, None
    for path in paths:
        directory = RunDirectory(path)
        config = directory.load_config()
        rest = {key: value for key, value in config.identity().items() if key != "seed"}
        first = first or rest
        if rest != first:
            other = ", ".join(sorted(key for key in rest.keys() | first.keys() if rest.get(key) != first.get(key)))
            raise ConfigError(
                f"{path} and {paths[0]} differ in more than their seed ({other}).", "Join runs of one configuration."
            )
        if config.seed in runs:
            raise ConfigError(
                f"Two of the runs have the seed {config.seed}.", "Run the configuration with `seed=1`, `seed=2`, …"
            )
        runs[config.seed] = directory.read_json(directory.metrics)
    return joined_table(joined(runs), list(runs))
