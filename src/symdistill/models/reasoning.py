"""Tells a reply from the thinking before it."""

from __future__ import annotations

import re

_OPEN = re.compile(r"\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_CLOSE_ONLY = re.compile(r"</(think|thinking|reasoning)>", re.IGNORECASE)


def split_reasoning(text: str) -> tuple[str | None, str, bool]:
    """Split a reply into its reasoning block and what it says.

    The block leads the reply as <think>, <thinking> or <reasoning>. Some chat templates open it in the prompt, so
    that the reply begins inside it and only the closing tag is seen.

    Returns:
        The reasoning (None where the reply has no block), the reply without it, and whether the block was closed.
        Of a block never closed everything is reasoning and the reply is empty: it was cut while it was thinking.
    """
    opened = _OPEN.match(text)
    if opened is None:
        closed = _CLOSE_ONLY.search(text) if "</" in text else None
        if closed is None or _opens_before(text, closed):
            return None, text, True
        return text[: closed.start()].strip(), text[closed.end() :].strip(), True
    closed = re.compile(rf"</{opened[1]}>", re.IGNORECASE).search(text, opened.end())
    if closed is None:
        return text[opened.end() :].strip(), "", False
    return text[opened.end() : closed.start()].strip(), text[closed.end() :].strip(), True


def _opens_before(text: str, closed: re.Match[str]) -> bool:
    """Whether the block that ends here also began in the text: then it is part of what the reply says."""
    return re.compile(rf"<{closed[1]}>", re.IGNORECASE).search(text, 0, closed.start()) is not None
