"""One SPARQL query in a process of its own (see `symdistill.knowledge.bounded`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyoxigraph as ox


def work(job: dict[str, Any]) -> Iterator[Any]:
    """Ask `query` of the store in `directory`, or of the N-Quads in `file`.

    Yields `{"ready": true}`, then `{"answer": …}` for ASK, or `{"columns": […], "form": …}` and a list of cells a
    row; `{"error": …}` where the query is wrong. A cell is null or [kind, value, datatype, language].
    """
    if job.get("directory"):
        store = ox.Store.read_only(job["directory"])
    else:
        store = ox.Store()
        store.bulk_load(path=job["file"], format=ox.RdfFormat.N_QUADS)
    yield {"ready": True}
    try:
        result = store.query(job["query"], prefixes=job["prefixes"], use_default_graph_as_union=True)
        if isinstance(result, ox.QueryBoolean):
            yield {"answer": bool(result)}
        elif isinstance(result, ox.QuerySolutions):
            names = [variable.value for variable in result.variables]
            yield {"columns": names, "form": "select"}
            for solution in result:
                yield [_cell(solution[name]) for name in names]
        else:
            yield {"columns": ["subject", "predicate", "object"], "form": "construct"}
            for triple in result:
                yield [_cell(triple.subject), _cell(triple.predicate), _cell(triple.object)]
    except SyntaxError as error:
        yield {"error": str(error)}
    except (OSError, ValueError, RuntimeError) as error:
        yield {"error": str(error)}


def _cell(term: Any) -> list[str] | None:
    if term is None:
        return None
    if isinstance(term, ox.NamedNode):
        return ["iri", term.value, "", ""]
    if isinstance(term, ox.Literal):
        return ["literal", term.value, term.datatype.value, term.language or ""]
    return ["blank", getattr(term, "value", str(term)), "", ""]
