"""Texts that end a reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_TAIL = 16
"""Tokens beyond the longest text's own bytes that are looked at for it."""


@dataclass(frozen=True, slots=True)
class Stops:
    """A reply is over at the first of `texts`, which is left out of it."""

    texts: tuple[str, ...]

    def met(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> bool:
        """Whether one of the texts stands in the last of the tokens; to be asked at every token, since it looks no
        further back than a text may begin."""
        if not self.texts:
            return False
        tail = decode(tokens[-(max(len(text.encode()) for text in self.texts) + _TAIL) :])
        return any(text in tail for text in self.texts)

    def cut(self, reply: str) -> str:
        """The reply up to the first of the texts."""
        found = [at for at in (reply.find(text) for text in self.texts) if at >= 0]
        return reply[: min(found)] if found else reply
