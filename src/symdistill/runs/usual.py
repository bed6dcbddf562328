"""What a configuration means where it does not say: its short forms written out, and what a method takes from its paper
or from the method whose notes it uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symdistill.methods.skintern import USUAL_EPOCHS
from symdistill.settings import Settings


def spelled(entry: Any) -> Any:
    """An entry of `methods`: `scotd` means `{name: scotd}`."""
    return {"name": entry} if isinstance(entry, str) else entry


def entries_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """`method` and `methods` of a configuration, as far as they are there, with every entry written out; what has the
    wrong type stays as it is."""
    found = {}
    if isinstance(data.get("method"), str):
        found["method"] = spelled(data["method"])
    several = data.get("methods")
    if isinstance(several, (list, tuple)):
        found["methods"] = [spelled(entry) for entry in several]
    elif isinstance(several, str):
        found["methods"] = [spelled(several)]
    return {**{key: data[key] for key in ("method", "methods") if key in data}, **found}


def filled_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with its entries written out and completed."""
    found = {**data, **entries_in(data)}
    said, path = _said(found.get("training")), _value(found.get("knowledge"), "path")
    one, several = found.get("method"), found.get("methods")
    if isinstance(several, list):
        entries = [with_epochs(entry, said) for entry in several]
        found["methods"] = [with_share(entry, entries, path) for entry in entries]
    if isinstance(one, Mapping):
        one = with_epochs(one, said)
        found["method"] = with_share(one, [one], path)
    return found


def with_epochs(entry: Any, said: frozenset[str]) -> Any:
    """The entry of a skintern method with its paper's epochs, where nothing was `said` of how long it trains."""
    if not isinstance(entry, Mapping):
        return entry
    entry, own = dict(entry), entry.get("training", {})
    if isinstance(entry.get("knowledge"), Mapping):
        entry["knowledge"] = with_epochs(entry["knowledge"], said)
    if entry.get("name") != "skintern" or not isinstance(own, Mapping):
        return entry
    if not {"num_train_epochs", "max_steps"} & (said | {*own}):
        entry["training"] = {**own, "num_train_epochs": USUAL_EPOCHS}
    return entry


def with_share(entry: Any, entries: Sequence[Any], path: Any) -> Any:
    """The entry of a method that is given a gate, with the share of questions which is kept apart for it: where it does
    not say, that of the nesycd method whose notes stand behind the gate, so that the notes are about none of them.

    `entries` are all of the run, `path` is its `knowledge.path`.
    """
    if not isinstance(entry, Mapping) or entry.get("name") in ("nesycd", "rl") or entry.get("gate") is None:
        return entry
    gate = {"mode": entry["gate"]} if isinstance(entry["gate"], str) else entry["gate"]
    source = _source(entry, entries, path)
    if not isinstance(gate, Mapping) or "dev_fraction" in gate or _value(source, "name") != "nesycd":
        return entry
    share = _value(source, "dev_fraction")
    return entry if share is None else {**entry, "gate": {**gate, "dev_fraction": share}}


def label_in(entry: Mapping[str, Any]) -> str:
    """What the method of an entry is called."""
    return str(entry.get("label") or entry.get("name") or "")


def _source(entry: Mapping[str, Any], entries: Sequence[Any], path: Any) -> Any:
    """The entry whose notes stand behind a gate (see `gates.source_of`); None where that is a base, or not known."""
    wanted = entry.get("knowledge")
    if isinstance(wanted, Mapping):
        return wanted
    known = [one for one in entries if isinstance(one, Mapping)]
    known += [one["knowledge"] for one in known if isinstance(one.get("knowledge"), Mapping)]
    if wanted is not None:
        return next((one for one in known if label_in(one) == wanted), None)
    makers = [one for one in known if _has_notes_written(one)]
    return makers[0] if path is None and not _has_notes_written(entry) and len(makers) == 1 else None


def _has_notes_written(entry: Mapping[str, Any]) -> bool:
    name = entry.get("name")
    return name == "nesycd" or (name == "skintern" and bool(entry.get("km", True) or entry.get("kp", True)))


def _said(training: Any) -> frozenset[str]:
    """The keys of a `training` section that were given."""
    given = training.model_fields_set if isinstance(training, Settings) else training
    return frozenset(given) if isinstance(given, (set, Mapping)) else frozenset()


def _value(section: Any, key: str) -> Any:
    """A key of a section, as plain keys or checked."""
    return section.get(key) if isinstance(section, Mapping) else getattr(section, key, None)
