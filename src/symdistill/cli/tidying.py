"""`symdistill knowledge refine` and `prune`: putting a base in order."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.bases import Base, By, measured_lifts, open_base, show_lines
from symdistill.cli.display import one_line
from symdistill.cli.options import who
from symdistill.evaluation.figures import counted
from symdistill.knowledge.base import Change
from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.markdown import count_text, lift_text
from symdistill.knowledge.refinement import MAX_WORDS, at_hand
from symdistill.knowledge.refinement import refine as changes_to_refine
from symdistill.knowledge.utility import MIN_USES, Lift, harmful
from symdistill.records import Example
from symdistill.tasks.loading import load_task
from symdistill.tasks.settings import TaskSettings


def refine(
    base: Base,
    task: Annotated[
        list[Path] | None,
        typer.Option(help="A file of the questions that items came from, to see which give an answer away."),
    ] = None,
    embedding_model: Annotated[
        Path | None,
        typer.Option(
            help="A sentence-transformers directory: finds duplicates in other words too.", show_default=False
        ),
    ] = None,
    max_words: Annotated[int, typer.Option(help="Longer items are flagged.", min=1)] = MAX_WORDS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what; change nothing.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who makes the changes.")] = "refinement",
) -> None:
    """Merge duplicates, flag leaks, copies and long items, send contradictions to review; unflag what was mended.

    `build` does this to what it makes. After edits and imports it is done here. Nothing is lost: every change is a
    version that an edit takes back.
    """
    gold = _questions(task or ())
    embed = None
    if embedding_model is not None:
        from symdistill.knowledge.dense import sentence_embedder

        embed = sentence_embedder(embedding_model)
    with open_base(base) as opened:
        items = {item.id: item for item in opened.items(status=None)}
        changes = changes_to_refine(list(items.values()), gold, max_words=max_words, embed=embed)
        unseen = sum(item.status != "retired" and not _all_at_hand(item, gold) for item in items.values())
        if not dry_run:
            opened.apply(changes, by=by)
    for change in changes:
        typer.echo(f"{change.item_id}  {one_line(change.note, 300)}")
    found = _counted(changes, items)
    said = ", ".join(f"{count:,} {name}" for name, count in found.items()) or "nothing to change"
    typer.echo(f"{_items(len(items))}: {said}.{' Nothing was changed.' if dry_run and changes else ''}")
    if unseen:
        typer.echo(
            f"Not looked at whether {_items(unseen)} give an answer away, for want of the questions: name their file "
            "with --task FILE."
        )


def _questions(files: Iterable[Path]) -> dict[str, Example]:
    """The questions of the files by id."""
    found: dict[str, Example] = {}
    for file in files:
        task = load_task(TaskSettings(path=file, decontaminate=False))
        found |= {example.id: example for example in (*task.train, *task.evaluation)}
    return found


def _all_at_hand(item: KnowledgeItem, gold: Mapping[str, Example]) -> bool:
    return all(at_hand(gold, source.example_id, source.question) for source in item.provenance)


def _items(count: int) -> str:
    return f"{count:,} item{'' if count == 1 else 's'}"


def _counted(changes: Iterable[Change], items: Mapping[str, KnowledgeItem]) -> Counter[str]:
    found: Counter[str] = Counter()
    for change in changes:
        before = items[change.item_id]
        flags = set(change.changes.get("flags", before.flags))
        status = change.changes.get("status", before.status)
        found["merged into others"] += "merged" in flags - set(before.flags)
        found["sent to review"] += (status, before.status) == ("review", "active")
        found["flagged"] += bool(flags - set(before.flags) - {"merged", "contradiction", "retired_twin"})
        found["no longer flagged"] += bool(set(before.flags) - flags)
    return +found


def prune(
    base: Base,
    min_lift: Annotated[float, typer.Option(help="Retire active items whose measured lift is below this.")] = 0.0,
    min_uses: Annotated[
        int, typer.Option(help="And that were measured on so many questions or more.", min=1)
    ] = MIN_USES,
    by_estimate: Annotated[
        bool,
        typer.Option(
            "--by-estimate", help="Retire by the estimate alone, also what may be chance (see `low`, `high`)."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which; change nothing.")] = False,
    by: By = None,
) -> None:
    """Retire items that did harm where it was measured. Nothing is lost: an edit takes any of them back.

    An item goes where the whole interval of its lift lies below --min-lift.
    """
    with open_base(base) as opened:
        active = {item.id: item for item in opened.items()}
        measured = {key: lift for key, lift in measured_lifts(opened).items() if key in active}
        chosen = harmful(measured, min_lift, min_uses, by_estimate=by_estimate)
        below = harmful(measured, min_lift, min_uses, by_estimate=True)
        if unsure := len(below) - len(chosen):
            typer.echo(
                f"{unsure:,} more {'item has' if unsure == 1 else 'items have'} an estimate below {min_lift:g} that "
                "may be chance; --by-estimate would retire these too."
            )
        if not chosen:
            enough = sum(lift.uses >= min_uses for lift in measured.values())
            typer.echo(
                f"Nothing to retire: of {len(active):,} active items, {enough:,} {'was' if enough == 1 else 'were'} "
                f"measured on {counted(min_uses, 'question')} or more, and none of these has a lift "
                f"{'' if by_estimate else 'surely '}below {min_lift:g}."
            )
            return
        _show_lifts(active, chosen)
        if dry_run:
            typer.echo(f"{len(chosen):,} would be retired. Nothing was changed.")
            return
        changes = [
            Change(key, active[key].version, {"status": "retired"}, f"lift {lift_text(lift)}, below {min_lift:g}")
            for key, lift in chosen.items()
        ]
        opened.apply(changes, by=who(by))
    typer.echo(f"{len(chosen):,} retired. To take one back:")
    typer.echo(f"  symdistill knowledge edit {shlex.quote(str(base))} {next(iter(chosen))} --status active")


def _show_lifts(items: Mapping[str, KnowledgeItem], measured: Mapping[str, Lift]) -> None:
    """The figures behind each of `measured`, one line an item."""
    table = [["id", "lift", "low", "high", "helped", "hurt", "uses"]]
    for key, m in measured.items():
        counts = [count_text(count) for count in (m.helped, m.hurt, m.uses)]
        table.append([key, f"{m.lift:+.2f}", f"{m.low:+.2f}", f"{m.high:+.2f}", *counts])
    show_lines(table, ["title", *(items[key].title for key in measured)])
