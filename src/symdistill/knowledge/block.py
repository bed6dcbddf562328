"""Knowledge items as the text that stands in a student's prompt."""

from __future__ import annotations

from collections.abc import Iterable

from symdistill.knowledge.items import Kind, KnowledgeItem

_HEADINGS: dict[Kind, str] = {
    "summary": "Learning summary:",
    "supplementary": "Supplementary knowledge:",
    "triple": "Facts:",
    "rule": "Rules:",
}


def knowledge_block(items: Iterable[KnowledgeItem]) -> str:
    """The texts of the items, those of one kind together under its heading, in the order in which they come.

    For `prompts.student_messages(…, knowledge=…)`; "" where there is nothing to say.
    """
    by_kind: dict[Kind, list[str]] = {}
    for item in items:
        if item.text.strip():
            by_kind.setdefault(item.kind, []).append(item.text.strip())
    return "\n\n".join("\n".join([_HEADINGS[kind], *texts]) for kind, texts in by_kind.items())
