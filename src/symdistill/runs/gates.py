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


def label_in(entry: Mapping[str, Any]) -> str:
    """What the method of an entry is called."""
    return str(entry.get("label") or entry.get("name") or "")


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
    if not method.trains:
        raise ConfigError(
            f"`{where}.gate`{places.at(f'{where}.gate')} is about a trained student, and {method.label} trains none.",
            "Take it out.",
        )
    said = settings.gate.model_fields_set if settings.gate else ()
    if isinstance(method, Rl) and "dev_fraction" in said:
        raise ConfigError(
            f"`{where}.gate.dev_fraction`{places.at(f'{where}.gate.dev_fraction')} has no meaning: the gate of "
            f"{method.label} is calibrated on the questions of its audit.",
            f"Set `{where}.dev_fraction`.",
        )


def check_sources(
    methods: Mapping[str, Method], providers: Sequence[Method], path: Path | None, places: Places
) -> None:
    """Raises ConfigError where nothing stands behind a gate. `methods` are by their places in the configuration."""
    makers = [method.label for method in (*methods.values(), *providers) if makes_notes(method)]
    silent = {method.label for method in methods.values()} - set(makers)
    for where, method in methods.items():
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


def on_its_own(
    number: int, entries: Sequence[Mapping[str, Any]], methods: Sequence[Method], path: Path | None
) -> Mapping[str, Any]:
    """The entry of a method as it stands where no other method is: the one whose notes its gate needs is written out,
    as far as that decides them."""
    method, entry = methods[number], entries[number]
    others = {label_in(one): one for one in (e.get("knowledge") for e in entries) if isinstance(one, Mapping)}
    others |= {one.label: own for one, own in zip(methods, entries, strict=True) if makes_notes(one)}
    if given_gate(method) and not looks_up(method):
        return {key: value for key, value in entry.items() if key != "knowledge"}
    source = source_of(method, list(others), path) if given_gate(method) else None
    if not isinstance(source, str) or source == method.label:
        return entry
    kept = {key: value for key, value in others[source].items() if key not in ("evaluation", "gate", "knowledge")}
    return {**entry, "knowledge": kept}
