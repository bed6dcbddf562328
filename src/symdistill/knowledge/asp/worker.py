"""clingo programmes in a process of its own (see `symdistill.knowledge.bounded`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import clingo


def work(job: dict[str, Any]) -> Iterator[Any]:
    """Ground and solve each of `programs` with `arguments`, one after the other.

    Yields `{"ready": true}`; of each programme `{"programme": number}`, then `{"model": [[name, [argument, …]], …],
    "cost": […]}` for each model as it is found, and at its end `{"finished": true, "satisfiable": …}` or
    `{"error": …}`.
    """
    yield {"ready": True}
    for number, program in enumerate(job["programs"]):
        yield {"programme": number}
        yield from _solved(program, job["arguments"])


def _solved(program: str, arguments: list[str]) -> Iterator[Any]:
    said: list[str] = []
    control = clingo.Control(arguments, logger=lambda _, message: said.append(message), message_limit=20)
    try:
        control.add("base", [], program)
        control.ground([("base", [])])
    except RuntimeError as error:
        yield {"error": "; ".join(said) or str(error)}
        return
    with control.solve(yield_=True) as handle:
        for model in handle:
            atoms = [[symbol.name, [_value(a) for a in symbol.arguments]] for symbol in model.symbols(shown=True)]
            yield {"model": atoms, "cost": list(model.cost)}
        result = handle.get()
        yield {"finished": True, "satisfiable": result.satisfiable}


def _value(symbol: Any) -> int | str:
    if symbol.type == clingo.SymbolType.Number:
        return int(symbol.number)
    return str(symbol.string) if symbol.type == clingo.SymbolType.String else str(symbol)
