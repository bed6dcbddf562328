"""`symdistill triples critic`: a classifier that learns from labels which triples are good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.triples_options import Graph, SchemaName, Seed, existing_graph, graph_directory
from symdistill.errors import ConfigError
from symdistill.evaluation.report_critic import critic_text
from symdistill.knowledge.triples import Triple, load_schema
from symdistill.knowledge.triples.schema import Schema
from symdistill.runs.critics import check_features, score_triples, train_critic
from symdistill.runs.validation import validated
from symdistill.students.settings import StudentSettings
from symdistill.training.critic import Critic
from symdistill.training.critic_features import OF_STUDENTS
from symdistill.training.critic_labels import labels_of_decisions, read_triple_labels
from symdistill.training.settings import CriticSettings


def critic(
    graph: Graph,
    labels: Annotated[
        Path | None,
        typer.Option(help="JSON lines with head, relation, tail and label.  [default: what reviewers decided]"),
    ] = None,
    features: Annotated[str, typer.Option(help="words, an encoder's directory, student or likelihood.")] = "words",
    layers: Annotated[str, typer.Option(help="Of a student: mean of all layers, or last.")] = "mean",
    student: Annotated[
        str | None, typer.Option(help="The model behind the latter two.  [default: smollm2-135m]")
    ] = None,
    recall: Annotated[float, typer.Option(help="Share of the good validation labels that passes.")] = 0.5,
    threshold: Annotated[float | None, typer.Option(help="The probability from which a triple passes.")] = None,
    schema: SchemaName = None,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="Make its probabilities the confidences of the graph's triples.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Train a critic on labels, say what it is worth on held-out ones, and keep it in the graph's directory."""
    if student is not None and features not in OF_STUDENTS:
        raise ConfigError("--student is about --features student or likelihood.", "Leave it out, or add the other.")
    given = {"features": features, "layers": layers, "recall": recall, "threshold": threshold}
    settings = validated(CriticSettings, given)
    check_features(features, "--features")
    store = existing_graph(graph)
    own = load_schema(schema) if schema else store.schema
    triples = list(store.triples())
    known = (
        read_triple_labels(labels, own, "--labels") if labels else labels_of_decisions(triples, store.decisions(), own)
    )
    asked = StudentSettings(model=student) if student else None
    found = train_critic(known, settings, critic_directory(graph), student=asked, seed=seed)
    typer.echo(critic_text(found.report))
    scored = score_triples(found.critic, triples, own)
    passing = sum((t.confidence or 0.0) >= found.critic.threshold for t in scored)
    typer.echo(f"{passing:,} of {len(scored):,} triples of the graph pass; `symdistill triples export --critic`.")
    if rescore:
        store.add(scored)
        typer.echo("The graph's confidences are its probabilities now.")


def critic_directory(graph: Path) -> Path:
    """Where the critic of a graph is."""
    return graph_directory(graph) / "critic"


def passing(graph: Path, triples: list[Triple], schema: Schema) -> list[Triple]:
    """The triples that a graph's critic lets pass, with its probabilities. Raises DataError where there is none."""
    critic = Critic.load(critic_directory(graph))
    return [t for t in score_triples(critic, triples, schema) if (t.confidence or 0.0) >= critic.threshold]
