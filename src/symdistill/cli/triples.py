"""`symdistill triples …`: make, read, query, check, review and exchange a knowledge graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.display import visible
from symdistill.cli.options import existing, who
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
from symdistill.cli.triples_review import decide_by_options, review_command, review_on_terminal
from symdistill.cli.triples_text import figures_text, graph_text, validation_text
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.figures import counted
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.triples import Batch, Contents, Schema, load_schema, read_triples, write_triples
from symdistill.knowledge.triples.duplicates import NEAR, deduplicate
from symdistill.knowledge.triples.exchange import ENDINGS, in_batch, write_provenance
from symdistill.knowledge.triples.records import Triple
from symdistill.knowledge.triples.review import Decision, now, review_queue, standings
from symdistill.knowledge.triples.splits import split_by_head
from symdistill.knowledge.triples.store import TripleStore, schema_at
from symdistill.knowledge.triples.subset import worth
from symdistill.knowledge.triples.validate import Validation, validate
from symdistill.runs.graphs import store_of_graph, stored_replies

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
    """Add files of triples to a graph. Where one of them has a bad line nothing is added."""
    own = schema_at(graph_directory(graph), load_schema(schema) if schema else None)
    contents = []
    for file in files:  # all of them before there is a graph
        read = in_batch(read_triples(file), Batch(batch or file.name, "import", used=file.name, at=now()))
        for triple, place in zip(read.triples, read.places, strict=True):
            own.relation(triple.relation, f"{file}, {place}" if place else str(file))
        contents.append(read)
    store = TripleStore(graph_directory(graph), own)
    for file, read in zip(files, contents, strict=True):
        triples: Sequence[Triple] = read.triples
        repeated = 0
        if distinct:
            there = {t.id: t for t in store.triples()}
            new = deduplicate([t for t in triples if t.id not in there], known=there.values()).kept
            kept = there.keys() | {t.id for t in new}
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
    replies: Annotated[
        Path | None,
        typer.Option("--store", help="Where the teacher's replies are.  [default: the store of the graph's run]"),
    ] = None,
    near: Near = NEAR,
    seconds: Seconds = 120.0,
    memory: Memory = 4096,
    most: Annotated[int, typer.Option("--show", help="Findings of each kind to show.", min=0)] = 5,
) -> None:
    """Find schema violations, conflicts, contradictions, duplicates and missing provenance.

    What reviewers rejected is left out; what they accepted goes before all else in the consistent subset.
    """
    given, own, store = _open(source, schema)
    decisions = store.decisions() if store else []
    contents = _standing(given, decisions)
    kept_in = existing(replies, "store", "store.sqlite") if replies else store_of_graph(store.path) if store else None
    found = _validated(
        contents, own, store, decisions, store_of_replies=kept_in, near=near, bounds=Bounds(seconds, memory)
    )
    typer.echo(validation_text(found, contents.triples, most))
    _tell_rejected(given, contents)
    if report is not None:
        _write_findings(report, found)
        typer.echo(f"Wrote {counted(len(found.findings), 'finding')} to {report}.")
    if keep is not None:
        if found.consistent is None:
            raise DataError("There is no consistent subset to write.", "Allow more --seconds or --memory.")
        surest: dict[str, Triple] = {}
        for triple in sorted(contents.triples, key=worth, reverse=True):
            surest.setdefault(triple.id, triple)
        # A file may hold a triple several times; its surest line is the one that was weighed.
        kept = [surest[key] for key in dict.fromkeys(t.id for t in contents.triples) if key in found.consistent]
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
) -> None:
    """Judge triples, the most doubtful with the most depending on them first, and a random slice beside.

    One by one on a terminal; elsewhere the queue is listed, and --accept, --reject and --unsure decide, with the
    --audit and --size that it was listed with.
    """
    store = existing_graph(graph)
    reviewer = who(by)
    given = {"accept": accept or [], "reject": reject or [], "unsure": unsure or []}
    named = {key for keys in given.values() for key in keys}
    contents, decisions = store.contents(), store.decisions()
    found = _validated(_standing(contents, decisions), store.schema, None, decisions, near=None, bounds=Bounds())
    for line in found.notes:
        typer.echo(visible(line), err=True)
    queue = review_queue(
        contents.triples,
        [d for d in decisions if d.triple not in named],
        reviewer=reviewer,
        conflicts=found.conflicts_of(),
        size=size,
        audit_share=audit,
    )
    if named:
        decide_by_options(store, contents.triples, queue, given, reviewer, note)
    else:
        review_on_terminal(store, queue, reviewer, note, review_command(graph, by=by, size=size, audit=audit))


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
    decisions = store.decisions() if store else []
    found = _validated(_standing(contents, decisions), own, store, decisions, near=near, bounds=Bounds(seconds))
    typer.echo(graph_text(contents, own, store))
    typer.echo(figures_text(contents, found, decisions, known, seed=seed))


@app.command("verbalise")
def verbalise(
    source: Source,
    schema: SchemaName = None,
    relation: Annotated[str | None, typer.Option(help="Only this relation.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
) -> None:
    """Write triples as sentences, one a line. What reviewers rejected is left out."""
    given, own, store = _open(source, schema)
    if relation is not None:
        own.relation(relation)
    contents = _standing(given, store.decisions() if store else [])
    _tell_rejected(given, contents)
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
    """Divide triples by their heads: no head stands on two sides. What reviewers rejected is left out."""
    if train + dev > 1:
        raise ConfigError("--train and --dev are more than all heads together.", "Make them 1 or less together.")
    given, _, store = _open(source)
    contents = _standing(given, store.decisions() if store else [])
    sides = split_by_head(contents.triples, {"train": train, "dev": dev, "test": 1 - train - dev}, seed=seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make {folder}: {error.strerror or error}.", "Choose another folder.") from None
    for name, triples in sides.items():
        write_triples(folder / f"{name}.jsonl", triples, contents.batches)
        heads = len({t.fact[0] for t in triples})
        typer.echo(f"{folder / name}.jsonl: {counted(len(triples), 'triple')} of {counted(heads, 'head')}.")
    _tell_rejected(given, contents)


@app.command("schema")
def schema_(name: Annotated[str, typer.Argument(help="A schema that ships, or a file to check.")] = "atomic") -> None:
    """Print a schema, to start one of your own from."""
    typer.echo(load_schema(name).text.rstrip("\n"))


def _open(source: Path, schema: str | None = None) -> tuple[Contents, Schema, TripleStore | None]:
    store = found_graph(source)
    if store is None:
        return read_triples(source), load_schema(schema or "atomic"), None
    return store.contents(), load_schema(schema) if schema else store.schema, store


def _standing(contents: Contents, decisions: Sequence[Decision]) -> Contents:
    """The contents without what reviewers rejected."""
    judged = standings(decisions)
    left = tuple(t for t in contents.triples if judged.get(t.id) != "rejected")
    return Contents(left, contents.batches)


def _tell_rejected(given: Contents, left: Contents) -> None:
    if rejected := len(given.triples) - len(left.triples):
        typer.echo(f"{counted(rejected, 'triple')} that reviewers rejected left out.", err=True)


def _validated(
    contents: Contents,
    schema: Schema,
    store: TripleStore | None,
    decisions: Sequence[Decision],
    *,
    store_of_replies: Path | None = None,
    near: float | None,
    bounds: Bounds,
) -> Validation:
    """Provenance is only asked for where something is known of it: in a graph, and in files that describe batches."""
    batches = contents.batches if store is not None or contents.batches else None
    replies = stored_replies(store_of_replies, contents) if store_of_replies else None
    accepted = {key for key, standing in standings(decisions).items() if standing == "accepted"}
    return validate(
        contents.triples, schema, batches=batches, replies=replies, accepted=accepted, near=near, bounds=bounds
    )


def _write_findings(path: Path, found: Validation) -> None:
    lines = (
        json.dumps({"kind": f.kind, "triples": f.triples, "why": f.why}, ensure_ascii=False) for f in found.findings
    )
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}.", "Choose another place.") from None
