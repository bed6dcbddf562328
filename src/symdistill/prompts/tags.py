"""What others wrote, as data in a prompt: between tags, and without what could end them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_BRACKETS = {"<": "‹", "[": "("}


class Tags:
    """The tags that a prompt puts around data."""

    def __init__(self, *names: str) -> None:
        self._breaks_out = re.compile(
            rf"<(?=[|｜]|\s*/?\s*(?:{'|'.join(names)})\b"  # a tag of ours, <|im_end|> and its like
            r"|/?(?:s|bos|eos|unk|pad|start_of_turn|end_of_turn|think)>|<\s*/?SYS>>)"
            r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS)\])",
            re.IGNORECASE,
        )

    def plain(self, text: str) -> str:
        """The text with other brackets for those that would close or open one of the tags, or begin a control token of
        a chat template."""
        return self._breaks_out.sub(lambda match: _BRACKETS[match.group()], text)

    def around(self, blocks: Mapping[str, str]) -> list[str]:
        """Each text, `plain`, between tags of its name."""
        return [f"<{name}>\n{self.plain(text)}\n</{name}>" for name, text in blocks.items()]
