"""Keys of a method's entry that mean nothing beside what its other keys say: a threshold where the gate asks always,
the training of a reranker where there is none.

A run takes them as they are, so that one word turns a gate off and on again. In a grid they make no cells, and two
entries that differ in them alone are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symdistill.methods.base import MethodSettings
from symdistill.methods.gate_settings import GateSettings
from symdistill.methods.nesycd import NesycdSettings
from symdistill.methods.skintern import SkinternSettings

_DECIDING = ("threshold", "temperature", "rule", "within")
"""Keys of a gate that only matter where it decides."""
_OF_READER = ("candidates", "reranker_model", "reranking")
"""Keys of kard that only matter where passages are reranked."""

_WRITERS: Mapping[str, type[MethodSettings]] = {"nesycd": NesycdSettings, "skintern": SkinternSettings}
_OF_NOTES = {"name", "label", "teacher", "curation", "analysis"}
_OF_MISTAKES = {"general", "samples", "init_from", "mistake_tokens", "show_gold", "dev_fraction"}


def idle_keys(entry: Mapping[str, Any]) -> dict[str, str]:
    """The dotted keys of an entry that mean nothing in it, each with why; whatever stands below them means nothing
    either. Values of a wrong type are passed over: they are refused elsewhere."""
    found = _of_gate(entry)
    if entry.get("name") == "kard":
        if entry.get("reranker") == "none":
            found |= dict.fromkeys(_OF_READER, "its `reranker` is none")
        elif entry.get("reranker_model") is not None:
            found["reranking.width"] = "its reranker is an encoder of its own"
    source = entry.get("knowledge")
    if isinstance(source, Mapping):
        why = f"{source.get('name')} only has notes written there"
        found |= {f"knowledge.{key}": why for key in beside_notes(str(source.get("name")))}
    return found


def beside_notes(name: str) -> list[str]:
    """The keys of a method of this name that have no part in the notes it has written."""
    if name not in _WRITERS:
        return []
    kept = _OF_NOTES | (_OF_MISTAKES if name == "nesycd" else set())
    return [key for key in _WRITERS[name].model_fields if key not in kept]


def is_idle(key: str, idle: Mapping[str, str]) -> str | None:
    """Why the dotted `key` means nothing, given what `idle_keys` found; None where it does mean something."""
    return next((why for one, why in idle.items() if f"{key}.".startswith(f"{one}.")), None)


def without_idle(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without the keys that mean nothing in it."""
    idle = idle_keys(entry)

    def kept(section: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        return {
            name: kept(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
            for name, value in section.items()
            if f"{prefix}{name}" not in idle
        }

    return kept(entry, "")


def _of_gate(entry: Mapping[str, Any]) -> dict[str, str]:
    gate = entry.get("gate")
    if entry.get("name") == "nesycd":
        if gate is not None and not isinstance(gate, str):
            return {}
        names = {key: "gate_temperature" if key == "temperature" else key for key in _DECIDING}
        return _undecided(gate or "confidence", entry, names)
    if gate is None:
        none = {f"gate.{key}": "it has no gate" for key in GateSettings.model_fields}
        return {**none, "knowledge": "it has no gate"} if "gate" in entry else {}
    keys = {"mode": gate} if isinstance(gate, str) else gate
    if not isinstance(keys, Mapping):
        return {}
    mode = keys.get("mode", "confidence")
    # `knowledge` means something beside `never` too: how many questions are kept apart (see `usual.with_share`)
    idle = _undecided(mode, keys, {key: key for key in _DECIDING})
    return {f"gate.{key}": why for key, why in idle.items()}


def _undecided(mode: Any, keys: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The keys of a gate of this mode that mean nothing; `names` are theirs among `keys`."""
    if mode in ("always", "never"):
        return dict.fromkeys(names.values(), f"its gate is `{mode}`")
    threshold = keys.get(names["threshold"], "calibrated")
    found: dict[str, str] = {}
    if isinstance(threshold, (int, float)):
        found |= dict.fromkeys((names["rule"], names["within"]), "its threshold is set, and not calibrated")
        if not 0 < threshold < 100:
            found[names["temperature"]] = f"a threshold of {threshold:g} leaves nothing to measure"
    elif keys.get(names["rule"], "best") == "best":
        found[names["within"]] = "its `rule` is best"
    return found
