"""The items that wait in review, one by one."""

from __future__ import annotations

import sys
from collections import Counter

import typer

from symdistill.cli.display import one_line, visible
from symdistill.cli.editing import edited_in_editor
from symdistill.cli.knowledge_text import describe, origins
from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem, Status
from symdistill.knowledge.utility import lifts

IN_REVIEW: tuple[Status, ...] = ("review",)

_CHOICES = {"a": "accept", "r": "retire", "e": "edit", "s": "skip", "q": "quit"}
_STATUS: dict[str, Status] = {"a": "active", "r": "retired"}


def review_one_by_one(base: KnowledgeBase, *, by: str, note: str, place: str) -> None:
    """Ask about each item in review; where nobody can be asked, list them and say how to decide.

    Every decision is written at once, so that stopping loses none. `place` is the base as a command line names it.
    """
    waiting = base.items(status=IN_REVIEW)
    if not waiting:
        typer.echo("Nothing is in review.")
        return
    if not sys.stdin.isatty():
        for item in waiting:
            flags = f"  [{', '.join(item.flags)}]" if item.flags else ""
            typer.echo(f"{item.id}  {item.kind}  {one_line(item.task, 30)}  {one_line(item.title, 60)}{flags}")
        typer.echo(f"{len(waiting):,} in review. `symdistill knowledge show {place} ID` shows one; decide with")
        typer.echo(f"  symdistill knowledge review {place} --accept ID --retire ID")
        return
    done: Counter[str] = Counter()
    for number, item in enumerate(waiting, 1):
        choice = _decide(base, item, f"{number} of {len(waiting)}", by, note)
        if choice == "q":
            break
        done[choice] += 1
    left = len(base.items(status=IN_REVIEW))
    typer.echo(f"{done['a']:,} accepted, {done['r']:,} retired, {done['s']:,} skipped; {left:,} left in review.")


def _decide(base: KnowledgeBase, item: KnowledgeItem, count: str, by: str, note: str) -> str:
    """Ask about one item until it is decided; the letter of the last choice."""
    while True:
        measured = lifts(base.uses(item.id), base.current_versions())
        typer.echo(f"\n── {count} ──\n{describe(item, measured.get(item.id), base.history(item.id))}")
        typer.echo(origins(item))
        choice = _asked()
        try:
            if choice in _STATUS:
                base.edit(item.id, by=by, note=note or "reviewed", expected=item.version, status=_STATUS[choice])
            elif choice == "e":
                edited_in_editor(base, item, by=by, note=note)
            if choice != "e":
                return choice
        except (DataError, ConfigError) as error:  # say it and ask again: the rest of the review must go on
            typer.echo(visible(str(error)), err=True)
        item = base.get(item.id)
        if item.status != "review":
            return "a" if item.status == "active" else "r"


def _asked() -> str:
    while True:
        try:
            answer = input("[a]ccept  [r]etire  [e]dit  [s]kip  [q]uit > ").strip().lower()
        except EOFError:
            return "q"
        chosen = next((key for key, word in _CHOICES.items() if answer in (key, word)), None)
        if chosen:
            return chosen
