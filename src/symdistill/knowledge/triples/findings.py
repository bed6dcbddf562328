"""The kinds of faults a graph may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "unknown_relation",
    "domain",
    "range",
    "nothing",
    "functional",
    "inverse",
    "symmetric",
    "disjoint",
    "types",
    "contradiction",
    "duplicate",
    "near_duplicate",
    "provenance",
]
MALFORMED: tuple[Kind, ...] = ("unknown_relation", "domain", "range", "nothing")
"""Faults a triple has by itself; such a triple is in no consistent subset."""
CONFLICTS: tuple[Kind, ...] = ("functional", "inverse", "symmetric", "disjoint", "types", "contradiction")
"""What several triples cannot all say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: its kind, the ids of the triples it is about, and in words why."""

    kind: Kind
    triples: tuple[str, ...]
    why: str
