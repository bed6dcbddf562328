"""Knowledge items as Markdown files, one an item, that a person reads and edits in any editor.

    ---
    id: k_7f3a91c2d4e5
    kind: summary
    task: bbh/tracking_shuffled_objects
    title: Update both holders at every swap
    status: active
    version: 2
    lift: +0.11 [+0.01, +0.22] (helped 14, hurt 2 of 61 uses)
    from: 3 student errors (e_12, e_48, e_77) · teacher qwen2.5-1.5b-instruct · prompt error-analysis/2
    ---
    1. Write who holds what before the first swap.

`title`, `task`, `status`, `flags` and the text below may be edited. `version` is the version the edit starts from;
`lift` and `from` are for reading and ignored when they come back. The text is kept to the letter, but characters that
would act on a terminal are written out (`\\x1b`). Neither that nor a change of line ends, or of empty lines at the end
of the text, counts as an edit.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from symdistill.errors import DataError
from symdistill.knowledge.items import Flag, Kind, KnowledgeItem, Status
from symdistill.knowledge.rows import FLAGS, KINDS, STATUSES
from symdistill.knowledge.utility import Lift
from symdistill.knowledge.visible import without_controls

_KEYS = ("id", "kind", "task", "title", "status", "flags", "version", "lift", "from")
_MARK = "---"
_SHOWN_SOURCES = 5
_SLUG_LENGTH = 60
_EXAMPLE = "A file begins with `---`, lines such as `kind: summary`, `task: NAME` and `title: TEXT`, and `---` again."


@dataclass(frozen=True, slots=True)
class Draft:
    """What a file says. `id` and `version` are None in a file a person wrote anew, `status` where it has no such line.

    `version_at` is where the value of `version` stands in the file, from and to which character.
    """

    kind: Kind
    task: str
    title: str
    text: str
    status: Status | None = None
    flags: tuple[Flag, ...] = ()
    id: str | None = None
    version: int | None = None
    version_at: tuple[int, int] | None = None

    def changes(self, item: KnowledgeItem) -> dict[str, Any]:
        """What an edit has to change for `item` to say what the file says."""
        wanted = {"title": self.title, "task": self.task, "status": self.status, "flags": self.flags}
        found = {name: value for name, value in wanted.items() if value not in (None, getattr(item, name))}
        if _normalised(self.text) not in (_normalised(item.text), _normalised(without_controls(item.text))):
            found["text"] = self.text
        return found


def render(item: KnowledgeItem, lift: Lift | None = None) -> str:
    """The item as the text of a file."""
    values: dict[str, Any] = {name: getattr(item, name) for name in ("id", "kind", "task", "title", "status")}
    if item.flags:
        values["flags"] = list(item.flags)
    values["version"] = item.version
    if lift is not None:
        values["lift"] = lift_text(lift)
    if item.provenance:
        values["from"] = origin_text(item)
    lines = [f"{name}: {_scalar(value)}" for name, value in values.items()]
    return "\n".join([_MARK, *lines, _MARK, without_controls(item.text)]) + "\n"


def parse(text: str, where: str) -> Draft:
    """What a file says; `where` names it in errors.

    Raises:
        DataError: there is no front matter, it is not valid YAML, or a value in it makes no sense; with the line.
    """
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == _MARK), None)
    if lines[0].rstrip() != _MARK:
        raise DataError(f"{where}, line 1: this is no knowledge item, it does not begin with `---`.", _EXAMPLE)
    if end is None:
        raise DataError(f"{where}, line 1: the front matter has no end, a line with `---` alone.", _EXAMPLE)
    body = "\n".join(lines[end + 1 :]).removesuffix("\n")
    if lines[0].endswith("\r"):  # an editor that turned every line end into its own
        body = body.replace("\r\n", "\n").removesuffix("\r")
    head = _Head(where, "\n".join(lines[1:end]))
    item_id = head.text("id") if "id" in head else None
    kind = head.one_of("kind", KINDS)
    flags = head.several_of("flags", FLAGS)
    version = version_at = None
    if "version" in head:
        start, stop = head.place("version")
        version_at = (start + len(lines[0]) + 1, stop + len(lines[0]) + 1)
        # In a file without an id it is what was left behind when the id was taken out.
        version = head.number("version") if item_id is not None else None
    elif item_id is not None:
        raise head.wrong("id", "there is no `version` beside `id`", "Export the item again and edit that file.")
    status = head.one_of("status", STATUSES) if "status" in head else None
    title = head.text("title")
    if item_id is None and not title.strip():
        raise head.wrong("title", "`title` is empty", "Say in one line what the item is about.")
    return Draft(kind, head.text("task"), title, body, status, flags, item_id, version, version_at)


def file_name(item: KnowledgeItem) -> str:
    """A name to be read by people, that every file system takes: the task's last part, the title and the id."""
    words = unicodedata.normalize("NFKD", f"{item.task.rpartition('/')[2]} {item.title}").encode("ascii", "ignore")
    slug = "-".join(re.findall(r"[a-z0-9]+", words.decode().lower()))
    if len(slug) > _SLUG_LENGTH:
        slug = slug[:_SLUG_LENGTH].rpartition("-")[0] or slug[:_SLUG_LENGTH]
    return f"{slug or 'item'}--{item.id}.md"


def stamped(text: str, draft: Draft, item: KnowledgeItem) -> str:
    """The text of a file with the id and the version of `item` written into its front matter, all else as it is."""
    first, _, rest = text.partition("\n")
    version = str(item.version)
    if draft.version_at is not None:
        start, stop = (at - len(first) - 1 for at in draft.version_at)
        rest = f"{rest[:start]}{version}{rest[stop:]}"
    if draft.id is not None:
        return f"{first}\n{rest}"
    line_end = "\r\n" if first.endswith("\r") else "\n"
    new = f"id: {item.id}{line_end}" + ("" if draft.version_at else f"version: {version}{line_end}")
    return f"{first}\n{new}{rest}"


def lift_text(lift: Lift) -> str:
    """A measured lift with its interval and counts."""
    asked = f"{lift.uses} question{'' if lift.uses == 1 else 's'}"  # one vote each, however many students answered it
    counts = f"helped {count_text(lift.helped)}, hurt {count_text(lift.hurt)} of {asked}"
    return f"{lift.lift:+.2f} [{lift.low:+.2f}, {lift.high:+.2f}] ({counts})"


def count_text(count: float) -> str:
    """A count of questions; the mean of several students may be a fraction."""
    return f"{count:,.0f}" if count == round(count) else f"{count:,.1f}"


def origin_text(item: KnowledgeItem) -> str:
    """Where an item came from, in one line."""
    sources = list(dict.fromkeys(p.example_id for p in item.provenance))
    errors = any(p.student_reply for p in item.provenance)
    noun = f"{'student error' if errors else 'question'}{'' if len(sources) == 1 else 's'}"
    more = f" and {len(sources) - _SHOWN_SOURCES} more" if len(sources) > _SHOWN_SOURCES else ""
    parts = [f"{len(sources)} {noun} ({', '.join(sources[:_SHOWN_SOURCES])}{more})"]
    for name, values in (
        ("teacher", [p.model for p in item.provenance]),
        ("prompt", [p.prompt for p in item.provenance]),
    ):
        if known := list(dict.fromkeys(value for value in values if value)):
            parts.append(f"{name} {', '.join(known)}")
    return " · ".join(parts)


class _Head:
    """The front matter of one file, every value with its place. Values are text, whatever YAML would make of them."""

    def __init__(self, where: str, source: str) -> None:
        self._where = where
        self._nodes: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        # Composing builds no objects at all, and the base loader takes `yes`, `12` and dates for the text they are.
        try:
            root = yaml.compose(source, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._at(
                mark.line if mark else 0, f"not valid YAML ({error.problem})", "Put the value in double quotes."
            ) from None
        except yaml.reader.ReaderError as error:
            line = source.count("\n", 0, error.position)
            raise self._at(line, f"not valid YAML ({error.reason})", "Take the character out.") from None
        except RecursionError:
            raise self._at(0, "not valid YAML (nested without end)", _EXAMPLE) from None
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            raise self._at(root.start_mark.line, "not lines of `name: value`", _EXAMPLE)
        for key, value in root.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name not in _KEYS:
                near = get_close_matches(str(name), _KEYS, n=1)
                hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(_KEYS)}."
                raise self._at(key.start_mark.line, f"unknown key {_short(name)}", hint)
            if name in self._nodes:
                raise self._at(key.start_mark.line, f"`{name}` stands here twice", "Take one of the two lines out.")
            self._nodes[name] = (key, value)

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def text(self, name: str) -> str:
        if name not in self._nodes:
            raise self._at(-1, f"there is no `{name}`", f"Add a line `{name}: …` between the two lines `---`.")
        node = self._nodes[name][1]
        if not isinstance(node, yaml.ScalarNode):
            raise self.wrong(name, f"`{name}` is not one text", "Put the value in double quotes.")
        value = str(node.value)
        if node.style in ("|", ">"):  # a block ends in a line break that nobody meant
            value = value.rstrip("\n")
        if not value.strip() and name not in ("title", "task"):
            raise self.wrong(name, f"`{name}` is empty", "Give it a value, or take the line out.")
        return value

    def one_of(self, name: str, known: tuple[Any, ...]) -> Any:
        value = self.text(name)
        if value not in known:
            raise self._unknown(name, value, known)
        return value

    def several_of(self, name: str, known: tuple[Any, ...]) -> tuple[Any, ...]:
        if name not in self._nodes:
            return ()
        node = self._nodes[name][1]
        entries = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = [entry.value for entry in entries]
        if values == [""] and node is entries[0]:
            return ()
        wrong = next((value for value in values if value not in known), None)
        if wrong is not None:
            raise self._unknown(name, wrong, known)
        return tuple(dict.fromkeys(values))

    def number(self, name: str) -> int:
        value = self.text(name)
        if not re.fullmatch(r"[1-9][0-9]{0,8}", value):
            raise self.wrong(name, f"`{name}` is {_short(value)}, not a whole number", "Export the item again.")
        return int(value)

    def place(self, name: str) -> tuple[int, int]:
        node = self._nodes[name][1]
        return node.start_mark.index, node.end_mark.index

    def wrong(self, name: str, problem: str, fix: str) -> DataError:
        return self._at(self._nodes[name][0].start_mark.line, problem, fix)

    def _unknown(self, name: str, value: object, known: tuple[str, ...]) -> DataError:
        near = get_close_matches(str(value), known, n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
        return self.wrong(name, f"unknown {name.removesuffix('s') if name == 'flags' else name} {_short(value)}", hint)

    def _at(self, line: int, problem: str, fix: str) -> DataError:
        return DataError(f"{self._where}, line {line + 2}: {problem}.", fix)


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    style: Mapping[str, Any] = {"allow_unicode": True}
    if isinstance(value, str) and not value.isprintable():
        style = {"default_style": '"'}  # one line, with escapes
    dumped: str = yaml.safe_dump(value, width=sys.maxsize, **style)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def _normalised(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
