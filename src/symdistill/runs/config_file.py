"""A configuration as it stands in its file: the keys, where each stands, and overrides in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from symdistill.errors import ConfigError
from symdistill.runs.validation import Places
from symdistill.tasks.files import file_meant

_WORDS = {"method": "name", "gate": "mode"}
"""Groups of keys that may be a word, and the key which the word stands for."""
_INIT = "`symdistill init` writes a commented one."


def read_config(path: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], Places]:
    """The keys of a configuration file as they stand there, `overrides` in their places, and where each stands.

    Raises:
        ConfigError: the file is missing or not YAML, a key stands twice, or an override cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        meant = file_meant(path, (".yaml", ".yml"))
        raise ConfigError(f"There is no file {path}.", f"Did you mean `{meant}`?" if meant else _INIT) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"Cannot read {path}: {reason}.", "A configuration is a UTF-8 YAML file.") from error
    try:
        data = yaml.safe_load(text)
        lines = _line_of_each_key(text, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(
            f"{path}{at}: {problem}.", "Check the indentation and the quotes around that line."
        ) from error
    except ValueError as error:  # a date that is none, which the parser does not make an error of its own
        raise ConfigError(f"{path}: {error}.", "Put quotes around text that looks like a date.") from error
    if data is None and not overrides:
        raise ConfigError(f"{path} is empty.", _INIT)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is a {type(data).__name__}, not a set of keys.", _INIT)
    for override in overrides:
        _apply(data, override)
    by_key = {override.partition("=")[0].strip(): override for override in overrides}
    return data, Places(str(path), lines, by_key)


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"`{override}` is not an override.", "Write key=value, for example training.max_steps=10.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"The value of `{key}` is not YAML: {text}.", "Quote it for the shell.") from error
    put(data, key.strip(), _number(value) if isinstance(value, str) else value)


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set the dotted `key` of a configuration. Raises ConfigError where it counts an entry that is not there."""
    parts = key.split(".")
    place: Any = data
    for part in parts[:-1]:
        if isinstance(place, list):
            index = _index(part, place, key)
            if not isinstance(place[index], (dict, list)):
                place[index] = {"name": place[index]}
            place = place[index]
            continue
        inner = place.get(part)
        if part in _WORDS and isinstance(inner, str):
            inner = {_WORDS[part]: inner}
        if not isinstance(inner, (dict, list)):
            inner = {}
        place[part] = inner
        place = inner
    if isinstance(place, list):
        place[_index(parts[-1], place, key)] = value
    else:
        place[parts[-1]] = value


def _index(part: str, place: list[Any], key: str) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise ConfigError(f"`{key}`: `{part}` is not one of the {len(place)} entries.", "Entries count from 0.")
    return int(part)


def _number(text: str) -> Any:
    """YAML 1.1 reads 2e-4 as text; people mean a number."""
    try:
        return float(text) if "e" in text.lower() and not text.isalpha() else text
    except ValueError:
        return text


def _line_of_each_key(text: str, path: Path) -> dict[str, int]:
    """The line of every dotted key. Raises ConfigError for a key that stands twice, of which YAML drops one."""
    lines: dict[str, int] = {}
    for key, line in _key_lines(yaml.compose(text)):
        if key in lines:
            raise ConfigError(f"`{key}` stands twice in {path}, lines {lines[key]} and {line}.", "Keep one of them.")
        lines[key] = line
    return lines


def _key_lines(node: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            yield path, key.start_mark.line + 1
            yield from _key_lines(value, path + ".")
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            path = f"{prefix}{index}"
            yield path, value.start_mark.line + 1
            yield from _key_lines(value, path + ".")
