"""The command line: the verbs are put together here, and every error of the tree becomes one readable line."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from typing import Annotated

import typer

import symdistill
from symdistill.cli import (
    compare,
    curate,
    doctor,
    evaluate,
    init,
    knowledge,
    rules,
    run,
    sample,
    store,
    train,
    trees,
    triples,
)
from symdistill.cli.usage import explained
from symdistill.errors import Interrupted, SymdistillError

app = typer.Typer(
    name="symdistill",
    help="Turn a large model's reasoning into a small model, with the evidence that it works.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"symdistill {symdistill.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if debug:
        os.environ["SYMDISTILL_DEBUG"] = "1"


app.command("run")(run.run)
app.command("sample")(sample.sample)
app.command("curate")(curate.curate)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(triples.app, name="triples")
app.add_typer(rules.app, name="rules")
app.add_typer(trees.app, name="trees")
app.add_typer(store.app, name="store")
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 a mistake in what was asked, 3 out of budget, 130 stopped, 1 otherwise."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    words = [w for w in words if w != "--debug"]
    if debug:
        os.environ["SYMDISTILL_DEBUG"] = "1"
    try:
        code = app(words, prog_name="symdistill", standalone_mode=False)
    except typer.Abort:
        sys.exit(1)
    except SymdistillError as error:
        if debug:
            traceback.print_exc()
        else:
            _say(f"{error.message} Continue: {_again(words)}" if isinstance(error, Interrupted) else str(error))
        sys.exit(error.exit_code)
    except typer.TyperException as error:
        _say(explained(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if code == Interrupted.exit_code:  # what typer makes of Ctrl-C
        _say(f"Stopped. Continue: {_again(words)}")
    sys.exit(code if isinstance(code, int) else 0)


def _again(words: list[str]) -> str:
    return f"symdistill {shlex.join(words)} (same command)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - one line, no markup, no wrapping
