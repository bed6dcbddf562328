"""`symdistill triples generate|extract`: a teacher writes triples, or takes them out of texts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.display import Display
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.cli.tables import show_price
from symdistill.cli.triples_options import DryRun, SchemaName
from symdistill.cli.triples_text import outcome_text
from symdistill.evaluation.figures import counted
from symdistill.knowledge.triples import load_schema
from symdistill.runs.config import load_config
from symdistill.runs.directory import default_run_directory
from symdistill.runs.graphs import (
    Wanted,
    extract,
    generate,
    graph_of,
    price_extraction,
    price_generation,
    rationale_texts,
    read_heads,
    read_texts,
    schema_of_graph,
)
from symdistill.runs.workspace import Workspace, look_at, workspace


def generate_triples(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    schema: SchemaName = None,
    heads: Annotated[Path | None, typer.Option("--heads", help="A file of heads, one a line.")] = None,
    new_heads: Annotated[int, typer.Option(help="Heads the teacher adds to them.", min=0)] = 0,
    relation: Annotated[list[str] | None, typer.Option(help="Only this relation; may be repeated.")] = None,
    tails: Annotated[int, typer.Option(help="Tails asked for in one question.", min=1)] = 5,
    samples: Annotated[int, typer.Option(help="How often each question is put.", min=1)] = 1,
    dry_run: DryRun = False,
) -> None:
    """Have the teacher write triples: heads, then tails in each relation; they go into the run's graph."""
    wanted = Wanted(read_heads(heads, "--heads") if heads else (), new_heads, tuple(relation or ()), tails, samples)
    with _work(config, overrides, run_dir, look=dry_run) as work:
        own = schema_of_graph(work, load_schema(schema) if schema else None, wanted.relations)
        if dry_run:
            show_price(price_generation(work, own, wanted))
            return
        store = graph_of(work, own)
        outcome = generate(work, store, wanted)
    typer.echo(f"{counted(len(outcome.heads), 'head')}. {outcome_text(outcome, store.path)}")


def extract_triples(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    schema: SchemaName = None,
    text: Annotated[
        Path | None, typer.Option("--text", help="A .txt file, or rows with `text`.  [default: the run's rationales]")
    ] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Only this relation; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many texts.", min=1)] = None,
    dry_run: DryRun = False,
) -> None:
    """Have the teacher take triples out of texts, or of the run's rationales; they go into the run's graph."""
    with _work(config, overrides, run_dir, look=dry_run) as work:
        texts = read_texts(text, "--text") if text else rationale_texts(work)
        texts = dict(list(texts.items())[:limit])
        own = schema_of_graph(work, load_schema(schema) if schema else None, relation or ())
        if dry_run:
            show_price(price_extraction(work, own, texts, relation or ()))
            return
        store = graph_of(work, own)
        used = text.name if text else "rationales.jsonl"
        outcome = extract(work, store, texts, relation or (), used=used)
    typer.echo(f"{counted(len(texts), 'text')}. {outcome_text(outcome, store.path)}")


def _work(
    config: Path, overrides: list[str] | None, run_dir: Path | None, *, look: bool
) -> AbstractContextManager[Workspace]:
    """The run to work in, or only to look at."""
    loaded, directory = load_config(config, overrides or ()), run_dir or default_run_directory(config)
    return (
        look_at(loaded, directory, Display()) if look else workspace(loaded, directory, Display(), needs_method=False)
    )
