"""The triples that wait for a reviewer, one by one or listed."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from symdistill.cli.display import one_line, visible
from symdistill.errors import ConfigError
from symdistill.evaluation.tables import plain_text
from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.review import Decision, Verdict, Waiting, now
from symdistill.knowledge.triples.store import TripleStore

_CHOICES: dict[str, Verdict | None] = {"a": "accept", "r": "reject", "u": "unsure", "s": None}
_WORDS = {"accept": "a", "reject": "r", "unsure": "u", "skip": "s", "quit": "q"}


def decide_by_options(
    store: TripleStore,
    triples: Sequence[Triple],
    queue: Sequence[Waiting],
    given: Mapping[str, Sequence[str]],
    reviewer: str,
    note: str,
) -> None:
    """Write down decisions on triples named by their ids. `queue` is what the same options list, as if none of these
    were judged yet: it tells which of them were drawn at random.

    Raises:
        ConfigError: there is no such triple, or it is judged twice; nothing was decided.
    """
    known = {triple.id for triple in triples}
    named = Counter(key for keys in given.values() for key in keys)
    for key, count in named.items():
        if key not in known:
            raise ConfigError(f"There is no triple {key[:40]!r}; nothing was decided.", "`triples review` lists ids.")
        if count > 1:
            raise ConfigError(f"{key} is judged twice; nothing was decided.", "Give it one of the options.")
    slices = {waiting.triple.id: waiting.slice for waiting in queue}
    verdicts: tuple[Verdict, ...] = ("accept", "reject", "unsure")
    store.decide(
        [
            Decision(key, verdict, reviewer, now(), note, slices.get(key, "queue"))
            for verdict in verdicts
            for key in given[verdict]
        ]
    )
    typer.echo(", ".join(f"{len(given[v]):,} {_past(v)}" for v in verdicts) + f", by {one_line(reviewer, 60)}.")
    if unlisted := len(named.keys() - slices.keys()):
        typer.echo(
            f"{unlisted:,} of them are not among the {len(queue):,} that these options list, and do not widen the "
            "random slice. If they were listed with another --audit or --size, decide again with these.",
            err=True,
        )


def review_command(place: Path, *, by: str | None, size: int, audit: float) -> str:
    """The command that lists the same queue."""
    words = ["symdistill", "triples", "review", str(place), *(["--by", by] if by else [])]
    return shlex.join([*words, "--size", str(size), "--audit", f"{audit:g}"])


def review_on_terminal(store: TripleStore, queue: Sequence[Waiting], reviewer: str, note: str, command: str) -> None:
    """Ask about each triple of the queue; where nobody can be asked, list them and say how to decide: by `command`.

    Every decision is written at once, so that stopping loses none.
    """
    if not queue:
        typer.echo("Nothing waits for review.")
        return
    if not sys.stdin.isatty():
        table = [["id", "why", "score", "confidence", "triple"]]
        for waiting in queue:
            triple = waiting.triple
            confidence = "–" if triple.confidence is None else f"{triple.confidence:.2f}"
            said = one_line(f"{triple.head} | {triple.relation} | {triple.tail}", 100)
            table.append([triple.id, _why(waiting), f"{waiting.score:.2f}", confidence, said])
        typer.echo(plain_text(table))
        typer.echo(f"Decide with: {command} --accept ID --reject ID")
        return
    done: Counter[str] = Counter()
    for number, waiting in enumerate(queue, 1):
        typer.echo(f"\n── {number} of {len(queue)} ──\n{_described(store, waiting)}")
        choice = _asked()
        if choice == "q":
            break
        verdict = _CHOICES[choice]
        if verdict is not None:
            store.decide([Decision(waiting.triple.id, verdict, reviewer, now(), note, waiting.slice)])
        done[choice] += 1
    typer.echo(
        f"{done['a']:,} accepted, {done['r']:,} rejected, {done['u']:,} left open, {done['s']:,} skipped; "
        "every decision is written."
    )


def _described(store: TripleStore, waiting: Waiting) -> str:
    triple = waiting.triple
    sure = "not known" if triple.confidence is None else f"{triple.confidence:.2f}"
    return "\n".join(
        [
            f"{triple.id}  {one_line(store.schema.verbalise(triple), 300)}",
            f"  {one_line(triple.head, 120)} | {triple.relation} | {one_line(triple.tail, 120)}",
            f"  confidence {sure} · {_why(waiting)} · {one_line(triple.batch, 60)} · {one_line(triple.source, 60)}",
        ]
    )


def _why(waiting: Waiting) -> str:
    if waiting.slice == "audit":
        return "random"
    others = "other" if waiting.conflicts == 1 else "others"
    return f"against {waiting.conflicts} {others}" if waiting.conflicts else "doubtful"


def _past(verdict: str) -> str:
    return {"accept": "accepted", "reject": "rejected", "unsure": "left open"}[verdict]


def _asked() -> str:
    while True:
        try:
            answer = visible(input("[a]ccept  [r]eject  [u]nsure  [s]kip  [q]uit > ")).strip().lower()
        except EOFError:
            return "q"
        letter = _WORDS.get(answer, answer)
        if letter in (*_CHOICES, "q"):
            return letter
