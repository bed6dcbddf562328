"""`symdistill triples …`: make, read, query, check, review and exchange a knowledge graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.display import visible
from symdistill.cli.options import who
from symdistill.cli.triples_critic import critic as train_critic
from symdistill.cli.triples_critic import passing
from symdistill.cli.triples_generate import extract_triples, generate_triples
from symdistill.cli.triples_options import (
    By,
    Graph,
    Memory,
    Near,
    SchemaName,
    Seconds,
    Seed,
    Source,
    existing_graph,
    found_graph,
    graph_directory,
)
from symdistill.cli.triples_query import query
from symdistill.cli.triples_review import decide_by_options, review_on_terminal
from symdistill.cli.triples_text import figures_text, graph_text, validation_text
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.figures import counted
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import Batch, Contents, Schema, load_schema, read_triples, write_triples
from symdistill.knowledge.triples.duplicates import NEAR, deduplicate
from symdistill.knowledge.triples.exchange import ENDINGS, in_batch, write_provenance
from symdistill.knowledge.triples.records import Triple
from symdistill.knowledge.triples.review import now, review_queue, standings
from symdistill.knowledge.triples.splits import split_by_head
from symdistill.knowledge.triples.store import TripleStore
from symdistill.knowledge.triples.validate import Validation, validate

app = typer.Typer(help="Make, query, check, review and exchange a knowledge graph.", no_args_is_help=True)
app.command("generate")(generate_triples)
app.command("extract")(extract_triples)
app.command("critic")(train_critic)


@app.command("import")
def import_(
    graph: Annotated[Path, typer.Argument(help="The graph's directory, made where it is not there.")],
    files: Annotated[list[Path], typer.Argument(help=f"Files of triples ({', '.join(ENDINGS)}).")],
    schema: SchemaName = None,
    batch: Annotated[
        str | None, typer.Option(help="The batch of triples that name none.  [default: the file's name]")
    ] = None,
    distinct: Annotated[bool, typer.Option("--distinct", help="Leave out exact and near duplicates.")] = False,
) -> None:
    """Add files of triples to a graph. A file with one bad line is refused whole."""
    store = TripleStore(graph_directory(graph), load_schema(schema) if schema else None)
    for file in files:
        read = in_batch(read_triples(file), Batch(batch or file.name, "import", used=file.name, at=now()))
        for triple, place in zip(read.triples, read.places, strict=True):
            store.schema.relation(triple.relation, f"{file}, {place}" if place else str(file))
        triples: Sequence[Triple] = read.triples
        repeated = 0
        if distinct:
            found = deduplicate([*store.triples(), *triples])
            kept = {t.id for t in found.kept}
            repeated = sum(t.id not in kept for t in triples)
            triples = [t for t in triples if t.id in kept]
        done = store.add(triples, read.batches)
        notes = [
            f"{counted(done.new, 'new triple')} from {file.name}",
            *([f"{done.rescored:,} with another confidence"] if done.rescored else []),
            *([f"{done.unchanged:,} were there"] if done.unchanged else []),
            *([f"{counted(repeated, 'duplicate')} left out"] if repeated else []),
            *([f"{counted(read.nothing, 'tail')} said that there is none"] if read.nothing else []),
        ]
        typer.echo("; ".join(notes) + ".")


@app.command("export")
def export(
    source: Source,
    target: Annotated[Path, typer.Argument(help=f"The file to write ({', '.join(ENDINGS)}; with .gz packed).")],
    accepted: Annotated[bool, typer.Option("--accepted", help="Only what reviewers accepted.")] = False,
    distinct: Annotated[bool, typer.Option("--distinct", help="One triple of those that say the same.")] = False,
    relation: Annotated[list[str] | None, typer.Option(help="Only this relation; may be repeated.")] = None,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Where triples came from and who judged them, as W3C PROV.")
    ] = False,
    critic: Annotated[
        bool, typer.Option("--critic", help="Only what the graph's critic passes, with its probability as confidence.")
    ] = False,
) -> None:
    """Write triples to a file. What reviewers rejected is left out."""
    contents, schema, store = _open(source)
    for name in relation or ():
        schema.relation(name)
    decisions = store.decisions() if store else []
    judged = standings(decisions)
    wanted: Sequence[Triple] = [
        t
        for t in contents.triples
        if (not relation or t.relation in relation)
        and (provenance or judged.get(t.id) != "rejected")
        and (not accepted or judged.get(t.id) == "accepted")
    ]
    if critic:
        wanted = passing(source, list(wanted), schema)
    if distinct:
        wanted = deduplicate(wanted).kept
    if provenance:
        write_provenance(target, wanted, contents.batches, decisions)
        typer.echo(f"Wrote the provenance of {len(wanted):,} triples to {target}.")
        return
    count = write_triples(target, wanted, contents.batches)
    typer.echo(f"Wrote {counted(count, 'triple')} to {target}; {len(contents.triples) - count:,} were left out.")


app.command("query")(query)


@app.command("validate")
def validate_(
    source: Source,
    schema: SchemaName = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Write the largest consistent subset to this file.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write every finding to this .jsonl file.")] = None,
    near: Near = NEAR,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    most: Annotated[int, typer.Option("--show", help="Findings of each kind to show.", min=0)] = 5,
) -> None:
    """Find schema violations, conflicts, contradictions, duplicates and missing provenance."""
    contents, own, store = _open(source, schema)
    found = _validated(contents, own, store, near=near, bounds=Bounds(seconds, memory))
    typer.echo(validation_text(found, contents.triples, most))
    if report is not None:
        _write_findings(report, found)
        typer.echo(f"Wrote {counted(len(found.findings), 'finding')} to {report}.")
    if keep is not None:
        if found.consistent is None:
            raise DataError("There is no consistent subset to write.", "Allow more --seconds or --memory.")
        kept = [t for t in contents.triples if t.id in found.consistent]
        write_triples(keep, kept, contents.batches)
        typer.echo(f"Wrote {counted(len(kept), 'consistent triple')} to {keep}.")


@app.command("review")
def review(
    graph: Graph,
    accept: Annotated[list[str] | None, typer.Option(help="Accept this triple; may be repeated.")] = None,
    reject: Annotated[list[str] | None, typer.Option(help="Reject this triple; may be repeated.")] = None,
    unsure: Annotated[list[str] | None, typer.Option(help="Leave this triple open; may be repeated.")] = None,
    by: By = None,
    note: Annotated[str, typer.Option("--note", help="Why; kept with the decision.")] = "",
    size: Annotated[int, typer.Option(help="Triples in the queue.", min=1)] = 20,
    audit: Annotated[float, typer.Option(help="The share of it drawn at random.", min=0.0, max=1.0)] = 0.2,
    seed: Seed = 0,
) -> None:
    """Judge triples, the most doubtful with the most depending on them first, and a random slice beside.

    One by one on a terminal; elsewhere the queue is listed, and --accept, --reject and --unsure decide.
    """
    store = existing_graph(graph)
    reviewer = who(by)
    contents, decisions = store.contents(), store.decisions()
    found = _validated(contents, store.schema, None, near=None, bounds=Bounds())
    for line in found.notes:
        typer.echo(visible(line), err=True)
    queue = review_queue(
        contents.triples,
        decisions,
        reviewer=reviewer,
        conflicts=found.conflicts_of(),
        size=size,
        audit_share=audit,
        seed=seed,
    )
    given = {"accept": accept or [], "reject": reject or [], "unsure": unsure or []}
    if any(given.values()):
        decide_by_options(store, contents.triples, queue, given, reviewer, note)
    else:
        review_on_terminal(store, queue, reviewer, note, graph)


@app.command("stats")
def stats(
    source: Source,
    schema: SchemaName = None,
    reference: Annotated[
        Path | None, typer.Option(help="Known triples, to measure novelty and coverage against.")
    ] = None,
    near: Near = NEAR,
    seconds: Seconds = 120.0,
    seed: Seed = 0,
) -> None:
    """Measure a graph: size, diversity, agreement of reviewers, share accepted, novelty, coverage, contradictions."""
    contents, own, store = _open(source, schema)
    known = read_triples(reference) if reference else None
    found = _validated(contents, own, store, near=near, bounds=Bounds(seconds))
    decisions = store.decisions() if store else []
    typer.echo(graph_text(contents, own, store))
    typer.echo(figures_text(contents, found, decisions, known, seed=seed))


@app.command("verbalise")
def verbalise(
    source: Source,
    schema: SchemaName = None,
    relation: Annotated[str | None, typer.Option(help="Only this relation.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
) -> None:
    """Write triples as sentences, one a line."""
    contents, own, _ = _open(source, schema)
    if relation is not None:
        own.relation(relation)
    chosen = [t for t in contents.triples if relation in (None, t.relation)]
    for triple in chosen[:limit]:
        typer.echo(" ".join(visible(own.verbalise(triple)).split()))


@app.command("split")
def split(
    source: Source,
    folder: Annotated[Path, typer.Argument(help="Where train.jsonl, dev.jsonl and test.jsonl go.")],
    train: Annotated[float, typer.Option(help="Share of the heads.", min=0.0, max=1.0)] = 0.8,
    dev: Annotated[float, typer.Option(help="Share of the heads.", min=0.0, max=1.0)] = 0.1,
    seed: Seed = 0,
) -> None:
    """Divide triples by their heads: no head stands on two sides."""
    if train + dev > 1:
        raise ConfigError("--train and --dev are more than all heads together.", "Make them 1 or less together.")
    contents, _, _ = _open(source)
    sides = split_by_head(contents.triples, {"train": train, "dev": dev, "test": 1 - train - dev}, seed=seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make {folder}: {error.strerror or error}.", "Choose another folder.") from None
    for name, triples in sides.items():
        write_triples(folder / f"{name}.jsonl", triples, contents.batches)
        heads = len({t.fact[0] for t in triples})
        typer.echo(f"{folder / name}.jsonl: {counted(len(triples), 'triple')} of {counted(heads, 'head')}.")


@app.command("schema")
def schema_(name: Annotated[str, typer.Argument(help="A schema that ships, or a file to check.")] = "atomic") -> None:
    """Print a schema, to start one of your own from."""
    typer.echo(load_schema(name).text.rstrip("\n"))


def _open(source: Path, schema: str | None = None) -> tuple[Contents, Schema, TripleStore | None]:
    store = found_graph(source)
    if store is None:
        return read_triples(source), load_schema(schema or "atomic"), None
    return store.contents(), load_schema(schema) if schema else store.schema, store


def _validated(
    contents: Contents, schema: Schema, store: TripleStore | None, *, near: float | None, bounds: Bounds
) -> Validation:
    """Provenance is only asked for where something is known of it: in a graph, and in files that describe batches."""
    batches = contents.batches if store is not None or contents.batches else None
    return validate(contents.triples, schema, batches=batches, near=near, bounds=bounds)


def _write_findings(path: Path, found: Validation) -> None:
    lines = (
        json.dumps({"kind": f.kind, "triples": f.triples, "why": f.why}, ensure_ascii=False) for f in found.findings
    )
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}.", "Choose another place.") from None
