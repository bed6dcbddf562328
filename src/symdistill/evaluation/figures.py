"""Numbers and texts as people read them, the same in the terminal, in Markdown and in the report."""

from __future__ import annotations

import re

NOTHING = "–"

# Control characters (tab and line feed stay), direction overrides that make a line read as another, lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(text: str, limit: int) -> str:
    """`text` fit to print: line ends unified, unprintable characters shown as such, at most about `limit` characters
    with a note of what was cut."""
    cut = len(text) - limit
    if cut > 0:
        text = f"{text[:limit].rstrip()} … [{cut:,} more characters]"
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters, the cut marked."""
    line = " ".join(clean(text, 4 * limit).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def percent(share: float, digits: int = 1) -> str:
    """A share between 0 and 1 in percent, without the sign: "58.3"."""
    return f"{100 * share:.{digits}f}"


def accuracy_interval(accuracy: float, low: float, high: float) -> str:
    """ "58.3 [49.4, 66.8]", in percent."""
    return f"{percent(accuracy)} [{percent(low)}, {percent(high)}]"


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed: "+26.7"; a true zero has no sign."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def p_value(p: float) -> str:
    """ "p<.001", "p=.042", "p=1"."""
    if p < 0.001:
        return "p<.001"
    if p > 0.999:
        return "p=1"
    return f"p={p:.3f}".replace("0.", ".")


def scaled(value: float | None) -> str:
    """A large count with an SI letter: "26 G", "1.2 T"; None: a dash."""
    if value is None:
        return NOTHING
    for factor, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999.6 would round up to 1000 of the smaller unit.
        if value >= 0.9995 * factor:
            return f"{value / factor:.{1 if value < 9.95 * factor else 0}f} {letter}"
    return f"{value:.0f}"


def count(value: float | None) -> str:
    """A count with thousands separated: "1,920"; below 10 with one decimal unless whole; None: a dash."""
    if value is None:
        return NOTHING
    if value < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{value:,.0f}"


def counted(number: int, noun: str, several: str = "") -> str:
    """A number of things: "1 rule", "1,920 replies" (`several` where it is not the noun and an s)."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def duration(seconds: float | None) -> str:
    """ "0.4 s", "58 s", "4:11 min", "1:02:07 h"; None: a dash."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02} h"


def dollars(value: float | None) -> str:
    """ "$0.00", "$1.25", "$0.0042" where cents would hide it; None: a dash."""
    if value is None:
        return NOTHING
    return f"${value:.4f}" if 0 < value < 0.01 else f"${value:,.2f}"
