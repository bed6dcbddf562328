"""Inputs with what is known about each: yes/no answers, a label, and the same as facts for rules.

A table is a file with one JSON object a line: `id`, `label` (null: not known), `answers` (a name and true, false or
null each), and optionally `split` ("train" where it is missing) and `text`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from symdistill.errors import DataError
from symdistill.knowledge.rules.lines import json_lines, write_lines
from symdistill.knowledge.rules.logic import DOMAIN, TARGET, Fact, is_name

ROW = 'A row looks like {"id": "e1", "label": "positive", "answers": {"praises_acting": true}}.'


@dataclass(frozen=True, slots=True)
class Observation:
    """One input. An answer is None where nobody could tell; rules and trees take that for "not yes"."""

    example_id: str
    answers: Mapping[str, bool | None]
    label: str | None = None
    split: str = "train"
    text: str = field(default="", compare=False)


def facts_of(observations: Iterable[Observation]) -> Iterator[Fact]:
    """What rules may use: that each is an input, and what it has a yes for. The labels are not among it."""
    for one in observations:
        yield DOMAIN, (one.example_id,)
        for name, answer in one.answers.items():
            if answer:
                yield name, (one.example_id,)


def labels_of(observations: Iterable[Observation], target: str = TARGET) -> frozenset[Fact]:
    """The labels that are known, as facts."""
    return frozenset((target, (one.example_id, one.label)) for one in observations if one.label is not None)


def names_of(observations: Iterable[Observation]) -> list[str]:
    """The names of all answers, in the order in which they first occur."""
    return list(dict.fromkeys(name for one in observations for name in one.answers))


def in_split(observations: Iterable[Observation], split: str) -> list[Observation]:
    """The inputs of one split."""
    return [one for one in observations if one.split == split]


def write_table(path: Path, observations: Iterable[Observation]) -> int:
    """Write one row an input and return how many. Raises DataError where the file cannot be written."""
    return write_lines(
        path,
        (
            {
                "id": one.example_id,
                "split": one.split,
                "label": one.label,
                "answers": dict(one.answers),
                **({"text": one.text} if one.text else {}),
            }
            for one in observations
        ),
    )


def read_table(path: Path) -> list[Observation]:
    """The inputs of a table.

    Raises:
        DataError: the file cannot be read, has no row, names an input twice, or a line is not such a row.
    """
    found: list[Observation] = []
    seen: dict[str, str] = {}
    for place, row in json_lines(path, ROW):
        one = _observation(row, place)
        if one.example_id in seen:
            raise DataError(
                f"{place}: the id {one.example_id!r} stands at {seen[one.example_id]} too.", "Give each its own."
            )
        seen[one.example_id] = place
        found.append(one)
    if not found:
        raise DataError(f"{path} holds no inputs.", ROW)
    return found


def _observation(row: Mapping[str, object], place: str) -> Observation:
    identity, label, answers = row.get("id"), row.get("label"), row.get("answers")
    split, text = row.get("split", "train"), row.get("text", "")
    if not isinstance(identity, str) or not isinstance(split, str) or not isinstance(text, str):
        raise DataError(f"{place}: `id`, `split` and `text` are texts.", ROW)
    if label is not None and not isinstance(label, str):
        raise DataError(f"{place}: `label` is a text or null, not {json.dumps(label)[:40]}.", ROW)
    if not isinstance(answers, dict):
        raise DataError(f"{place}: `answers` is missing.", ROW)
    for name, answer in answers.items():
        if not is_name(name):
            raise DataError(f"{place}: {name!r} is no name.", "A name is small letters and digits, joined by `_`.")
        if answer is not None and not isinstance(answer, bool):
            raise DataError(f"{place}: the answer to `{name}` is true, false or null.", ROW)
    return Observation(identity, answers, label, split, text)


def require_labels(observations: Sequence[Observation], where: str) -> list[str]:
    """The labels there are, the commonest first. Raises DataError where there are fewer than two of them."""
    counts: dict[str, int] = {}
    for one in observations:
        if one.label is not None:
            counts[one.label] = counts.get(one.label, 0) + 1
    if len(counts) < 2:
        what = f"only the label {next(iter(counts))!r}" if counts else "no label"
        raise DataError(f"{where} has {what}: there is nothing to tell apart.", "Give inputs of at least two labels.")
    return sorted(counts, key=lambda label: (-counts[label], label))
