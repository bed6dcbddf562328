"""What a teacher's reply holds: a list of phrases, or triples, read from whatever form it came in.

Asked for a numbered list, models answer with bullets, JSON, one line, a greeting, a table, or a refusal; asked for
"head | relation | tail", with brackets, Markdown tables and relation names of their own spelling. Every line of a reply
is either taken or stands in `dropped` with the reason. The text is data; every pattern takes time linear in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from symdistill.knowledge.triples.normalise import normal, says_nothing
from symdistill.knowledge.triples.records import LONGEST
from symdistill.knowledge.triples.schema import Relation, Schema
from symdistill.models.reasoning import split_reasoning

Form = Literal["list", "lines", "json", "table", "empty", "nothing", "refusal", "unstructured"]
"""What a reply came as: a marked list; bare lines; JSON; lines of parts; no text; the word that there is nothing; a
refusal; prose that holds nothing of what was asked for."""
Reason = Literal[
    "not_listed",
    "nothing",
    "too_long",
    "repeats_head",
    "repeated",
    "copied_example",
    "cut",
    "placeholder",
    "unknown_relation",
    "not_three_parts",
    "wrong_type",
    "not_in_text",
]
Dropped = tuple[str, Reason]

MOST_WORDS = 25
"""Words of a head or tail of a teacher's reply: what is longer is an explanation."""

_MARK = re.compile(r"[ \t>]*(?:\(?\d{1,3}[.):]|[-*•–—‣·])[ \t]+(?=\S)")
_INLINE_MARK = re.compile(r"(?<=\S)[ \t,;]+(?=\(?\d{1,2}[.)][ \t]+\S)")
_MARKUP = re.compile(r"\*\*|__|`")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)[\w+-]{0,20}[ \t]*")
_RULE = re.compile(r"[\s|:+=_-]*")
_REFUSAL = re.compile(
    r"\W*(?:i['’]?m (?:sorry|afraid|unable|not able)|i am (?:sorry|unable|not able)|sorry\b"
    r"|i (?:cannot|can['’]?t|won['’]?t)|as an ai\b|unfortunately\b)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"[\W_]*(?:\[[^\]]{0,60}\]|<[^>]{0,60}>|\.{3}|…)?[\W_]*")
_QUOTES = "\"'“”‘’«»"
_MOST_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class ListReply:
    """The phrases of a reply, in order. `truncated` says that the reply was cut, and its last phrase with it."""

    items: tuple[str, ...]
    form: Form
    dropped: tuple[Dropped, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A triple as a reply states it; its relation is one of the schema."""

    head: str
    relation: str
    tail: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TripleReply:
    """The triples of a reply, in order; the rest as in `ListReply`."""

    parts: tuple[Part, ...]
    form: Form
    dropped: tuple[Dropped, ...] = ()
    truncated: bool = False


def parse_list(
    text: str,
    *,
    truncated: bool = False,
    head: str = "",
    relation: Relation | None = None,
    examples: Collection[str] = (),
) -> ListReply:
    """The phrases in a reply. Never raises.

    `head` is what was asked about: a phrase that repeats it is none. Of `relation`, words of its verbalisation before a
    tail ("PersonX wants …") are taken off. A phrase that is one of `examples`, which the prompt showed, was copied.
    """
    said, truncated = _said(text, truncated)
    form, entries, dropped = _entries(said)
    if truncated and entries and form in ("list", "lines"):
        dropped.append((entries.pop(), "cut"))
    known = {normal(example) for example in examples}
    lead = _lead(relation) if relation else ()
    items: dict[str, str] = {}
    for entry in entries:
        item = _without_lead(cleaned(entry), lead)
        reason = _unusable(item)
        if reason is None and normal(item) in known:
            reason = "copied_example"
        if reason is None and head and normal(item) == normal(head):
            reason = "repeats_head"
        if reason is None and normal(item) in items:
            reason = "repeated"
        if reason is None:
            items[normal(item)] = item
        else:
            dropped.append((entry.strip(), reason))
    if entries and not items and form in ("list", "lines", "json") and all(r == "nothing" for _, r in dropped):
        form = "nothing"
    return ListReply(tuple(items.values()), form, tuple(dropped), truncated)


def parse_triples(text: str, schema: Schema, *, truncated: bool = False) -> TripleReply:
    """The triples in a reply. Never raises."""
    said, truncated = _said(text, truncated)
    if not said.strip():
        return TripleReply((), "empty", (), truncated)
    if says_nothing(said):
        return TripleReply((), "nothing", (), truncated)
    found = _json_value(said)
    if found is not None:
        rows, form = list(_json_rows(found)), "json"
    else:
        lines = [line for line in said.split("\n") if line.strip()]
        cut = [lines.pop()] if truncated and lines else []
        rows = [(line, _cells(line)) for line in lines if not _drawn(line)] + [(line, None) for line in cut]
        form = "table"
    known = {re.sub(r"[\W_]", "", name).casefold(): name for name in schema.relations}
    parts: dict[tuple[str, str, str], Part] = {}
    dropped: list[Dropped] = []
    for line, cells in rows:
        part = _part(cells, known) if cells else None
        reason = part if isinstance(part, str) else None
        if cells is None:
            reason = "cut" if truncated and line == rows[-1][0] else "not_three_parts"
        if isinstance(part, Part) and reason is None:
            key = (normal(part.head), part.relation, normal(part.tail))
            reason = "repeated" if key in parts else "repeats_head" if key[0] == key[2] else None
            if reason is None:
                parts[key] = part
        if reason is not None and not _is_header(cells):
            dropped.append((line.strip(), reason))
    return TripleReply(tuple(parts.values()), _form_of_triples(form, said, parts), tuple(dropped), truncated)


def cleaned(text: str) -> str:
    """A phrase without marks of lists and markup, enclosing quotes and the stop at its end, on one line."""
    line = " ".join(_MARKUP.sub("", _MARK.sub("", text, count=1)).split())
    while len(line) > 1 and line[0] in _QUOTES and line[-1] in _QUOTES:
        line = line[1:-1].strip()
    if line.endswith(".") and not line.endswith(".."):
        line = line[:-1].rstrip()
    return line


def _said(text: str, truncated: bool) -> tuple[str, bool]:
    plain = text[:_MOST_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    _, said, closed = split_reasoning(plain)
    return said, truncated or not closed


def _entries(said: str) -> tuple[Form, list[str], list[Dropped]]:
    """The form of a reply, its entries, and the lines that are none."""
    if not said.strip():
        return "empty", [], []
    found = _json_value(said)
    if found is not None:
        texts = list(_json_texts(found))
        return ("json", texts, []) if texts else ("unstructured", [], [(said.strip(), "not_listed")])
    lines = [line for line in said.split("\n") if line.strip() and not _FENCE.fullmatch(line)]
    lines = [part for line in lines for part in (_INLINE_MARK.split(line) if _MARK.match(line) else [line])]
    marked = [line for line in lines if _MARK.match(line)]
    if marked:
        return "list", marked, [(line.strip(), "not_listed") for line in lines if not _MARK.match(line)]
    if _REFUSAL.match(said):
        return "refusal", [], [(line.strip(), "not_listed") for line in lines]
    if says_nothing(said):
        return "nothing", [], []
    phrases = [line for line in lines if not line.rstrip().endswith((":", "："))]
    rest: list[Dropped] = [(line.strip(), "not_listed") for line in lines if line not in phrases]
    short = [line for line in phrases if len(line.split()) <= MOST_WORDS]
    if not short:
        return "unstructured", [], [(line.strip(), "not_listed") for line in lines]
    return "lines", phrases, rest


def _unusable(item: str) -> Reason | None:
    if says_nothing(item):
        return "nothing"
    if _PLACEHOLDER.fullmatch(item):
        return "placeholder"
    return "too_long" if len(item.split()) > MOST_WORDS or len(item) > LONGEST else None


def _lead(relation: Relation) -> tuple[str, ...]:
    """The words before the tail in a relation's verbalisation, of its last sentence."""
    before = relation.verbalise.partition("{tail}")[0].rpartition("{head}")[2]
    return tuple(before.rpartition(". ")[2].split())


def _without_lead(item: str, lead: Sequence[str]) -> str:
    for size in range(len(lead), 1, -1):
        start = " ".join(lead[-size:]) + " "
        if item.casefold().startswith(start.casefold()):
            return item[len(start) :]
    return item


# JSON


def _json_value(said: str) -> Any | None:
    """The JSON list or object a reply consists of, with or without a fence and words around it; None where none."""
    start = re.search(r"[\[{]\s{0,20}[\[{\"\]]", said)
    if start is None or len(said[: start.start()].split()) > 2 * MOST_WORDS:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(said, start.start())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (list, dict)) else None


def _json_texts(value: Any) -> Iterator[str]:
    """The texts of a JSON list, or of the lists in an object."""
    if isinstance(value, dict):
        lists = [entry for entry in value.values() if isinstance(entry, list)]
        for entry in lists or [[text for text in value.values() if isinstance(text, str)]]:
            yield from _json_texts(entry)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, str):
                yield entry
            elif isinstance(entry, dict):
                yield from [text for text in entry.values() if isinstance(text, str)][-1:]


def _json_rows(value: Any) -> Iterator[tuple[str, list[Any] | None]]:
    """Each entry of a JSON list as written, and as cells: head, relation, tail and perhaps a confidence."""
    if isinstance(value, dict):
        inner = next((entry for entry in value.values() if isinstance(entry, list)), None)
        if inner is not None and not _named_cells(value):
            yield from _json_rows(inner)
            return
        value = [value]
    entries = [value] if len(value) in (3, 4) and all(isinstance(v, str) for v in value[:3]) else value
    for entry in entries:
        cells = list(entry) if isinstance(entry, list) else _named_cells(entry) if isinstance(entry, dict) else None
        shown = json.dumps(entry, ensure_ascii=False)[:LONGEST]
        yield shown, cells if cells and len(cells) >= 3 else None


def _named_cells(entry: dict[str, Any]) -> list[Any] | None:
    lowered = {str(name).casefold(): value for name, value in entry.items()}
    columns = (("head", "subject"), ("relation", "predicate"), ("tail", "object"))
    found = [next((lowered[name] for name in names if name in lowered), None) for names in columns]
    return None if None in found else [*found, lowered.get("confidence", lowered.get("score"))]


# Lines of parts


def _cells(line: str) -> list[Any] | None:
    """The parts of a line: between pipes, tabs or arrows, or in brackets between commas."""
    plain = _MARKUP.sub("", _MARK.sub("", line, count=1)).strip()
    if plain[:1] in "([<" and plain[-1:] in ")]>" and not plain.startswith("<about"):
        plain = plain[1:-1]
        if "|" not in plain and "\t" not in plain:
            cells = [cell.strip() for cell in plain.split(",")]
            return cells if len(cells) == 3 else None
    for separator in ("|", "\t", " → ", " -> "):
        if separator in plain:
            cells = [cell.strip() for cell in plain.strip("|").split(separator)]
            return cells if len(cells) in (3, 4) else None
    return None


def _drawn(line: str) -> bool:
    return _RULE.fullmatch(line) is not None or _FENCE.fullmatch(line) is not None


def _is_header(cells: Sequence[Any] | None) -> bool:
    return cells is not None and [str(cell).strip(" *").casefold() for cell in cells[:3]] == [
        "head",
        "relation",
        "tail",
    ]


def _part(cells: Sequence[Any], known: dict[str, str]) -> Part | Reason:
    if not all(isinstance(cell, str) for cell in cells[:3]):
        return "not_three_parts"
    head, name, tail = (cleaned(cell) for cell in cells[:3])
    relation = known.get(re.sub(r"[\W_]", "", name).casefold())
    if relation is None:
        return "unknown_relation"
    reasons: Iterable[Reason | None] = (_unusable(head), _unusable(tail))
    if found := next((reason for reason in reasons if reason), None):
        return found
    return Part(head, relation, tail, _confidence(cells[3]) if len(cells) > 3 else None)


def _confidence(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None


def _form_of_triples(form: str, said: str, parts: Collection[tuple[str, str, str]]) -> Form:
    if parts or form == "json":
        return "json" if form == "json" else "table"
    return "refusal" if _REFUSAL.match(said) else "unstructured"
