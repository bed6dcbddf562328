"""Text of a model or a file, fit to be shown: what would act on a terminal or hide from a reader is written out."""

from __future__ import annotations

import re

# What moves a cursor, colours a terminal, or changes the order of what stands around it: controls but for tab and line
# break, marks of writing direction, odd line breaks, halves of surrogate pairs.
_ACTING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff"
# What nobody sees: soft hyphens, characters without width, fillers that look like a blank, marks of annotations, the
# invisible copy of ASCII at U+E0000, and the variation selectors behind it, which can carry any bytes.
_HIDDEN = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e01ef"
)
# Joiners are part of emoji and of scripts such as Persian and Hindi; beside ASCII they only hide.
_JOINERS = "(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
_UNSEEN = re.compile(f"[{_ACTING}{_HIDDEN}]|{_JOINERS}")
_CONTROLS = re.compile(f"(?!\r\n)[{_ACTING}]")


def visible(text: str) -> str:
    """The text as a terminal may show it: what acts or hides is written out (`\\x1b`)."""
    return _UNSEEN.sub(_written_out, text.replace("\r\n", "\n"))


def without_controls(text: str) -> str:
    """The text as a file for people may hold it: what acts on a terminal is written out, line ends stay."""
    return _CONTROLS.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
