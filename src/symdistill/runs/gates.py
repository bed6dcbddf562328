"""Gates in a configuration: which methods can have one, and whose notes, or which knowledge base, stand behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symdistill.errors import ConfigError
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.rl import Rl
from symdistill.methods.skintern import Skintern
from symdistill.runs.usual import label_in
from symdistill.runs.validation import Places

_NAME_ONE = "Add `knowledge:` with the label or the entry of a nesycd or skintern method, or the path of a base."


def makes_notes(method: Method) -> bool:
    """Whether a method has a teacher write notes, which fill a knowledge base."""
    return isinstance(method, Nesycd) or (isinstance(method, Skintern) and bool(method.kinds))


def given_gate(method: Method) -> bool:
    """Whether a method has a gate that its paper does not know of."""
    return method.gating is not None and not isinstance(method, Nesycd)


def looks_up(method: Method) -> bool:
    """Whether a method has a gate with a knowledge base behind it; `gate: never` needs none, but for NesyCD's own."""
    return method.gating is not None and (isinstance(method, Nesycd) or method.gating.mode != "never")


def source_of(method: Method, labels: Sequence[str], path: Path | None) -> str | Path | None:
    """What stands behind the gate of a method: the notes of the method of this label, or the base at this path; None
    where the configuration does not say. `labels` are those of the methods that have notes written, `path` is
    `knowledge.path`."""
    wanted = method.settings.knowledge
    if isinstance(wanted, Mapping):
        return label_in(wanted)
    if wanted is not None:
        return wanted if wanted in labels else Path(wanted)
    if path is not None:
        return path
    if method.label in labels:
        return method.label
    return labels[0] if len(labels) == 1 else None


def check_gate(method: Method, where: str, places: Places) -> None:
    """Raises ConfigError where the entry of a method says something about a gate that has no meaning."""
    settings = method.settings
    if settings.knowledge is not None and not given_gate(method):
        own = isinstance(method, Nesycd)
        raise ConfigError(
            f"`{where}.knowledge`{places.at(f'{where}.knowledge')} has no meaning: "
            + (f"{method.label} asks the base of its own notes." if own else f"{method.label} has no gate."),
            "Name another base in `knowledge: {path: …}`, the section." if own else "Add `gate: confidence`.",
        )
    if not given_gate(method):
        return
    if not method.asks_student:
        raise ConfigError(
            f"`{where}.gate`{places.at(f'{where}.gate')} says how a student is asked, and {method.label} asks none.",
            "Take it out.",
        )
    said = settings.gate.model_fields_set if settings.gate else ()
    if isinstance(method, Rl) and "dev_fraction" in said:
        raise ConfigError(
            f"`{where}.gate.dev_fraction`{places.at(f'{where}.gate.dev_fraction')} has no meaning: the gate of "
            f"{method.label} is calibrated on the questions of its audit.",
            f"Set `{where}.dev_fraction`.",
        )


def check_sources(asking: Mapping[str, Method], everyone: Sequence[Method], path: Path | None, places: Places) -> None:
    """Raises ConfigError where nothing stands behind the gate of one of the methods `asking`, which are by their places
    in the configuration; `everyone` are they and the others of the run or grid."""
    makers = [method.label for method in everyone if makes_notes(method)]
    silent = {method.label for method in everyone} - set(makers)
    for where, method in asking.items():
        if not (given_gate(method) and looks_up(method)):
            continue
        wanted = method.settings.knowledge
        if isinstance(wanted, str) and wanted in silent:
            raise ConfigError(
                f"`{where}.knowledge`{places.at(f'{where}.knowledge')} names {wanted}, which has no notes written.",
                "Name a nesycd or skintern method, or the path of a knowledge base.",
            )
        if source_of(method, makers, path) is None:
            both = " and ".join(makers)
            raise ConfigError(
                f"`{where}.gate`{places.at(f'{where}.gate')} needs knowledge, and "
                + (f"{both} have notes written." if makers else "no method of this run has notes written."),
                _NAME_ONE,
            )


def providers_in(entries: Mapping[str, Mapping[str, Any]], places: Places) -> dict[str, Mapping[str, Any]]:
    """The entries that only have notes written for the gates of others (`knowledge: {name: …}`), each once, by where
    they stand; `entries` are those of a run or grid by their place.

    Raises:
        ConfigError: two different entries have one label, so that it could mean either.
    """
    known = {label_in(entry): entry for entry in entries.values()}
    found: dict[str, Mapping[str, Any]] = {}
    for where, entry in entries.items():
        source, key = entry.get("knowledge"), f"{where}.knowledge"
        if not isinstance(source, Mapping):
            continue
        label = label_in(source)
        if not label or label not in known:
            known[label] = found[key] = source
        elif known[label] != source:
            raise ConfigError(
                f"Two methods are called `{label}` (`{key}`{places.at(key)}).",
                "Give one of them a `label`, or write the label alone where the same method is meant.",
            )
    return found


def on_its_own(
    method: Method, entry: Mapping[str, Any], makers: Mapping[str, Mapping[str, Any]], path: Path | None
) -> Mapping[str, Any]:
    """The entry of a method as it stands where no other method is: the one whose notes its gate needs is written out,
    as far as that decides them. `makers` are the entries of the methods that have notes written, by label; `path` is
    `knowledge.path`."""
    if not given_gate(method):
        return entry
    if not looks_up(method):
        return {key: value for key, value in entry.items() if key != "knowledge"}
    source = source_of(method, list(makers), path)
    if not isinstance(source, str) or source == method.label:
        return entry
    wanted = method.settings.knowledge
    found = wanted if isinstance(wanted, Mapping) else makers[source]
    return {**entry, "knowledge": {k: v for k, v in found.items() if k not in ("evaluation", "gate", "knowledge")}}
