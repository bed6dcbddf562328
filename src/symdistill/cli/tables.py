"""Results on standard output: a rich table on a terminal, aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from symdistill.evaluation.comparison import Comparison
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.tables import Table, cut_replies, metrics_table, plain_text
from symdistill.runs.quoting import Quote


def show_metrics(rows: Sequence[MetricRow], comparison: Comparison | None) -> None:
    """The table of a finished run."""
    typer.echo("")
    whole = [row for row in rows if row.task is None]
    show_table(metrics_table(whole, comparison))
    if cut := cut_replies([row for row in whole if row.part is None]):
        typer.echo(f" {cut}")
    for note in comparison.notes if comparison else ():
        typer.echo(f" Note: {note}")


def show_price(quote: Quote | None) -> None:
    """What a run would buy, or replay."""
    if quote is None:
        typer.echo("No teacher is asked: nothing to buy.")
        return
    held = f"({quote.stored:,} are stored, {quote.given_up:,} were declined for good)"
    if quote.replays:
        told = held if quote.replays == quote.planned else "from a recording or the rows"
        typer.echo(f"To replay: {quote.replayed:,} of {quote.replays:,} replies {told}. Nobody is asked for them.")
    if quote.replays < quote.planned or not quote.planned:
        typer.echo(f"To buy: {quote.bought:,} of {quote.planned - quote.replays:,} replies {held}.")
        usd = "price not known: set `teacher.price`" if quote.most_usd is None else f"${quote.most_usd:.2f}"
        typer.echo(f"At most: {quote.most_tokens:,} tokens, {usd}.")
    if quote.expected_tokens is not None and quote.bought:
        usd = "" if quote.expected_usd is None else f", ${quote.expected_usd:.2f}"
        typer.echo(f"Expected, going by the replies stored: {quote.expected_tokens:,} tokens{usd}.")
    for later, what, case in (
        (quote.about_mistakes, "about mistakes", ", if the student gets every training question wrong"),
        (quote.about_solutions, "about solutions, one a question and pool", ""),
    ):
        if later is not None:
            usd = "price not known" if later.most_usd is None else f"${later.most_usd:.2f}"
            typer.echo(
                f"Beside it, for knowledge: at most {later.to_buy:,} replies {what}, {later.most_tokens:,} tokens, "
                f"{usd}{case}."
            )
    for line in quote.budget_lines():
        typer.echo(line)
    for variable in quote.unset:
        typer.echo(f"{variable} is not set, and nobody can be asked without it: export {variable}=…")
    typer.echo("Nothing was asked and nothing was written.")


def show_table(table: Table) -> None:
    """A table: drawn on a terminal, aligned by spaces elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        typer.echo("\n".join(f" {line}" for line in plain_text(table).splitlines()))
        return
    drawn = RichTable(*table[0], box=SIMPLE_HEAD, pad_edge=True)
    for line in table[1:]:
        drawn.add_row(*line)
    console.print(drawn)
