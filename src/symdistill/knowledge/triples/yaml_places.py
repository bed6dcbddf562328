"""A YAML file as plain values, each with the line it stands on, so that a mistake in it can be pointed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import yaml

from symdistill.errors import DataError

_MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a file, and where it is: the file, the dotted key, the line (from 1).

    `content` is a mapping of text to `Value`, a list of `Value`, text, a number, true or false, or None.
    """

    content: Any
    file: str
    key: str
    line: int

    def wrong(self, problem: str, fix: str = "Correct the file.") -> DataError:
        """An error about this value; `problem` goes on after "file, line 3, `key`: "."""
        key = f", `{self.key}`" if self.key else ""
        return DataError(f"{self.file}, line {self.line}{key}: {problem}.", fix)

    def mapping(self, known: Sequence[str] | None = None) -> Mapping[str, Value]:
        """The value as a mapping; with `known`, one that has no other keys. Raises DataError."""
        if not isinstance(self.content, dict):
            raise self.wrong(f"a group of keys is wanted, not {self._shown()}")
        for name, value in self.content.items():
            if known is not None and name not in known:
                raise value.wrong("unknown key", nearest(name, known))
        return self.content

    def items(self) -> Sequence[Value]:
        """The value as a list. Raises DataError."""
        if not isinstance(self.content, list):
            raise self.wrong(f"a list is wanted, not {self._shown()}")
        return self.content

    def text(self) -> str:
        """The value as text of at least one character. Raises DataError."""
        if not isinstance(self.content, str) or not self.content.strip():
            raise self.wrong(f"text is wanted, not {self._shown()}", "Put it in quotes.")
        return self.content.strip()

    def texts(self) -> tuple[str, ...]:
        """The value as a list of texts. Raises DataError."""
        return tuple(item.text() for item in self.items())

    def truth(self) -> bool:
        """The value as true or false. Raises DataError."""
        if not isinstance(self.content, bool):
            raise self.wrong(f"true or false is wanted, not {self._shown()}")
        return self.content

    def count(self) -> int:
        """The value as a whole number above 0. Raises DataError."""
        if not isinstance(self.content, int) or isinstance(self.content, bool) or self.content < 1:
            raise self.wrong(f"a whole number above 0 is wanted, not {self._shown()}")
        return self.content

    def _shown(self) -> str:
        if isinstance(self.content, (dict, list)):
            return "a group of keys" if isinstance(self.content, dict) else "a list"
        if isinstance(self.content, bool):
            return "true" if self.content else "false"
        return "nothing" if self.content is None else repr(self.content)[:60]


def nearest(name: str, known: Sequence[str]) -> str:
    """`Did you mean …?`, or what there is."""
    if not known:
        return "None is defined there: define it, or take the name out."
    close = get_close_matches(name, known, n=1)
    shown = ", ".join(list(known)[:30]) + (", …" if len(known) > 30 else "")
    return f"Did you mean `{close[0]}`?" if close else f"Known: {shown}."


def read_yaml(text: str, file: str) -> Value:
    """The values of a YAML text.

    Raises:
        DataError: it is not YAML, larger than a million characters, uses anchors, or has one key twice.
    """
    if len(text) > _MOST_CHARACTERS:
        raise DataError(f"{file}: larger than {_MOST_CHARACTERS:,} characters.", "Name another file.")
    try:
        # An alias stands for what may itself hold aliases: a few lines of them can mean a billion values.
        alias = next((event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)), None)
        node = None if alias else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise DataError(f"{file}{at}: not YAML ({error.problem}).", "Correct the file.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{file}: not YAML ({str(error).splitlines()[0]}).", "Correct the file.") from None
    if alias:
        line = alias.start_mark.line + 1 if alias.start_mark else 0
        raise DataError(f"{file}, line {line}: an alias (*).", "Write the value out.")
    if node is None:
        raise DataError(f"{file} is empty.", "Name a file with content.")
    return _value(node, file, "", yaml.SafeLoader(""))


def _value(node: yaml.Node, file: str, key: str, loader: yaml.SafeLoader) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Value] = {}
        for name_node, value_node in node.value:
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else None
            at = Value(None, file, f"{key}.{name}" if key else str(name), name_node.start_mark.line + 1)
            if name is None or name_node.tag != "tag:yaml.org,2002:str":
                raise at.wrong("keys are words", "YAML takes yes, no, on and off for true and false: quote them.")
            if name in found:
                raise at.wrong(f"the key stands twice, first on line {found[name].line}", "Keep one of the two.")
            found[name] = replace(_value(value_node, file, at.key, loader), line=at.line)
        return Value(found, file, key, line)
    if isinstance(node, yaml.SequenceNode):
        entries = [_value(entry, file, f"{key}.{number}", loader) for number, entry in enumerate(node.value)]
        return Value(entries, file, key, line)
    try:
        return Value(loader.construct_object(node), file, key, line)  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, OverflowError):
        raise Value(None, file, key, line).wrong(f"{node.value!r} cannot be read", "Put it in quotes.") from None
