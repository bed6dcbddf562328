"""`symdistill knowledge …`: read, search, edit, review, prune and exchange a knowledge base."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from symdistill.cli.bases import Base, By, base_file, complain, measured_lifts, open_base, say, show_lines
from symdistill.cli.building import build
from symdistill.cli.display import one_line, visible
from symdistill.cli.editing import edited_in_editor
from symdistill.cli.knowledge_text import describe, origins, replies
from symdistill.cli.options import check_ending, who
from symdistill.cli.reviewing import IN_REVIEW, review_one_by_one
from symdistill.cli.tidying import prune, refine
from symdistill.errors import ConfigError, DamagedStore
from symdistill.evaluation.figures import counted
from symdistill.knowledge.base import Change, KnowledgeBase
from symdistill.knowledge.exchange import Written, export_damaged, export_jsonl, import_jsonl
from symdistill.knowledge.folders import export_folder, files_of_items, import_folder
from symdistill.knowledge.history import difference
from symdistill.knowledge.items import Kind, KnowledgeItem, Status
from symdistill.knowledge.rows import STATUSES
from symdistill.knowledge.utility import Lift

app = typer.Typer(help="Build, read, search, edit, review and exchange a knowledge base.", no_args_is_help=True)
app.command("build")(build)
app.command("refine")(refine)
app.command("prune")(prune)

Item = Annotated[str, typer.Argument(help="The item's id, as `knowledge list` shows it.", show_default=False)]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="Only items that are active, review or retired; may be repeated.")
]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Only items of this kind.")]
OfTask = Annotated[str | None, typer.Option("--task", help="Only items of this task.")]
Note = Annotated[str, typer.Option("--note", help="Why; kept with the version.")]

_IN_VIEW: tuple[Status, ...] = ("active", "review")
_TITLE_WIDTH, _LEAST_TITLE, _TASK_WIDTH = 60, 20, 24


@app.command("list")
def list_(
    base: Base,
    status: Statuses = None,
    kind: OfKind = None,
    task: OfTask = None,
    sort: Annotated[
        Literal["task", "lift", "uses"], typer.Option(help="`lift` and `uses`: the highest first.")
    ] = "task",
) -> None:
    """One line an item; those that are active or in review unless --status says otherwise."""
    with open_base(base) as opened:
        items = opened.items(status=_statuses(status) or _IN_VIEW, kind=kind, task=task)
        measured = measured_lifts(opened)
        counts = opened.stats().statuses
    nothing = Lift(0, 0, 0, 0.0, 0.0, 0.0)
    if sort != "task":
        items.sort(key=lambda item: getattr(measured.get(item.id, nothing), sort), reverse=True)
    _show_items(items, measured)
    if not status and (hidden := counts.get("retired", 0)):
        typer.echo(f"{hidden:,} retired not shown: --status retired")


@app.command("search")
def search(
    base: Base,
    query: Annotated[str, typer.Argument(help="Words, or beginnings of words. Nothing in it has a special meaning.")],
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 10,
    status: Statuses = None,
) -> None:
    """Items that hold the words, best first."""
    with open_base(base) as opened:
        items = opened.search(query, limit=limit, status=_statuses(status) or _IN_VIEW)
        _show_items(items, measured_lifts(opened))


@app.command("show")
def show(
    base: Base,
    item: Item,
    version: Annotated[int | None, typer.Option(help="As it was at this version.")] = None,
    most: Annotated[int, typer.Option("--uses", help="How many helped and how many hurt to show.", min=0)] = 3,
) -> None:
    """One item wholly: what it says, where it came from, whom it helped and hurt."""
    with open_base(base) as opened:
        found = opened.get(item, version)
        typer.echo(describe(found, measured_lifts(opened).get(item), opened.history(item)))
        typer.echo(origins(found))
        typer.echo(replies(opened.uses(item), opened.current_versions().get(item, ()), most))


@app.command("log")
def log(base: Base, item: Item) -> None:
    """Every version of an item, the latest first: who, when, why, and what changed."""
    with open_base(base) as opened:
        versions = opened.history(item)
    before: list[KnowledgeItem | None] = [None, *(v.item for v in versions)]
    for version, previous in reversed(list(zip(versions, before, strict=False))):
        note = f"  {one_line(version.note, 200)}" if version.note else ""
        typer.echo(f"version {version.item.version}  {version.at}  {one_line(version.by, 60)}{note}")
        for line in difference(previous, version.item):
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            typer.echo(typer.style(f"  {visible(line)}", fg=colour))
        typer.echo("")


@app.command("edit")
def edit(
    base: Base,
    item: Item,
    text: Annotated[str | None, typer.Option(help="The new text; - reads it from standard input.")] = None,
    title: Annotated[str | None, typer.Option(help="The new title.")] = None,
    task: Annotated[str | None, typer.Option(help="The task it is for.")] = None,
    status: Annotated[
        Status | None, typer.Option(help="`retired` takes it out of use, `active` takes it back.")
    ] = None,
    by: By = None,
    note: Note = "",
) -> None:
    """Make a new version of an item: in $VISUAL or $EDITOR, or with the options."""
    given = {"text": text, "title": title, "task": task, "status": status}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if text == "-":
        changes["text"] = typer.get_text_stream("stdin", encoding="utf-8").read().removesuffix("\n")
    with open_base(base) as opened:
        before = opened.revision
        if changes:
            after = opened.edit(item, by=who(by), note=note, **changes)
        else:
            after = edited_in_editor(opened, opened.get(item), by=who(by), note=note)
        changed = opened.revision > before
    if not changed:
        typer.echo(f"Nothing changed: {item} stays at version {after.version}.")
    else:
        typer.echo(f"{item} is now at version {after.version}, {after.status}.")
        if after.flags:
            typer.echo(
                f"It is flagged {', '.join(after.flags)}; `symdistill knowledge refine {_quoted(base)}` looks again."
            )


@app.command("review")
def review(
    base: Base,
    accept: Annotated[list[str] | None, typer.Option(help="Make this item active; may be repeated.")] = None,
    retire: Annotated[list[str] | None, typer.Option(help="Retire this item; may be repeated.")] = None,
    by: By = None,
    note: Note = "",
) -> None:
    """Decide on the items that wait in review: one by one on a terminal, elsewhere with --accept and --retire."""
    decided: dict[str, Status] = dict.fromkeys(accept or (), "active")
    if both := sorted(decided.keys() & set(retire or ())):
        raise ConfigError(f"{both[0]} is to be accepted and retired at once.", "Give it one of the two options.")
    decided |= dict.fromkeys(retire or (), "retired")
    with open_base(base) as opened:
        if not decided:
            review_one_by_one(opened, by=who(by), note=note, place=shlex.quote(str(base)))
            return
        for key in decided:
            if (found := opened.get(key)).status != "review":
                raise ConfigError(
                    f"{key} is not in review but {found.status}; nothing was changed.",
                    f"`symdistill knowledge edit {shlex.quote(str(base))} {key} --status {decided[key]}` changes it.",
                )
        changes = [Change(key, None, {"status": status}) for key, status in decided.items()]
        opened.apply(changes, by=who(by), note=note or "reviewed")
        left = len(opened.items(status=IN_REVIEW))
    typer.echo(f"{len(accept or ()):,} accepted, {len(retire or ()):,} retired; {left:,} left in review.")


@app.command("stats")
def stats(base: Base) -> None:
    """Count items by status, kind, task and flag, versions and measurements."""
    with open_base(base) as opened:
        found = opened.stats()
    typer.echo(
        f"{counted(found.items, 'item')} in {counted(found.versions, 'version')}, {counted(found.uses, 'use')}, "
        f"{found.bytes / 1e6:.1f} MB"
    )
    groups = {"status": found.statuses, "kind": found.kinds, "task": found.tasks, "flag": found.flags}
    for name, counts in groups.items():
        for value, count in counts.items():
            typer.echo(f"  {name:<7} {one_line(value, 60):<40} {count:>7,}")
    if found.unreadable:
        typer.echo(f"  {counted(found.unreadable, 'item')} cannot be read.")


@app.command("export")
def export(
    base: Base,
    target: Annotated[Path, typer.Argument(help="A folder for Markdown files, or a .jsonl or .jsonl.gz file.")],
    status: Statuses = None,
    kind: OfKind = None,
    task: OfTask = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="JSONL: only the latest versions, without history and measurements.")
    ] = False,
    note: Annotated[str, typer.Option(help="JSONL: a line for the file's head: who made this, from what.")] = "",
) -> None:
    """Write items as Markdown files that people edit, or as one JSONL file with all their history.

    Of a damaged base, the JSONL file holds what can still be read, and what was lost is named.
    """
    if target.is_file() and not _is_jsonl(target):
        raise ConfigError(f"{target} is a file.", "Name a folder, or a file that ends in .jsonl or .jsonl.gz.")
    check_ending(target, ".jsonl", ".jsonl.gz", folder=True)
    left_out: list[str] = []
    try:
        with open_base(base, left_out.append) as opened:
            items = opened.items(status=_statuses(status), kind=kind, task=task)
            if _is_jsonl(target):
                ids = {item.id for item in items} if status or kind or task else None
                _say_written(export_jsonl(opened, target, items=ids, history=not latest, note=note), target)
            else:
                written = export_folder(opened, target, items, measured_lifts(opened))
                typer.echo(
                    f"Wrote {counted(written.written, 'file')} to {target}; {written.unchanged:,} were up to date."
                )
                left_out += written.kept
    except DamagedStore as damage:
        if not _is_jsonl(target) or status or kind or task or latest:
            raise
        done, found = export_damaged(base_file(base), target, note=note)
        _say_written(done, target)
        left_out = [damage.message, *found.lost]
    complain(left_out)


def _say_written(done: Written, target: Path) -> None:
    typer.echo(
        f"Wrote {counted(done.items, 'item')} in {counted(done.versions, 'version')} and {counted(done.uses, 'use')} "
        f"to {target}."
    )


@app.command("import")
def import_(
    base: Base,
    source: Annotated[Path, typer.Argument(help="A folder or file of Markdown, or a .jsonl or .jsonl.gz file.")],
    by: By = None,
    note: Note = "",
) -> None:
    """Take in edits of exported Markdown files, new files beside them, or what another base exported."""
    if not source.exists():
        raise ConfigError(f"There is no {source}.", "Name what `symdistill knowledge export` wrote.")
    file = base_file(base)
    new = not file.exists()
    if new and not _is_jsonl(source) and (edited := files_of_items(source)):
        raise ConfigError(
            f"There is no knowledge base at {file}, and {edited[0]} is an edit of an item of one.",
            "Name the base it was exported from; a file without its `id` line is a new item of any base.",
        )
    if _is_jsonl(source):
        merged = import_jsonl(file, source)
        typer.echo(
            f"{counted(len(merged.added), 'item')} added, {len(merged.updated):,} brought up to date, "
            f"{merged.unchanged:,} unchanged, {counted(merged.uses, 'use')} added."
        )
        _say_new(file, new)
        if merged.foreign_uses:
            say(f"{counted(merged.foreign_uses, 'use')} left out, measured with a text that is not in {file}.")
        complain(
            [
                f"Conflict: {c.item_id} is at version {c.ours} here and at version {c.theirs} in {source}, and they do "
                "not follow from each other; it was left as it is here."
                for c in merged.conflicts
            ]
        )
        return
    with KnowledgeBase(file, report=say) as opened:
        done = import_folder(opened, source, by=who(by), note=note)
    typer.echo(
        f"{counted(len(done.added), 'item')} added, {len(done.edited):,} edited, "
        f"{counted(done.unchanged, 'file')} unchanged."
    )
    _say_new(file, new)
    if done.added or done.edited:
        typer.echo(f"To look for duplicates, leaks and contradictions: symdistill knowledge refine {_quoted(base)}")
    for line in done.notes:
        say(line)
    complain([*(f"Conflict: {line}" for line in done.conflicts), *done.problems])


def _say_new(file: Path, new: bool) -> None:
    if new and file.exists():
        typer.echo(f"Made a new knowledge base at {file}.")


def _quoted(base: Path) -> str:
    return shlex.quote(str(base))


def _statuses(names: list[str] | None) -> list[Status] | None:
    for name in names or ():
        if name not in STATUSES:
            near = get_close_matches(name, STATUSES, n=1)
            raise ConfigError(
                f"Unknown status {name!r}.", f"Did you mean {near[0]}?" if near else f"Known: {', '.join(STATUSES)}."
            )
    return [status for status in STATUSES if status in names] if names else None


def _is_jsonl(path: Path) -> bool:
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def _show_items(items: Sequence[KnowledgeItem], measured: Mapping[str, Lift]) -> None:
    """One line an item, aligned, the title cut to the terminal: an id must never be, since people copy it."""
    if not items:
        typer.echo("No items.")
        return
    table = [["id", "kind", "status", "uses", "lift", "task"]]
    for item in items:
        lift = measured.get(item.id)
        figures = [f"{lift.uses:,}", f"{lift.lift:+.2f}"] if lift else ["–", "–"]
        table.append([item.id, item.kind, item.status, *figures, one_line(item.task, _TASK_WIDTH)])
    show_lines(table, ["title", *(item.title for item in items)])
