"""Files that `rules` and `trees` share on the command line: tables of answers, and answers of a model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.rules.lines import json_lines
from symdistill.knowledge.rules.observations import Observation, read_table
from symdistill.knowledge.trees.features import read_features

_FORM = 'A row looks like {"id": "e1", "label": "positive"}; a run\'s predictions.jsonl will do.'


def table_of(path: Path) -> Path:
    """The table itself, given it, a run directory, or the `trees` folder in one."""
    for place in (path / "trees" / "table.jsonl", path / "table.jsonl"):
        if place.exists():
            return place
    if path.is_dir():
        raise ConfigError(f"{path} holds no table.jsonl.", "Run `symdistill trees annotate CONFIG` first.")
    return path


def known_table(path: Path) -> tuple[list[Observation], dict[str, str]]:
    """The inputs of a table, and the questions of the questions.yaml beside it, if there is one. Raises DataError."""
    questions = path.with_name("questions.yaml")
    return read_table(path), read_features(questions) if questions.exists() else {}


def explained_labels(path: Path, method: str | None = None) -> dict[str, str]:
    """What a model answered, by input: of several answers to one the commonest, of equally common ones the first.

    Rows without an answer are left out.

    Raises:
        DataError: a line is no such row, or the file holds several methods and none is named.
    """
    said: dict[str, Counter[str]] = {}
    methods: set[str] = set()
    for place, row in json_lines(path, _FORM):
        name, label = row.get("id"), row.get("label", row.get("answer"))
        if not isinstance(name, str) or not (label is None or isinstance(label, str)):
            raise DataError(f"{place}: `id` and `label` (or `answer`) are texts.", _FORM)
        methods |= {row["method"]} if isinstance(row.get("method"), str) else set()
        if label is not None and method in (None, row.get("method")):
            said.setdefault(name, Counter())[label] += 1
    listed = ", ".join(sorted(methods))
    if method is None and len(methods) > 1:
        raise DataError(f"{path} holds answers of several methods.", f"Name one with --method: {listed}.")
    if not said:
        known = f"It has the methods {listed}." if listed else _FORM
        raise DataError(f"{path} holds no answer that can be used.", known)
    return {name: counts.most_common(1)[0][0] for name, counts in said.items()}
