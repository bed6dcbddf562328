"""`symdistill triples query`: SPARQL over a graph or a file, and its answer as a table, JSON or TSV."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from symdistill.cli.display import one_line, visible
from symdistill.cli.triples_options import Memory, Seconds, Source, found_graph
from symdistill.errors import ConfigError
from symdistill.evaluation.figures import counted
from symdistill.evaluation.tables import plain_text
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import read_triples
from symdistill.knowledge.triples.query import MOST_ROWS, Cell, QueryResult
from symdistill.knowledge.triples.store import query_contents
from symdistill.tasks.files import read_text


def query(
    source: Source,
    sparql: Annotated[str | None, typer.Argument(help="The query; - reads it from standard input.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with the query.")] = None,
    rows: Annotated[int, typer.Option(help="Rows at most.", min=1)] = MOST_ROWS,
    seconds: Seconds = 30.0,
    memory: Memory = 4096,
    form: Annotated[
        Literal["table", "json", "tsv"], typer.Option("--format", help="How to show the answer.")
    ] = "table",
) -> None:
    """Ask a SPARQL query. The prefixes node, rel, batch, triple, source, activity, sd, prov, rdf, rdfs and
    xsd are known.

    For example: SELECT ?tail { ?t sd:headText "PersonX is late" ; rdf:predicate rel:xWant ; sd:tailText ?tail }
    """
    if (sparql is None) == (file is None):
        raise ConfigError("A query is wanted, once.", "Give it as an argument, or name a file with --file.")
    if file is not None:
        text = read_text(file, "--file")
    else:
        text = typer.get_text_stream("stdin", encoding="utf-8").read() if sparql == "-" else str(sparql)
    bounds = Bounds(seconds, memory)
    store = found_graph(source)
    if store is not None:
        result = store.query(text, rows=rows, bounds=bounds)
    else:
        result = query_contents(read_triples(source), text, rows=rows, bounds=bounds)
    _show_result(result, form)


def _show_result(result: QueryResult, form: str) -> None:
    if form == "json":
        typer.echo(json.dumps(_sparql_json(result)))
    elif result.answer is not None:
        typer.echo("yes" if result.answer else "no")
    elif form == "tsv":
        typer.echo("\t".join(f"?{name}" for name in result.columns))
        for row in result.rows:
            typer.echo("\t".join(_plain(cell) for cell in row))
    else:
        table = [list(result.columns), *([one_line(_plain(cell), 60) for cell in row] for row in result.rows)]
        typer.echo(plain_text(table) if result.columns else f"{counted(len(result.rows), 'row')} without columns.")
    more = "" if result.complete else ", and there are more (--rows)"
    typer.echo(f"{counted(len(result.rows), 'row')} in {result.seconds:.3f} s{more}.", err=True)


def _sparql_json(result: QueryResult) -> dict[str, object]:
    """The W3C's JSON form of an answer."""
    if result.answer is not None:
        return {"head": {}, "boolean": result.answer}
    rows: Iterable[dict[str, object]] = (
        {name: _json_cell(cell) for name, cell in zip(result.columns, row, strict=True) if cell} for row in result.rows
    )
    return {"head": {"vars": list(result.columns)}, "results": {"bindings": list(rows)}}


def _json_cell(cell: Cell) -> dict[str, str]:
    kind = {"iri": "uri", "literal": "literal", "blank": "bnode"}[cell.kind]
    plain = cell.datatype.endswith(("#string", "#langString")) or not cell.datatype
    extra = {"xml:lang": cell.language} if cell.language else {} if plain else {"datatype": cell.datatype}
    return {"type": kind, "value": cell.value, **extra}


def _plain(cell: Cell | None) -> str:
    """A value for reading, on one line: IRIs of the graph by their prefixes."""
    if cell is None:
        return ""
    from symdistill.knowledge.triples.rdf import PREFIXES

    value = cell.value
    if cell.kind == "iri":
        value = next((f"{n}:{value[len(p) :]}" for n, p in PREFIXES.items() if value.startswith(p)), f"<{value}>")
    return " ".join(visible(value).split())
