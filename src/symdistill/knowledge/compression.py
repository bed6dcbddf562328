"""Notes made shorter by leaving out what a language model expects anyway: scores in, text out; no model here.

The built-in compressor of SKIntern's progressive internalisation, in the manner of LLMLingua (Jiang et al. 2023) and
Selective Context (Li et al. 2023): every token has a self-information, -ln p(token | what stands before it), and the
tokens that carry least go first. What goes or stays as a whole is a *unit*: a word with its punctuation, a number, or
a formula with all its operands; its score is the mean of its tokens'.

Units are ranked once, over all the texts that are compressed together, and a rate keeps a beginning of that ranking.
So what is kept at one rate is kept at every higher rate, and the share of tokens is the nearest to the rate that whole
units allow.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

Compress = Callable[[Sequence[str], float], list[str]]
"""Texts that stand together, and the share of their tokens to keep (0 to 1), to the texts that are left."""

Token = tuple[int, int, float]
"""Begin and end in a text, and self-information in nats."""

_CHUNK = re.compile(r"[^\s。，；：、！？]+[。，；：、！？]*|[。，；：、！？]+")
_DELIMITED = re.compile(
    r"\$\$[^$]{1,400}\$\$|\$(?!\s)[^$\n]{1,200}(?<!\s)\$|`[^`\n]{1,200}`"
    r"|\\\([^\n]{1,200}?\\\)|\\\[[^\]]{1,400}?\\\]"
)
"""LaTeX and code between their marks."""
_MARKER = re.compile(r"(?:\(?\d{1,3}[.)]|[-*•–#]{1,6})\Z")
"""The mark of a list's entry or of a heading."""
_RELATION = frozenset("=≈≠≤≥<>≡∝→⇒")
_STRONG = frozenset("+×÷^·±")
_WEAK = frozenset("-–−*/%")
"""Operators only between numbers, single letters and brackets: in prose they are dashes and marks."""
_MATHEMATICAL = re.compile(r"[^\W_]\W*\Z|\W*\d|.*[\d()^]", re.ASCII)
_CLAUSE_END = re.compile(r"[.,;:!?。，；：、！？][)\]\"'”’*]*\Z")
_REACH = 4
"""Words on each side of a relation that belong to it at most: `average speed = total distance / total time`."""
_GROUP = re.compile(r"\d{3}(?:[.,]\d+)?\W*\Z|\d+/\d+\W*\Z")
"""The rest of a number that is written with a space: 10 000, 1 1/2."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a text that is kept or left out as a whole, the tokens in it, and their mean self-information."""

    start: int
    end: int
    tokens: int
    information: float


def spans(text: str) -> list[tuple[int, int]]:
    """Begin and end of every unit. Together they hold all of `text` but white space."""
    chunks = _merged([m.span() for m in _CHUNK.finditer(text)], [m.span() for m in _DELIMITED.finditer(text)])
    lines: list[list[tuple[int, int]]] = []
    for start, end in chunks:
        if not lines or "\n" in text[lines[-1][-1][1] : start]:
            lines.append([])
        lines[-1].append((start, end))
    found: list[tuple[int, int]] = []
    for line in lines:
        joined = _joined([text[a:b] for a, b in line])
        for place, (start, end) in enumerate(line):
            if place and joined[place - 1]:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
    return found


def measured(text: str, tokens: Sequence[Token]) -> tuple[Unit, ...]:
    """The units of `text` with what its `tokens`, in order, say about them.

    A token belongs to the unit its first visible character stands in. A unit without a token of its own has one, of no
    information.
    """
    places = spans(text)
    starts = [start for start, _ in places]
    held: list[list[float]] = [[] for _ in places]
    for start, end, information in tokens:
        visible = next((at for at in range(start, end) if not text[at].isspace()), None)
        at = bisect_left(starts, start) if visible is None else bisect_right(starts, visible) - 1
        if places:
            held[min(max(at, 0), len(places) - 1)].append(information)
    return tuple(
        Unit(start, end, max(1, len(own)), sum(own) / len(own) if own else 0.0)
        for (start, end), own in zip(places, held, strict=True)
    )


def compressed(texts: Sequence[str], units: Sequence[Sequence[Unit]], rate: float) -> list[str]:
    """`texts` with `rate` of their tokens, together: 1 is every text as it is, 0 is no text.

    `units` are those of `measured` for each text. Deterministic: of equal scores the unit that stands first goes last.
    """
    if rate >= 1:
        return list(texts)
    ranked = sorted(
        ((-unit.information, which, unit.start, unit) for which, own in enumerate(units) for unit in own),
        key=lambda entry: entry[:3],
    )
    sums = [0, *accumulate(entry[3].tokens for entry in ranked)]
    wanted = max(rate, 0.0) * sums[-1]
    count = min(range(len(sums)), key=lambda n: (abs(sums[n] - wanted), n))
    kept: list[list[Unit]] = [[] for _ in texts]
    for _, which, _, unit in ranked[:count]:
        kept[which].append(unit)
    return [_text_of(text, sorted(own, key=lambda u: u.start)) for text, own in zip(texts, kept, strict=True)]


def _text_of(text: str, kept: Sequence[Unit]) -> str:
    """The kept units in their order: a line break where one stood between two of them, else a space."""
    parts: list[str] = []
    before = 0
    for unit in kept:
        gap = text[before : unit.start]
        if parts:
            parts.append(gap if not gap or gap.isspace() else "\n" if "\n" in gap else " ")
        parts.append(text[unit.start : unit.end])
        before = unit.end
    return "".join(parts)


def _joined(chunks: Sequence[str]) -> list[bool]:
    """For each chunk of a line whether it belongs together with the next."""
    joined = [False] * len(chunks)
    last = len(chunks) - 1
    for i, chunk in enumerate(chunks):
        if i == 0 and last and _MARKER.match(chunk):
            joined[0] = True
        elif i and not any(c.isalnum() for c in chunk) and not _operates(chunks, i):
            joined[i - 1] = True
        if i < last and chunk.lstrip("($").isdigit() and _GROUP.match(chunks[i + 1]):
            joined[i] = True
        if 0 < i < last and _operates(chunks, i):
            joined[i - 1] = joined[i] = True
        signs = _RELATION | _STRONG
        if i < last and len(chunk) > 1 and chunk[-1] in signs:
            joined[i] = True
        if i and len(chunk) > 1 and chunk[0] in _RELATION:
            joined[i - 1] = True
        if chunk[0] in _RELATION or chunk[-1] in _RELATION:
            _reach(chunks, i, joined)
    return joined[:last] if chunks else []


def _operates(chunks: Sequence[str], i: int) -> bool:
    """Whether chunk `i` is an operator between two others."""
    if not 0 < i < len(chunks) - 1 or not set(chunks[i]) <= _RELATION | _STRONG | _WEAK:
        return False
    if i == 1 and _MARKER.match(chunks[0]) and not chunks[0][:1].isdigit():
        return False
    sides = (chunks[i - 1], chunks[i + 1])
    return not set(chunks[i]) <= _WEAK or all(_MATHEMATICAL.match(side) for side in sides)


def _reach(chunks: Sequence[str], i: int, joined: list[bool]) -> None:
    """Join a relation with the words of its clause on both sides, `_REACH` of them at most."""
    begin, words = i, 0
    while begin > max(0, i - 2 * _REACH) and not _CLAUSE_END.search(chunks[begin - 1]):
        words += any(c.isalnum() for c in chunks[begin - 1])
        if words > _REACH:
            break
        begin -= 1
    end, words = i, 0
    while end < min(len(chunks) - 1, i + 2 * _REACH) and not _CLAUSE_END.search(chunks[end]):
        words += any(c.isalnum() for c in chunks[end + 1])
        if words > _REACH:
            break
        end += 1
    joined[begin:end] = [True] * (end - begin)


def _merged(found: Sequence[tuple[int, int]], delimited: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Chunks that overlap one delimited stretch, put together."""
    units: list[tuple[int, int]] = []
    at = 0
    for start, end in found:
        while at < len(delimited) and delimited[at][1] <= start:
            at += 1
        if units and at < len(delimited) and delimited[at][0] < units[-1][1]:
            units[-1] = (units[-1][0], end)
        else:
            units.append((start, end))
    return units
