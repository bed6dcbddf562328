"""Labels for a critic: read, checked, and cut into what it learns from, what sets its threshold and what judges it.

Two kinds of rows: `{"head": …, "relation": …, "tail": …, "label": true}`, or `{"text": …, "label": …}`, where `input`
beside it makes a pair of the two; `output` is another name of `text`, as the rounds of `multilevel` write it. A label
is true or false, 1 or 0, accept or reject, yes or no; a text whose label is null is not labelled yet, and passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdistill.curation.words import squeezed
from symdistill.errors import DataError
from symdistill.knowledge.triples.records import Triple, checked
from symdistill.knowledge.triples.review import Decision, standings
from symdistill.knowledge.triples.schema import Schema
from symdistill.knowledge.triples.splits import side_of
from symdistill.tasks.files import read_rows
from symdistill.training.critic_features import Text
from symdistill.training.settings import CriticSettings

FEWEST = 20
"""Labels below which there is nothing to learn from and nothing to measure."""

_LABELS: Mapping[object, bool] = {
    **dict.fromkeys(("true", "1", "1.0", "accept", "accepted", "yes"), True),
    **dict.fromkeys(("false", "0", "0.0", "reject", "rejected", "no"), False),
}
_ROW = 'A row looks like {"head": …, "relation": …, "tail": …, "label": true} or {"text": …, "label": false}.'


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and whether it is good. `group` is what keeps it on the side of texts about the same: its head.

    `place` says where the label stands; `triple` is set where the text is one.
    """

    text: Text
    good: bool
    group: str
    place: str = ""
    triple: Triple | None = None


def text_of(triple: Triple, schema: Schema) -> tuple[str, str]:
    """A triple as a critic reads it: its head, and its sentence without the head. Raises DataError."""
    sentence = schema.verbalise(triple)
    head = triple.head.strip()
    for start in (head, head.rstrip(".")):
        if sentence[: len(start)].casefold() == start.casefold():
            rest = sentence[len(start) :].lstrip(" .,")
            return head, rest or sentence
    return head, sentence


def read_labels(path: Path, schema: Schema, key: str | None = None) -> list[Labelled]:
    """The labels of a file, each text once. `key` is the setting or option that names it.

    Raises:
        DataError: a row is none, has a relation that the schema does not know, or contradicts another one.
    """
    found = []
    for place, row in read_rows(path, key):
        if "head" in row or "relation" in row or "tail" in row:
            found.append(_labelled_triple(row, verdict_of(row.get("label"), place), place, schema))
            continue
        if row.get("label", "") is None:
            continue
        good = verdict_of(row.get("label"), place)
        text, given = row.get("text", row.get("output")), row.get("input")
        if not isinstance(text, str) or not text.strip() or not isinstance(given, str | None):
            raise DataError(f"{place}: there is no triple and no `text`.", _ROW)
        found.append(Labelled((given, text) if given else text, good, given or text, place))
    return distinct(found)


def read_triple_labels(path: Path, schema: Schema, key: str | None = None) -> list[Labelled]:
    """The labels of a file for a critic that scores triples: each row holds one, so that it learns from what it is
    going to see, and heads can be kept apart.

    Raises:
        DataError: as `read_labels`, and where a row is a text.
    """
    found = read_labels(path, schema, key)
    for one in found:
        if one.triple is None:
            raise DataError(
                f"{one.place} is a text, and the critic of a graph reads triples.",
                "Give its `head`, `relation` and `tail`.",
            )
    return found


def labels_of_decisions(triples: Iterable[Triple], decisions: Sequence[Decision], schema: Schema) -> list[Labelled]:
    """What reviewers agree on about triples of a graph; disputed and open ones are no labels."""
    standing = standings(decisions)
    judged = [(triple, standing.get(triple.id)) for triple in triples]
    return distinct(
        Labelled(text_of(triple, schema), said == "accepted", triple.head, f"the decisions about {triple.id}", triple)
        for triple, said in judged
        if said in ("accepted", "rejected")
    )


def distinct(labelled: Iterable[Labelled]) -> list[Labelled]:
    """Each text once. Raises DataError where one is good here and bad there."""
    known: dict[object, Labelled] = {}
    for one in labelled:
        key = (
            one.triple.fact
            if one.triple
            else squeezed("\n".join((one.text,) if isinstance(one.text, str) else one.text))
        )
        other = known.setdefault(key, one)
        if other.good != one.good:
            said = " | ".join(key) if isinstance(key, tuple) else str(key)
            raise DataError(
                f"{one.place} and {other.place} contradict each other about `{said[:120]}`.", "Keep one of the two."
            )
    return list(known.values())


def split_labels(
    labelled: Sequence[Labelled], settings: CriticSettings, *, seed: int = 0, name: str = "critic"
) -> dict[str, list[Labelled]]:
    """The labels as `train`, `validation` and `held_out`, no head on two of these sides (see `splits`). `name` says
    whose labels they are.

    Raises:
        DataError: there are fewer than `FEWEST`, or a side has labels of one kind only.
    """
    check_labels(labelled, name)
    validation, held_out = settings.validation, settings.held_out
    shares = {"train": 1 - validation - held_out, "validation": validation, "held_out": held_out}
    sides: dict[str, list[Labelled]] = {name: [] for name in shares}
    for one in labelled:
        sides[side_of(one.group, shares, seed=seed, purpose="parts of labels")].append(one)
    for part, side in sides.items():
        counts = Counter(one.good for one in side)
        if not (counts[True] and counts[False]):
            raise DataError(
                f"Of the {name}'s {len(labelled):,} labels the {part.replace('_', '-')} part has {counts[True]:,} good "
                f"and {counts[False]:,} bad ones, and needs both (heads are never divided).",
                "Label more heads, or change `validation` and `held_out`.",
            )
    return sides


def check_labels(labelled: Sequence[Labelled], name: str = "critic") -> None:
    """Raises DataError where a critic can learn nothing from these labels."""
    good = sum(one.good for one in labelled)
    if len(labelled) < FEWEST:
        raise DataError(
            f"There are {len(labelled):,} labels, and a {name} needs {FEWEST} at least.", "Label more; 200 are better."
        )
    if good in (0, len(labelled)):
        which = "good" if good else "bad"
        raise DataError(
            f"All {len(labelled):,} labels of the {name} in {_files(labelled)} say `{which}`: there is nothing to tell "
            "apart.",
            "Label some of the others.",
        )


def _files(labelled: Sequence[Labelled]) -> str:
    """Where labels stand, in words: a place is a file and its line, or a decision about a triple."""
    return " and ".join(dict.fromkeys(one.place.rpartition(", ")[0] or "the reviewers' decisions" for one in labelled))


def verdict_of(value: Any, place: str) -> bool:
    """What a label says. Raises DataError where it says nothing."""
    known = _LABELS.get(str(value).strip().casefold()) if isinstance(value, bool | int | float | str) else None
    if known is None:
        shown = "there is no `label`" if value is None else f"`label` is {str(value)[:40]!r}"
        raise DataError(f"{place}: {shown}.", "It is true or false, 1 or 0, accept or reject, yes or no.")
    return known


def _labelled_triple(row: Mapping[str, Any], good: bool, place: str, schema: Schema) -> Labelled:
    head, relation, tail = (_text(row, name, place) for name in ("head", "relation", "tail"))
    triple = checked(Triple(head, relation, tail), place)
    schema.relation(triple.relation, place)
    return Labelled(text_of(triple, schema), good, triple.head, place, triple)


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise DataError(f"{place}: `{name}` is no text.", _ROW)
    return value
