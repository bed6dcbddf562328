"""One knowledge item as text for a terminal. Everything a model or a file said passes through `visible`."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from textwrap import indent

from symdistill.cli.display import one_line, padded, visible, wrapped
from symdistill.knowledge.history import Version
from symdistill.knowledge.items import KnowledgeItem, Use
from symdistill.knowledge.markdown import lift_text
from symdistill.knowledge.utility import Lift

_WIDEST, _NARROWEST = 160, 60


def describe(item: KnowledgeItem, lift: Lift | None, history: Sequence[Version]) -> str:
    """What an item says, its state, and who made this version of it."""
    version = next((v for v in history if v.item.version == item.version), None)
    note = f" · {one_line(version.note, 200)}" if version and version.note else ""
    lines = [
        f"{item.id}  {one_line(item.title, 200)}",
        f"  {item.kind} · {one_line(item.task, 80)} · {item.status} · version {item.version} of "
        f"{history[-1].item.version}, by {one_line(item.edited_by, 60)}, {item.edited_at}{note}",
    ]
    if item.flags:
        lines.append(f"  flags: {', '.join(item.flags)}")
    lines.append(f"  lift: {lift_text(lift) if lift else 'not measured'}")
    return "\n".join([*lines, "", indent(visible(item.text), "  ", lambda _: True), ""])


def origins(item: KnowledgeItem) -> str:
    """Where an item came from: the questions, and the student's wrong replies to them."""
    if not item.provenance:
        return "From no question: written by hand.\n"
    lines = [f"From {len(item.provenance)} question{'' if len(item.provenance) == 1 else 's'}"]
    for source in item.provenance:
        facts = (
            *(("teacher", source.model), ("prompt", source.prompt), ("run", source.run)),
            ("request", source.request_key),
        )
        known = [f"{name} {one_line(value, 60)}" for name, value in facts if value]
        lines.append("  " + " · ".join([f"{one_line(source.example_id, 60)} ({one_line(source.task, 60)})", *known]))
        lines += _block("question", source.question)
        if source.student_reply:
            lines += _block("the student's wrong reply", source.student_reply)
    return "\n".join(lines) + "\n"


def replies(uses: Sequence[Use], current: Collection[int], most: int) -> str:
    """Whom an item helped and hurt: the replies without and with it, side by side, at most `most` of either kind."""
    counted = {(use.example_id, use.student): use for use in uses if use.version in current}
    other = len(uses) - sum(use.version in current for use in uses)
    students = len({use.student for use in counted.values()})
    of_students = f" of {students} students" if students > 1 else ""
    lines: list[str] = []
    helped = [use for use in counted.values() if use.correct_with and not use.correct_without]
    hurt = [use for use in counted.values() if use.correct_without and not use.correct_with]
    for name, chosen in (("Helped", helped), ("Hurt", hurt)):
        if not chosen:
            continue
        shown = f", {most} of them:" if len(chosen) > most else ":"
        lines.append(f"{name} {len(chosen)} of {len(counted)} replies{of_students}{shown}")
        for use in chosen[:most]:
            lines.append(f"  {one_line(use.example_id, 60)} · {one_line(use.student, 40)}")
            lines += _block("question", use.question)
            if use.gold:
                lines += _block("the right answer", use.gold)
            lines += [f"    {line}" for line in side_by_side(use.reply_without, use.reply_with)]
        lines.append("")
    if not lines:
        lines.append(f"Of {len(counted)} measured uses none changed a verdict." if counted else "It was not measured.")
    if other:
        lines.append(f"{other} more were measured with another text and do not count.")
    return "\n".join(lines)


def side_by_side(without: str, with_it: str) -> Iterator[str]:
    """Two replies in two columns, the verdicts above them."""
    width = (min(max(shutil.get_terminal_size((100, 24)).columns, _NARROWEST), _WIDEST) - 8) // 2
    yield f"{padded('without it', width)} │ with it"
    for left, right in zip_longest(wrapped(without, width), wrapped(with_it, width), fillvalue=""):
        yield f"{padded(left, width)} │ {right}".rstrip()


def _block(name: str, text: str) -> list[str]:
    return [f"    {name}:", indent(visible(text), "      ", lambda _: True)]
