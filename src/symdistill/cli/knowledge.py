"""`symdistill knowledge …`: read, search, edit, review, prune and exchange a knowledge base."""

from __future__ import annotations

import getpass
import shlex
import shutil
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from symdistill.cli.building import build
from symdistill.cli.display import one_line, visible
from symdistill.cli.editing import edited_in_editor
from symdistill.cli.knowledge_text import describe, origins, replies
from symdistill.cli.reviewing import IN_REVIEW, review_one_by_one
from symdistill.errors import ConfigError
from symdistill.evaluation.tables import plain_text
from symdistill.knowledge.base import Change, KnowledgeBase
from symdistill.knowledge.exchange import export_jsonl, import_jsonl
from symdistill.knowledge.folders import export_folder, import_folder
from symdistill.knowledge.history import difference
from symdistill.knowledge.items import Kind, KnowledgeItem, Status
from symdistill.knowledge.markdown import lift_text
from symdistill.knowledge.rows import STATUSES
from symdistill.knowledge.utility import MIN_USES, Lift, harmful, lifts

app = typer.Typer(help="Build, read, search, edit, review and exchange a knowledge base.", no_args_is_help=True)
app.command("build")(build)

Base = Annotated[Path, typer.Argument(help="A knowledge.sqlite, or a run directory.", show_default=False)]
Item = Annotated[str, typer.Argument(help="The item's id, as `knowledge list` shows it.", show_default=False)]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="Only items that are active, review or retired; may be repeated.")
]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Only items of this kind.")]
OfTask = Annotated[str | None, typer.Option("--task", help="Only items of this task.")]
By = Annotated[str | None, typer.Option("--by", help="Who makes the edit.  [default: your login name]")]
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
    with _open(base) as opened:
        items = opened.items(status=_statuses(status) or _IN_VIEW, kind=kind, task=task)
        measured = _lifts(opened)
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
    with _open(base) as opened:
        items = opened.search(query, limit=limit, status=_statuses(status) or _IN_VIEW)
        _show_items(items, _lifts(opened))


@app.command("show")
def show(
    base: Base,
    item: Item,
    version: Annotated[int | None, typer.Option(help="As it was at this version.")] = None,
    most: Annotated[int, typer.Option("--uses", help="How many helped and how many hurt to show.", min=0)] = 3,
) -> None:
    """One item wholly: what it says, where it came from, whom it helped and hurt."""
    with _open(base) as opened:
        found = opened.get(item, version)
        typer.echo(describe(found, _lifts(opened).get(item), opened.history(item)))
        typer.echo(origins(found))
        typer.echo(replies(opened.uses(item), opened.current_versions().get(item, ()), most))


@app.command("log")
def log(base: Base, item: Item) -> None:
    """Every version of an item, the latest first: who, when, why, and what changed."""
    with _open(base) as opened:
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
    with _open(base) as opened:
        before = opened.revision
        if changes:
            after = opened.edit(item, by=_who(by), note=note, **changes)
        else:
            after = edited_in_editor(opened, opened.get(item), by=_who(by), note=note)
        changed = opened.revision > before
    if not changed:
        typer.echo(f"Nothing changed: {item} stays at version {after.version}.")
    else:
        typer.echo(f"{item} is now at version {after.version}, {after.status}.")


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
    with _open(base) as opened:
        if not decided:
            review_one_by_one(opened, by=_who(by), note=note, place=shlex.quote(str(base)))
            return
        for key in decided:
            if (found := opened.get(key)).status != "review":
                raise ConfigError(
                    f"{key} is not in review but {found.status}; nothing was changed.",
                    f"`symdistill knowledge edit {shlex.quote(str(base))} {key} --status {decided[key]}` changes it.",
                )
        changes = [Change(key, None, {"status": status}) for key, status in decided.items()]
        opened.apply(changes, by=_who(by), note=note or "reviewed")
        left = len(opened.items(status=IN_REVIEW))
    typer.echo(f"{len(accept or ()):,} accepted, {len(retire or ()):,} retired; {left:,} left in review.")


@app.command("prune")
def prune(
    base: Base,
    min_lift: Annotated[float, typer.Option(help="Retire active items whose measured lift is below this.")] = 0.0,
    min_uses: Annotated[
        int, typer.Option(help="And that were measured on so many questions or more.", min=1)
    ] = MIN_USES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which; change nothing.")] = False,
    by: By = None,
) -> None:
    """Retire items that did harm where it was measured. Nothing is lost: an edit takes any of them back."""
    with _open(base) as opened:
        low = harmful(opened.uses(), min_lift, min_uses, opened.current_versions())
        active = {item.id: item for item in opened.items()}
        chosen = {key: lift for key, lift in low.items() if key in active}
        if not chosen:
            measured = sum(lift.uses >= min_uses for lift in _lifts(opened).values())
            typer.echo(
                f"Nothing to retire: of {len(active):,} active items, {measured:,} were measured on {min_uses:,} "
                f"questions or more, and no active one of these has a lift below {min_lift:g}."
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
        opened.apply(changes, by=_who(by))
    typer.echo(f"{len(chosen):,} retired. To take one back:")
    typer.echo(f"  symdistill knowledge edit {shlex.quote(str(base))} {next(iter(chosen))} --status active")


@app.command("stats")
def stats(base: Base) -> None:
    """Count items by status, kind, task and flag, versions and measurements."""
    with _open(base) as opened:
        found = opened.stats()
    typer.echo(f"{found.items:,} items in {found.versions:,} versions, {found.uses:,} uses, {found.bytes / 1e6:.1f} MB")
    groups = {"status": found.statuses, "kind": found.kinds, "task": found.tasks, "flag": found.flags}
    for name, counts in groups.items():
        for value, count in counts.items():
            typer.echo(f"  {name:<7} {one_line(value, 60):<40} {count:>7,}")
    if found.unreadable:
        typer.echo(f"  {found.unreadable:,} items cannot be read.")


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
    """Write items as Markdown files that people edit, or as one JSONL file with all their history."""
    with _open(base) as opened:
        items = opened.items(status=_statuses(status), kind=kind, task=task)
        if _is_jsonl(target):
            ids = {item.id for item in items} if status or kind or task else None
            done = export_jsonl(opened, target, items=ids, history=not latest, note=note)
            typer.echo(f"Wrote {done.items:,} items in {done.versions:,} versions and {done.uses:,} uses to {target}.")
            return
        if target.exists() and not target.is_dir():
            raise ConfigError(f"{target} is a file.", "Name a folder, or a file that ends in .jsonl or .jsonl.gz.")
        written = export_folder(opened, target, items, _lifts(opened))
    typer.echo(f"Wrote {written.written:,} files to {target}; {written.unchanged:,} were up to date.")
    _complain(written.kept)


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
    if _is_jsonl(source):
        merged = import_jsonl(_file(base), source)
        typer.echo(
            f"{len(merged.added):,} items added, {len(merged.updated):,} brought up to date, {merged.unchanged:,} "
            f"unchanged, {merged.uses:,} uses added."
        )
        _complain(
            [
                f"Conflict: {c.item_id} is at version {c.ours} here and at version {c.theirs} in {source}, and they do "
                "not follow from each other; it was left as it is here."
                for c in merged.conflicts
            ]
        )
        return
    with KnowledgeBase(_file(base), report=_say) as opened:
        done = import_folder(opened, source, by=_who(by), note=note)
    typer.echo(f"{len(done.added):,} items added, {len(done.edited):,} edited, {done.unchanged:,} files unchanged.")
    for line in done.notes:
        _say(line)
    _complain([*(f"Conflict: {line}" for line in done.conflicts), *done.problems])


def _file(path: Path) -> Path:
    return path / "knowledge.sqlite" if path.is_dir() else path


def _open(path: Path) -> KnowledgeBase:
    file = _file(path)
    if not file.exists():
        raise ConfigError(
            f"There is no knowledge base at {file}.", "Name a knowledge.sqlite or the run directory that holds one."
        )
    return KnowledgeBase(file, create=False, report=_say)


def _say(text: str) -> None:
    typer.echo(visible(text), err=True)


def _complain(lines: Sequence[str]) -> None:
    """Say what was left out, and end with the code for something that has to change first."""
    for line in lines:
        _say(line)
    if lines:
        raise typer.Exit(2)


def _statuses(names: list[str] | None) -> list[Status] | None:
    for name in names or ():
        if name not in STATUSES:
            near = get_close_matches(name, STATUSES, n=1)
            raise ConfigError(
                f"Unknown status {name!r}.", f"Did you mean {near[0]}?" if near else f"Known: {', '.join(STATUSES)}."
            )
    return [status for status in STATUSES if status in names] if names else None


def _who(by: str | None) -> str:
    if by:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        return "unknown"


def _is_jsonl(path: Path) -> bool:
    return path.name.endswith((".jsonl", ".jsonl.gz"))


def _lifts(base: KnowledgeBase) -> dict[str, Lift]:
    return lifts(base.uses(), base.current_versions())


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
    _show_lines(table, ["title", *(item.title for item in items)])


def _show_lifts(items: Mapping[str, KnowledgeItem], measured: Mapping[str, Lift]) -> None:
    """The figures behind each of `measured`, one line an item."""
    table = [["id", "lift", "low", "high", "helped", "hurt", "uses"]]
    for key, m in measured.items():
        counts = [f"{count:,}" for count in (m.helped, m.hurt, m.uses)]
        table.append([key, f"{m.lift:+.2f}", f"{m.low:+.2f}", f"{m.high:+.2f}", *counts])
    _show_lines(table, ["title", *(items[key].title for key in measured)])


def _show_lines(table: list[list[str]], last: Sequence[str]) -> None:
    lines = plain_text(table).splitlines()
    width = max(map(len, lines))
    room = max(shutil.get_terminal_size((width + _TITLE_WIDTH, 24)).columns - width - 3, _LEAST_TITLE)
    for line, title in zip(lines, last, strict=True):
        typer.echo(f" {line:<{width}}  {one_line(title, room)}".rstrip())
