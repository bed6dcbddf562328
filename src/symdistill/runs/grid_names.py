"""What the cells of a grid are called, as folders and in tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symdistill.content import canonical_json
from symdistill.evaluation.grid_arms import tails


@dataclass(frozen=True)
class Axes:
    """Where a cell stands on every axis. `seed` and `fraction` are None where nothing in the method depends on them;
    `vary` holds the varied keys that concern it."""

    method: str
    student: str
    fraction: float | None
    seed: int | None
    vary: Mapping[str, Any]

    @property
    def place(self) -> str:
        """All of it as one text."""
        return canonical_json([self.method, self.student, self.fraction, self.seed, dict(self.vary)])

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
