"""SPARQL over a graph, within limits of time, memory and rows.

A query runs in a process of its own and reads only: SPARQL updates are no queries, and `SERVICE`, which would ask
another machine, is refused.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from symdistill.errors import DataError
from symdistill.knowledge.bounded import Bounds, values_of

MOST_ROWS = 1_000

_FORMS = "Queries only read: SELECT, ASK, CONSTRUCT or DESCRIBE, after the prefixes."
_WORKER = Path(__file__).with_name("sparql_worker.py")
_QUOTED = re.compile(
    r"\\."
    r'|"""(?:[^"\\]|\\.|"(?!""))*"""'
    r"|'''(?:[^'\\]|\\.|'(?!''))*'''"
    r'|"(?:[^"\\\n\r]|\\.)*"'
    r"|'(?:[^'\\\n\r]|\\.)*'"
    r"|<[^<>\"{}|^`\\\x00-\x20]*>"
    r"|#[^\n\r]*",
    re.DOTALL,
)
"""Strings, IRIs, comments and escaped characters: what holds no keyword."""
_SERVICE = re.compile(r"(?<![\w:?$@%-])service(?![\w:-])", re.IGNORECASE)
_CODEPOINT = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in an answer."""

    kind: Literal["iri", "literal", "blank"]
    value: str
    datatype: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query found. `answer` is that of an ASK; the rows of CONSTRUCT are subject, predicate and object.

    `complete` is false where there were more than the rows that were allowed. `seconds` leave out the start of the
    process and, of a file, its loading.
    """

    form: Literal["select", "construct", "ask"]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell | None, ...], ...] = ()
    answer: bool | None = None
    complete: bool = True
    seconds: float = 0.0


def ask(
    query: str,
    *,
    prefixes: dict[str, str],
    directory: Path | None = None,
    file: Path | None = None,
    rows: int = MOST_ROWS,
    bounds: Bounds | None = None,
) -> QueryResult:
    """Ask the store in `directory` (see `store.TripleStore`), or the N-Quads in `file`. All graphs are one to the query
    unless it names them.

    Raises:
        DataError: the query is not valid SPARQL, or asks another machine (`SERVICE`).
        LimitReached: it ran out of time or memory.
    """
    if calls_elsewhere(query):
        raise DataError("The query asks another machine (SERVICE), which is not done.", "Take that part out.")
    job = {
        "query": query,
        "prefixes": prefixes,
        "directory": str(directory) if directory else None,
        "file": str(file) if file else None,
    }
    columns: tuple[str, ...] = ()
    form: Literal["select", "construct", "ask"] = "select"
    found: list[tuple[Cell | None, ...]] = []
    started = time.perf_counter()
    values = values_of(_WORKER, job, bounds or Bounds(), "The query")
    try:
        for value in values:
            if isinstance(value, list):
                if len(found) == rows:
                    return QueryResult(form, columns, tuple(found), None, False, time.perf_counter() - started)
                found.append(tuple(_cell(cell) for cell in value))
            elif "ready" in value:
                started = time.perf_counter()
            elif "error" in value:
                raise DataError(f"The query cannot be answered: {_told(value['error'])}.", _FORMS)
            elif "answer" in value:
                return QueryResult("ask", answer=value["answer"], seconds=time.perf_counter() - started)
            else:
                columns, form = tuple(value["columns"]), value["form"]
    finally:
        values.close()  # type: ignore[attr-defined]
    return QueryResult(form, columns, tuple(found), None, True, time.perf_counter() - started)


def calls_elsewhere(query: str) -> bool:
    """Does a query use SERVICE? Escaped letters are letters."""
    plain = _CODEPOINT.sub(lambda found: _character(found[1] or found[2]), query)
    return any(_SERVICE.search(_QUOTED.sub(" ", text)) for text in (query, plain))


def _character(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number < 0x110000 else " "


def _cell(cell: Any) -> Cell | None:
    return Cell(*cell) if cell else None


def _told(message: str) -> str:
    return " ".join(message.split()).rstrip(".")[:300]
