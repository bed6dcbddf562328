"""The arguments that several commands of `symdistill triples` share, and where a graph is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symdistill.errors import ConfigError
from symdistill.knowledge.triples.exchange import ENDINGS
from symdistill.knowledge.triples.store import TripleStore

Graph = Annotated[Path, typer.Argument(help="A graph's directory, or a run directory.", show_default=False)]
Source = Annotated[
    Path, typer.Argument(help=f"A graph's directory, or a file ({', '.join(ENDINGS)}).", show_default=False)
]
SchemaName = Annotated[
    str | None,
    typer.Option("--schema", help="A schema's YAML file, or `atomic`.  [default: the graph's own, or atomic]"),
]
Near = Annotated[float, typer.Option(help="Overlap of words from which two tails are one, 0 to 1.", min=0.0, max=1.0)]
Seconds = Annotated[float, typer.Option(help="Time for it, in seconds.", min=0.0)]
Memory = Annotated[int, typer.Option(help="Memory for it, in megabytes.", min=1)]
By = Annotated[str | None, typer.Option("--by", help="Who decides.  [default: your login name]")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask no model.")]
Seed = Annotated[int, typer.Option(help="For whatever is drawn at random.")]


def graph_directory(path: Path) -> Path:
    """The graph in a run directory, or the directory itself."""
    return path / "graph" if (path / "config.yaml").exists() or (path / "graph" / "schema.yaml").exists() else path


def found_graph(path: Path) -> TripleStore | None:
    """The graph at a directory; None where `path` is none. Raises ConfigError where the directory holds no graph."""
    return existing_graph(path) if path.is_dir() else None


def existing_graph(path: Path) -> TripleStore:
    """The graph at a directory. Raises ConfigError where there is none."""
    directory = graph_directory(path)
    if not (directory / "schema.yaml").exists():
        raise ConfigError(f"There is no graph in {directory}.", "Make one with `symdistill triples import`.")
    return TripleStore(directory, create=False)
