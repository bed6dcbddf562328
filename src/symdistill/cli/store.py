"""`symdistill store export|import|stats|verify`: the replies that were bought, as a file that travels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.options import existing
from symdistill.errors import ConfigError, StoreError
from symdistill.evaluation.figures import counted, dollars
from symdistill.sampling import exchange
from symdistill.sampling.store import ResponseStore

app = typer.Typer(help="Look into, check, export and import a store of replies.", no_args_is_help=True)

Store = Annotated[Path, typer.Argument(help="A store.sqlite, or a run directory.")]


def _file(path: Path) -> Path:
    return path / "store.sqlite" if path.is_dir() else path


def _open(path: Path) -> ResponseStore:
    return ResponseStore(existing(path, "store", "store.sqlite"))


@app.command("export")
def export(
    store: Store,
    target: Annotated[Path, typer.Argument(help="A .jsonl or .jsonl.gz file to write.")],
    model: Annotated[str | None, typer.Option(help="Only this model's replies (see `store stats`).")] = None,
    note: Annotated[str, typer.Option(help="A line for the file's header: who made this, from what.")] = "",
    without_prompts: Annotated[
        bool, typer.Option("--without-prompts", help="Keys instead of prompts, for questions you may not pass on.")
    ] = False,
) -> None:
    """Write replies to a file that `teacher.model: recorded:FILE` replays and `store import` reads."""
    if target.is_dir():
        raise ConfigError(f"{target} is a directory.", "Name a .jsonl or .jsonl.gz file to write.")
    with _open(store) as opened:
        written = exchange.export_store(opened, target, model=model, note=note, prompts=not without_prompts)
    typer.echo(
        f"Wrote {counted(written.replies, 'reply', 'replies')} and {counted(written.failures, 'failure')} to {target}."
    )


@app.command("import")
def import_(store: Store, source: Annotated[Path, typer.Argument(help="A file that `store export` wrote.")]) -> None:
    """Add a file's replies to a store; those it has already stay as they are."""
    read = exchange.import_recording(_file(store), source)
    typer.echo(f"Added {counted(read.replies, 'reply', 'replies')} to {store}; {read.repeated:,} were there already.")


@app.command("stats")
def stats(store: Store) -> None:
    """Count replies, failures, tokens and dollars by model."""
    with _open(store) as opened:
        found = opened.stats()
    typer.echo(
        f"{counted(found.replies, 'reply', 'replies')} to {counted(found.prompts, 'prompt')}, "
        f"{found.bytes / 1e6:.1f} MB"
    )
    for model in found.models:
        typer.echo(
            f"  {model.model}: {counted(model.replies, 'reply', 'replies')}, {model.prompt_tokens:,} prompt tokens, "
            f"{model.completion_tokens:,} generated tokens, "
            f"{dollars(model.cost_usd) if model.cost_usd else 'no price recorded'}"
        )
    for kind, count in found.failures.items():
        typer.echo(f"  without an answer, {kind}: {count:,}")


@app.command("verify")
def verify(store: Store) -> None:
    """Recompute every key from what is stored, and check the file."""
    with _open(store) as opened:
        found = opened.verify()
    for problem in found.problems:
        typer.echo(problem)
    if not found.sound:
        raise StoreError(
            f"{len(found.problems)} problems in {store}.",
            "Export what is sound with `symdistill store export` and import it into a new store.",
        )
    typer.echo(f"{counted(found.checked, 'row')}, every one stored under the key of its content.")
