"""Answer-set programmes, solved by clingo within limits of time and memory. Needs clingo."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from symdistill.errors import DataError, LimitReached, PrerequisiteError
from symdistill.knowledge.bounded import Bounds, values_of

__all__ = ["Atom", "Model", "Solved", "asp_string", "solve", "solve_each"]

_WORKER = Path(__file__).with_name("worker.py")
_STRING_OR_COMMENT = re.compile(r""""(?:[^"\\\n]|\\["\\n])*"|%\*.*|%[^\r\n]*""", re.DOTALL)
_REACHES_OUT = re.compile(r"#\s*(?:script|include)\b")

Atom = tuple[str, tuple[int | str, ...]]
"""A shown atom: its name and its arguments; an argument that is a term of its own is written out."""


@dataclass(frozen=True, slots=True)
class Model:
    """An answer set: its shown atoms, and its cost at each priority where something is optimised."""

    atoms: tuple[Atom, ...]
    cost: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Solved:
    """The outcome of a programme.

    `models` are in the order they were found: while optimising each is better than the one before. `finished` says
    that the search came to its end (all models that were asked for, or the best one); else `limit` says what ended it.
    """

    models: tuple[Model, ...]
    satisfiable: bool | None
    finished: bool
    limit: LimitReached | None = field(default=None, compare=False)


def solve(
    program: str, *, arguments: Sequence[str] = (), bounds: Bounds | None = None, what: str = "The programme"
) -> Solved:
    """Solve a programme; `arguments` are clingo's (`0` for all models, …). Raises as `solve_each`.

    Where a bound ends the search, what was found before it stands in the outcome.
    """
    return solve_each([program], arguments=arguments, bounds=bounds, what=what)[0]


def solve_each(
    programs: Sequence[str],
    *,
    arguments: Sequence[str] = (),
    bounds: Bounds | None = None,
    what: str = "The programme",
) -> list[Solved]:
    """Solve several programmes one after the other within one bound; those it did not come to have no models.

    Raises:
        DataError: a programme is wrong, or reaches out of itself (`#script`, `#include`).
        PrerequisiteError: clingo is not installed.
    """
    if find_spec("clingo") is None:
        raise PrerequisiteError("Checking consistency needs clingo.", "pip install 'symdistill[kg]'")
    if any(_REACHES_OUT.search(_without_strings(program)) for program in programs):
        raise DataError(f"{what} uses #script or #include, which is not done.", "Write it without.")
    models: list[list[Model]] = [[] for _ in programs]
    ends: list[tuple[bool, bool | None]] = [(False, None) for _ in programs]
    at, limit = 0, None
    try:
        job = {"programs": list(programs), "arguments": list(arguments)}
        for value in values_of(_WORKER, job, bounds or Bounds(), what):
            if "programme" in value:
                at = value["programme"]
            elif "error" in value:
                told = " ".join(value["error"].split())[:300].rstrip(".")
                raise DataError(f"{what} is no answer-set programme: {told}.", "Correct it.")
            elif "model" in value:
                atoms = tuple((name, tuple(terms)) for name, terms in value["model"])
                models[at].append(Model(atoms, tuple(value["cost"])))
            elif "finished" in value:
                ends[at] = True, value["satisfiable"]
    except LimitReached as reached:
        limit = reached
    return [
        Solved(tuple(found), True if found and satisfiable is None else satisfiable, finished, limit)
        for found, (finished, satisfiable) in zip(models, ends, strict=True)
    ]


def _without_strings(program: str) -> str:
    """The programme with its strings empty.

    A quotation mark in a comment begins no string. Where a block comment ends is clingo's to say (they nest), so from
    the first one on everything stays.
    """
    return _STRING_OR_COMMENT.sub(lambda found: '""' if found[0].startswith('"') else found[0], program)


def asp_string(text: str) -> str:
    """`text` as a string of a programme. A null character, which would end the programme, is written as U+FFFD."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\ufffd")
    return f'"{escaped}"'
