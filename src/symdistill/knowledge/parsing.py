"""The two notes of an error analysis, read from whatever a teacher made of them.

Asked for "Learning Summary" and "Supplementary Knowledge", models answer with headings that are bold, numbered, in
Markdown, HTML or JSON, in either order, twice, or not at all, with a greeting before and a solution after. A heading
is a name at the start of a line that nothing but a separator follows; the name in a sentence is no heading. What
belongs to neither note is `leftover`: every word of a reply stands in one of the three, but for the headings.

The text is data. Nothing in it is followed, and every pattern here takes time linear in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from symdistill.knowledge.analysis_json import json_objects
from symdistill.models.reasoning import split_reasoning

Outcome = Literal["both", "summary_only", "supplementary_only", "empty", "unstructured", "truncated"]
Field = Literal["summary", "supplementary"]
Piece = tuple[Field | None, str]
"""Some text and the note it belongs to, None for neither."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a teacher's reply holds.

    `outcome` is `truncated` for every reply that was cut, whatever it holds; otherwise it says which notes there are,
    `unstructured` that there is text but no note, `empty` that there is no text.
    """

    summary: str | None
    supplementary: str | None
    outcome: Outcome
    leftover: str


_STRONG: dict[Field, str] = {
    "summary": r"learn[a-z]{0,5}[\s_-]{0,3}sum{1,2}[ae]r[a-z]{1,4}"
    r"|summary[\s_]{1,3}of[\s_]{1,3}(?:the[\s_]{1,3})?learnings?|lessons?[\s_]{1,3}(?:summary|learn(?:ed|t))",
    "supplementary": r"suppl[a-z]{3,11}[\s_-]{0,3}(?:knowl[a-z]{2,7}|info[a-z]{0,9}|facts?|notes?)"
    r"|(?:additional|background)[\s_]{1,3}knowl[a-z]{2,7}",
}
_WEAK: dict[Field, str] = {"summary": r"summary|lessons?", "supplementary": r"supplement[a-z]{0,6}|knowledge"}
"""Names that count only where the reply has no better one for the note."""

_ANY_STRONG = "|".join(_STRONG.values())
_LEAD = (
    r"(?P<lead>(?:[ \t]{0,9}<[a-z][^<>\n]{0,99}>){0,4}(?:[^\w\n]|_){0,20}"
    r"(?:(?:(?:part|section|note|field)[ ]?)?(?:\d{1,2}|[a-d]|i{1,3})[ ]?[.):–—-]{1,3})?(?:[^\w\n]|_){0,20}"
    r"(?:(?:the|your)[ ])?)"
)
_CLOSING = r"(?:[*_`\"'”’\]>)}]|</[a-z][^<>\n]{0,40}>|[ \t]){0,20}"
_TRAIL = (
    r"(?P<more>(?:[ \t]{0,3}\([^()\n]{0,80}\)|[ ](?:and|of|for|on|section)[ ][^:\n]{1,60}(?=[:：])"
    r"|[ ]\d{1,2}(?=[:：.])){0,2})"
    rf"(?P<mark>{_CLOSING})"
    r"(?P<separator>[:：=]|[–—-]{1,3}(?=\s)|\.(?=[*_]|\s*$)|(?=\s*$)|(?=\d{1,2}[.)]\s)|(?=[-•]\s))?"
    rf"(?P<after>{_CLOSING})"
)


def _heading(names: str) -> re.Pattern[str]:
    return re.compile(rf"{_LEAD}(?P<name>{names})(?![^\W_]){_TRAIL}", re.IGNORECASE)


_STRONG_HEADING = {field: _heading(names) for field, names in _STRONG.items()}
_WEAK_HEADING = {field: _heading(names) for field, names in _WEAK.items()}
_NAMED: dict[Field, re.Pattern[str]] = {field: re.compile(names, re.IGNORECASE) for field, names in _STRONG.items()}
_INSIDE_A_LINE = re.compile(
    r"(?:(?<=[.!?;)\]}\"”*>])[ \t]{1,9}(?=[*_#\d.)\s]{0,9}[LSAB])|(?<=\S)[ \t]{0,9}(?=\*\*[LSAB]|<[a-z]))"
    rf"(?=(?:<[a-z][^<>\n]{{0,99}}>|[*_#\d.)\s]){{0,9}}(?:(?i:{_ANY_STRONG})"
    r"[*_]{0,3}(?:</[a-z]\w{0,9}>)?[ \t]{0,3}[:：>*]"
    rf"|(?=[LSAB])(?i:{_ANY_STRONG})</[a-z]))"
    rf"|(?<=[.!?;])[ \t]{{1,9}}(?=(?:{_ANY_STRONG})[ \t]{{0,3}}[:：])"
)
"""Where a heading begins in the middle of a line: after the end of a sentence, a colon after it, or in marks of its own
and capitals."""
_FOREIGN = re.compile(
    r"[ \t]{0,3}#{0,6}[ \t]{0,3}[*_]{0,3}(?:the[ ])?"
    r"(?:(?:correct(?:ed)?|final|right|revised)[ ](?:answer|solution|reply|response|reasoning|calculation)s?"
    r"|answer|solution|conclusion|question|analysis|student'?s?[ ](?:\w{1,12}[ ])?(?:reply|answer|response))"
    r"[*_]{0,3}[ \t]{0,3}(?:[:：]|$)",
    re.IGNORECASE,
)
"""Headings of what a teacher was not asked for, and what does not belong in a note: it is about one question."""
_WRAPPERS = ("", "json", "markdown", "md", "text", "txt", "plaintext", "html", "xml", "yaml")
"""Languages of a code fence that is no more than a wrapper."""
_FAREWELL = re.compile(
    r"[ \t]*(?:i hope (?:this|these|that)|hope (?:this|these|that)|let me know|feel free|good luck|please let me|"
    r"by following these|is there anything)\b",
    re.IGNORECASE,
)
_FENCE = re.compile(r"[ \t]{0,9}(?:```|~~~)[ \t]{0,3}(?P<language>[\w+-]{0,20})[ \t]*$")
_RULE = re.compile(r"[ \t]*[=*_~-]{3,}[ \t]*")
"""A line drawn under a heading or between two notes."""
_WORD = re.compile(r"[^\W\d_]{2}")
_NOTHING = re.compile(r"[\W_]*(?:none|n\s?/\s?a|nothing|not applicable|nil|empty)?[\W_]*", re.IGNORECASE)
_LONGEST_NOTHING = 60
_NAMES_AS_LETTERS = ("learningsummary", "supplementaryknowledge")


def parse_analysis(text: str, truncated: bool = False) -> Analysis:
    """The notes in `text`. `truncated` says that the reply ended at its token limit. Never raises."""
    if not text.strip():
        return Analysis(None, None, "empty", "")
    reasoning, said, closed = split_reasoning(text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"))
    truncated = truncated or not closed
    pieces: list[Piece] = [(None, reasoning)] if reasoning else []
    pieces += _pieces(said)
    if truncated:
        pieces = _without_cut_heading(pieces)
    return _assembled(pieces, truncated)


def _pieces(said: str) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for begin, end, members in json_objects(said, lambda key: _field_named(key) is not None):
        named = [(_field_named(key), key, value) for key, value in members]
        if any(field for field, _, _ in named):
            found += _by_headings(said[at:begin])
            found += [(field, value) if field else (None, f"{key}: {value}") for field, key, value in named]
            at = end
    return found + _by_headings(said[at:])


def _field_named(key: str) -> Field | None:
    for patterns in (_STRONG, _WEAK):
        for field, names in patterns.items():
            if re.fullmatch(rf"[\W_]*(?:{names})[\W_]*", key[:80], re.IGNORECASE):
                return field
    return None


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a reply: a heading of `field` with the text on its line, the end of a note, or plain text."""

    kind: Literal["heading", "end", "text"]
    text: str
    field: Field | None = None
    beside: str = ""


def _by_headings(text: str) -> list[Piece]:
    """The notes of a text with headings, in their order, and what stands before, between and after."""
    lines = _INSIDE_A_LINE.sub(_broken_after_words, text).split("\n")
    read = [_read_strong(line) for line in lines]
    seen = {line.field for line in read}
    for field, pattern in _WEAK_HEADING.items():
        if field not in seen:
            read = [_read_weak(line, field, pattern) if line.kind == "text" else line for line in read]
    found: list[Piece] = []
    current: Field | None = None
    body: list[str] = []
    for line in _without_wrapping_fences(read):
        if line.kind == "text":
            body.append(line.text)
            continue
        found.append((current, "\n".join(body)))
        found.append((None, line.beside))
        current, body = line.field, [line.text]
    found.append((current, "\n".join(body)))
    return [part for piece in found for part in _without_farewell(piece)]


def _broken_after_words(match: re.Match[str]) -> str:
    """A line break, unless what stands before on the line is a bullet or a number: then the heading begins there."""
    before = match.string[max(0, match.start() - 40) : match.start()].rpartition("\n")[2]
    return "\n" if _WORD.search(before) else match.group()


def _read_strong(line: str) -> _Line:
    for field, pattern in _STRONG_HEADING.items():
        match = pattern.match(line)
        if match is None:
            continue
        if match["lead"].rstrip().endswith("</"):
            return _Line("end", line[match.end() :])
        other: Field = "supplementary" if field == "summary" else "summary"
        marked = bool(set("*_>#") & set(match["mark"] + match["after"])) and bool(match["lead"].strip())
        if (match["separator"] is not None or marked) and not _NAMED[other].search(match["more"]):
            return _Line("heading", line[match.end() :], field, match["more"].strip(" \t()"))
    return _Line("end", line) if _FOREIGN.match(line) else _Line("text", line)


def _read_weak(line: _Line, field: Field, pattern: re.Pattern[str]) -> _Line:
    match = pattern.match(line.text)
    if match is None or match["separator"] not in (":", "：", ""):
        return line
    return _Line("heading", line.text[match.end() :], field, match["more"].strip(" \t()"))


def _without_wrapping_fences(lines: list[_Line]) -> list[_Line]:
    """The lines without a code fence around the notes; one inside a note is part of it."""
    kept: list[_Line] = []
    following = [line for line in lines if line.kind != "text" or line.text.strip()]
    next_kind = {id(line): after.kind for line, after in pairwise(following)}
    wrapped = inner = False
    for line in lines:
        fence = _FENCE.match(line.text) if line.kind == "text" else None
        if fence is None:
            kept.append(line)
        elif not (wrapped or inner) and _wraps(line.text) and next_kind.get(id(line)) == "heading":
            wrapped = True
        elif wrapped and not inner and not fence["language"]:
            wrapped = False
            kept.append(_Line("end", ""))
        else:
            inner = not inner
            kept.append(line)
    return kept


def _wraps(line: str) -> bool:
    fence = _FENCE.match(line)
    return fence is not None and fence["language"].lower() in _WRAPPERS


def _without_farewell(piece: Piece) -> list[Piece]:
    """A note, and apart from it the closing words a model adds for politeness."""
    field, text = piece
    kept, _, last = text.rstrip().rpartition("\n")
    return [(field, kept), (None, last)] if field and _FAREWELL.match(last) else [piece]


def _without_cut_heading(pieces: list[Piece]) -> list[Piece]:
    """A reply may be cut inside a heading: what there is of it belongs to no note."""
    if not pieces:
        return pieces
    field, text = pieces[-1]
    kept, _, last = text.rstrip().rpartition("\n")
    letters = re.sub(r"[\W\d_]+", "", last[:60]).casefold()
    if field and len(letters) > 3 and any(name.startswith(letters) for name in _NAMES_AS_LETTERS):
        return [*pieces[:-1], (field, kept), (None, last)]
    return pieces


def _assembled(pieces: list[Piece], truncated: bool) -> Analysis:
    notes: dict[Field | None, list[str]] = {"summary": [], "supplementary": [], None: []}
    for field, text in pieces:
        body = _body(text)
        if not body.strip() or (not any(c.isalnum() for c in body) and field is None):
            continue
        if field and len(body) <= _LONGEST_NOTHING and _NOTHING.fullmatch(body):
            field = None
        if field is None:
            body = "\n".join(line for line in body.split("\n") if not _wraps(line)).strip("\n")
        if body and body not in notes[field]:
            notes[field].append(body)
    summary, supplementary = ("\n\n".join(notes[f]).strip() or None for f in ("summary", "supplementary"))
    leftover = "\n\n".join(notes[None])
    return Analysis(summary, supplementary, _outcome(summary, supplementary, leftover, truncated), leftover)


def _body(text: str) -> str:
    """`text` without blank and drawn lines at its ends, and without white space at the ends of its lines."""
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and (not lines[0] or _RULE.fullmatch(lines[0])):
        del lines[0]
    while lines and (not lines[-1] or _RULE.fullmatch(lines[-1])):
        del lines[-1]
    return "\n".join(lines)


def _outcome(summary: str | None, supplementary: str | None, leftover: str, truncated: bool) -> Outcome:
    if truncated:
        return "truncated"
    if summary and supplementary:
        return "both"
    if summary or supplementary:
        return "summary_only" if summary else "supplementary_only"
    return "unstructured" if leftover else "empty"
