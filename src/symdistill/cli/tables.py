"""Results on standard output: a rich table on a terminal, aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from symdistill.evaluation.comparison import Comparison
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.tables import Table, metrics_table, plain_text
from symdistill.sampling.estimate import Estimate


def show_metrics(rows: Sequence[MetricRow], comparison: Comparison | None) -> None:
    """The table of a finished run."""
    typer.echo("")
    show_table(metrics_table([r for r in rows if r.task is None], comparison))
    for note in comparison.notes if comparison else ():
        typer.echo(f" Note: {note}")


def show_price(estimate: Estimate | None) -> None:
    """What a run would buy."""
    if estimate is None:
        typer.echo("No teacher is asked: nothing to buy.")
        return
    bought, most = f"{estimate.to_buy:,} of {estimate.planned:,} replies", f"{estimate.most_tokens:,} tokens"
    typer.echo(f"To buy: {bought} ({estimate.stored:,} are stored, {estimate.given_up:,} were declined for good).")
    dollars = "price not known: set `teacher.price`" if estimate.most_usd is None else f"${estimate.most_usd:.2f}"
    typer.echo(f"At most: {most}, {dollars}.")
    if estimate.expected_tokens is not None and estimate.to_buy:
        usd = "" if estimate.expected_usd is None else f", ${estimate.expected_usd:.2f}"
        typer.echo(f"Expected, going by the replies stored: {estimate.expected_tokens:,} tokens{usd}.")
    for later, what, case in (
        (estimate.about_mistakes, "about mistakes", ", if the student gets every training question wrong"),
        (estimate.about_solutions, "about solutions, one a training question", ""),
    ):
        if later is not None:
            usd = "price not known" if later.most_usd is None else f"${later.most_usd:.2f}"
            typer.echo(
                f"Beside it, for knowledge: at most {later.to_buy:,} replies {what}, {later.most_tokens:,} tokens, "
                f"{usd}{case}."
            )
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
