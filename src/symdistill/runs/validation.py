"""A group of settings checked, with every mistake in plain words: the key, where it stands, what was expected, what was
given and, where there is one, what was meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from symdistill.errors import ConfigError

S = TypeVar("S", bound=BaseModel)

_KINDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
_SEVERAL = {"text": "texts", "a whole number": "whole numbers", "a number": "numbers", "a path": "paths"}


@dataclass(frozen=True)
class Places:
    """Where the keys of a configuration stand: the file, the line of each key, and the overrides by their key."""

    where: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)

    def at(self, key: str) -> str:
        """Where `key` stands, to be put behind its name; empty where that is not known."""
        parts = key.split(".")
        enclosing = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        override = next((self.overrides[k] for k in enclosing if k in self.overrides), None)
        if override is None and key not in self.lines:  # a section that only an override speaks of
            override = next((said for k, said in self.overrides.items() if k.startswith(f"{key}.")), None)
        if override is not None:
            return f" (override `{override}`)"
        line = next((self.lines[k] for k in enclosing if k in self.lines), None)
        return (f" in {self.where}" if self.where else "") + (f", line {line}" if line and self.where else "")

    def overridden(self, key: str) -> bool:
        """Whether an override set `key` or a section around it."""
        return any(key == k or key.startswith(f"{k}.") for k in self.overrides)


def validated(model: type[S], data: Mapping[str, Any], places: Places | None = None, *, prefix: str = "") -> S:
    """`data` as the settings class `model`; `prefix` is the dotted key the data stands under.

    Raises:
        ConfigError: the first mistake found. True or false is no number, and a number is not true or false.
    """
    places = places or Places()
    for place, value in _guesses(model, data):
        raise _wrong_value(model, place, value, places, prefix)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explained(error, model, places, prefix) from error


def nearest(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """`Did you mean …?`, or the list of what there is, or nothing."""
    close = closest(name, list(known))
    if close:
        return f"Did you mean `{close}`?"
    return f"Known: {', '.join(known)}." if known else ""


_BEGINNING = 4
"""Letters of a word that tell which one was begun."""


def closest(name: str, known: Sequence[str]) -> str | None:
    """The one of `known` that `name` was probably meant to be, whatever its capitals: the only one that begins with it,
    else the most similar."""
    by_lower = {k.lower(): k for k in reversed(known)}
    begun = [k for k in by_lower if k.startswith(name.lower())] if len(name) >= _BEGINNING else []
    if len(begun) == 1:
        return by_lower[begun[0]]
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every dotted key a settings class accepts."""
    keys = []
    for name, found in model.model_fields.items():
        keys.append(prefix + name)
        inner = section_of(found.annotation)
        if inner is not None:
            keys += known_keys(inner, f"{prefix}{name}.")
    return keys


def in_place_of(key: str, model: type[BaseModel], prefix: str = "") -> str:
    """What to write in the place of an unknown dotted key of a settings class: the key of the same section that was
    probably meant, else one elsewhere of the same name or nearly the same, else one of those there are. `prefix` stands
    before the key."""
    section, dot, name = key.rpartition(".")
    known = known_keys(model)
    beside = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == section]
    found = closest(name, beside)
    if found:
        return f"Did you mean `{_key(prefix, [section + dot + found])}`?"
    # a section that the key stands in resembles it and is no key to write
    elsewhere = [k for k in known if k.rpartition(".")[0] != section and not key.startswith(f"{k}.")]
    found = next((k for k in elsewhere if k.rpartition(".")[2] == name), None) or closest(key, elsewhere)
    if found:
        return f"Did you mean `{_key(prefix, [found])}`?"
    return f"Known here: {', '.join(beside)}." if beside else "Take it out."


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation such as `LoraSettings | None`."""
    options = getattr(annotation, "__args__", (annotation,))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _guesses(
    model: type[BaseModel], data: Mapping[str, Any], place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Values that pydantic would take for something else: true for 1, 1 for true; and numbers that are none."""
    for name, found in model.model_fields.items():
        value = data.get(name)
        here = (*place, name)
        inner = section_of(found.annotation)
        if inner is not None and isinstance(value, Mapping):
            yield from _guesses(inner, value, here)
            continue
        kinds = {kind for kind, _ in _options(found.annotation)}
        numeric = bool(kinds & {int, float})
        if isinstance(value, bool):
            if numeric and bool not in kinds:
                yield here, value
        elif isinstance(value, (int, float)) and (
            (bool in kinds and not numeric) or (numeric and not math.isfinite(value))
        ):
            yield here, value


def _explained(error: ValidationError, model: type[BaseModel], places: Places, prefix: str) -> ConfigError:
    """The first problem pydantic found, in our words."""
    first = error.errors(include_url=False)[0]
    place, kind = first["loc"], first["type"]
    if kind == "extra_forbidden":
        return _unknown_key(model, ".".join(map(str, place)), places, prefix)
    if kind == "invalid_key" or place[-1:] == ("[key]",):
        return ConfigError(
            f"{_shown(first['input'])}{places.at(_key(prefix, place))} cannot be a key.",
            "Keys are words; YAML takes yes, no, on and off for true and false unless they are quoted.",
        )
    key, _, metadata, found = _spot(model, place)
    shown = _key(prefix, key)
    if kind == "missing":
        around = _key(prefix, key[:-1])
        wanted = expected(found.annotation, tuple(metadata)) if found else "given"
        return ConfigError(f"`{around}`{places.at(around)} has no `{key[-1]}`.", f"Add it; it must be {wanted}.")
    if kind == "value_error":
        said = first["msg"].removeprefix("Value error, ")
        if found is None or section_of(found.annotation) is not None:  # about several keys of a section
            name = f"`{shown}`" if shown else "The configuration"
            return ConfigError(f"{name}{places.at(shown)}: {said}.", "Correct one of the two.")
        return ConfigError(
            f"`{shown}`{places.at(shown)} must be {said}; it is {_shown(first['input'])}.", "Choose another value."
        )
    return _wrong_value(model, place, first["input"], places, prefix)


def _unknown_key(model: type[BaseModel], key: str, places: Places, prefix: str) -> ConfigError:
    fix = in_place_of(key, model, prefix)
    if prefix.startswith("method") and not fix.startswith("Did you mean"):
        fix += " Training and evaluation keys have sections of their own."
    shown = _key(prefix, [key])
    return ConfigError(f"Unknown key `{shown}`{places.at(shown)}.", fix)


def _wrong_value(
    model: type[BaseModel], place: Sequence[int | str], value: Any, places: Places, prefix: str
) -> ConfigError:
    key, annotation, metadata, found = _spot(model, place)
    shown = _key(prefix, key)
    wanted = expected(annotation, tuple(metadata))
    name = f"`{shown}`{places.at(shown)}" if shown else f"The configuration{places.at('')}"
    problem = f"is empty; it must be {wanted}" if value is None else f"must be {wanted}, not {_shown(value)}"
    return ConfigError(f"{name} {problem}.", _way_out(annotation, found, value))


def _way_out(annotation: Any, found: FieldInfo | None, value: Any) -> str:
    """What to write instead."""
    choices = [str(c) for kind, _ in _options(annotation) for c in get_args(kind) if get_origin(kind) is Literal]
    close = closest(value, choices) if isinstance(value, str) else None
    if close:
        return f"Did you mean `{close}`?"
    section = section_of(annotation)
    if section is not None:
        if value is None:
            return "Write its keys under it, or leave it out."
        return f"Its keys: {', '.join(list(section.model_fields)[:8])}{', …' * (len(section.model_fields) > 8)}."
    if any(get_origin(kind) is tuple for kind, _ in _options(annotation)) and isinstance(value, str):
        return f"Write it as a list: [{value}]."
    if found is None or found.is_required():
        return "Correct it and run again."
    default = found.get_default(call_default_factory=True)
    if isinstance(default, (str, int, float)):  # true and false among them
        return f"Leave the key out for its default, {_shown(default)}."
    return "Leave the key out if you do not need it."


def _spot(
    model: type[BaseModel], place: Sequence[int | str]
) -> tuple[list[int | str], Any, Sequence[Any], FieldInfo | None]:
    """The key, the type, its bounds and, unless it is an item of a list or mapping, the field an error is about.

    What pydantic puts behind the key to tell the sides of a union apart is left out.
    """
    key: list[int | str] = []
    annotation: Any = model
    metadata: Sequence[Any] = ()
    found: FieldInfo | None = None
    for part in place:
        for kind, _ in _options(annotation):
            origin = get_origin(kind) or kind
            if isinstance(origin, type) and issubclass(origin, BaseModel) and part in origin.model_fields:
                found = origin.model_fields[str(part)]
                annotation, metadata = found.annotation, [found, *found.metadata]
                break
            if origin is tuple and isinstance(part, int):
                annotation, metadata, found = get_args(kind)[0], (), None
                break
            if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(part, str) and get_args(kind):
                annotation, metadata, found = get_args(kind)[1], (), None
                break
        else:
            break
        key.append(part)
    return key, annotation, metadata, found


def _options(annotation: Any, metadata: tuple[Any, ...] = ()) -> list[tuple[Any, tuple[Any, ...]]]:
    """The types a value may have, null aside, each with its bounds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _options(inner, (*metadata, *more))
    if annotation is None or annotation is NoneType:
        return []
    if origin in (Union, UnionType):
        return [option for side in get_args(annotation) for option in _options(side, metadata)]
    return [(annotation, metadata)]


def expected(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What a value must be, in words: `a whole number above 0`."""
    said = next((m.description for m in metadata if isinstance(m, FieldInfo) and m.description), None)
    if said:
        return said
    words: list[str] = []
    for kind, bounds in _options(annotation, metadata):
        origin = get_origin(kind) or kind
        described = next((m.description for m in bounds if isinstance(m, FieldInfo) and m.description), None)
        if described:
            words.append(described)
        elif origin is Literal:
            words += [f"`{choice}`" for choice in get_args(kind)]
        elif origin is bool:
            words += ["true", "false"]
        elif origin is tuple:
            item = expected(get_args(kind)[0])
            several = (many + item.removeprefix(one) for one, many in _SEVERAL.items() if item.startswith(one))
            words.append(f"a list of {next(several, item)}")
        else:
            words.append(_KINDS.get(origin, "a group of keys") + _bounds(bounds))
    words = list(dict.fromkeys(words))  # the sides of a union may be described as one
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


def _bounds(metadata: Sequence[Any]) -> str:
    """` above 0 and at most 1`, or nothing."""
    limits = {
        name: limit
        for entry in metadata
        for name in ("gt", "ge", "lt", "le")
        if not isinstance(entry, FieldInfo) and (limit := getattr(entry, name, None)) is not None
    }
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    said = " and ".join(f"{words[name]} {limit:g}" for name, limit in limits.items())
    return f" of {said}" if said.startswith("at ") else f" {said}" if said else ""


def _shown(value: Any) -> str:
    """A value as a person wrote it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, Path)):
        text = str(value)
        return f"`{text if len(text) <= 60 else text[:57] + '…'}`"
    if isinstance(value, Mapping):
        return "a group of keys"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    return f"{value}"


def _key(prefix: str, parts: Sequence[int | str]) -> str:
    return ".".join(([prefix] if prefix else []) + [str(p) for p in parts])
