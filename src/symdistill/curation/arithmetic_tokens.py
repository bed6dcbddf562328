"""The tokens of arithmetic in prose: numbers, operators, brackets, signs and the words between them.

Places are those of the text itself. Work is linear in its length, whatever it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

MAX_DIGITS = 60
"""Digits of a number that is computed with; a longer one has no value."""
MAX_SCIENTIFIC = 64
"""The largest exponent of 1e3 and its like."""

Kind = Literal[
    "number", "unknown", "operator", "open", "close", "percent", "currency", "equals", "word", "break", "frac"
]

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u200a\u2002\u2003&`", " "),
        **dict.fromkeys("×⋅∙·✕✖＊∗", "*"),
        **dict.fromkeys("÷⁄∕／", "/"),
        **dict.fromkeys("≃≅∼", "≈"),
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        **dict(zip("，．：＝＋（）％", ",.:=+()%", strict=True)),
    }
)
"""One character for one, so that places stay what they are."""

_HALVES = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5)}
_EIGHTHS = {"⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8)}
_VULGAR = {sign: Fraction(*parts) for sign, parts in (_HALVES | _EIGHTHS).items()}
_WORDED = {"times": "*", "plus": "+", "minus": "-", "mod": "?", "modulo": "?", "choose": "?"}
_BY = {"multiplied": "*", "divided": "/"}

_TOKEN = re.compile(
    r"""
      (?P<unknown>(?<![\d/])\d{1,4}/\d{1,2}/\d{2,4}(?![\d/])       # a date
        |(?<![\d-])(?:1[5-9]|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\d-])
        |(?<![\d-])(?:0[1-9]|[12]\d|3[01])-(?:0[1-9]|[12]\d|3[01])-(?:1[5-9]|20)\d\d(?![\d-])
        |(?<!\d)\d{1,2}:\d{2}(?!\d)(?::\d{2}(?!\d))?               # a clock time
        |\d++,\d++(?<!,\d{3})(?!,\d)                               # 3,5
        |√|∞)
    | (?P<number>(?:\d{1,3}(?:(?:,|\{,\})\d{3}(?!\d))++|\d{1,2}(?:,\d{2}(?=,))++,\d{3}(?!\d)|\d++)(?:\.\d++)?|\.\d++)
      (?P<exponent>[eE][-+]?\d{1,9}(?!\w))?
    | (?P<vulgar>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])
    | (?P<superscript>[²³])
    | (?P<frac>\\[dtc]?frac(?![a-zA-Z]))
    | (?P<space>\\(?:left|right|displaystyle|q?quad|[bB]igg?[lr]?|boxed)(?![a-zA-Z])|\\[,;:!\ ()\[\]])
    | (?P<times>\\(?:cdot|times|ast)(?![a-zA-Z])|[xX](?=[ ]{0,2}[-$€£¥]?[ ]?[\d.(½¼¾]))
    | (?P<divided>\\div(?![a-zA-Z]))
    | (?P<about>\\(?:approx|simeq|sim|cong)(?![a-zA-Z])|≈|=\s?~|~=)
    | (?P<break>\\(?:implies|[rR]ightarrow|to)(?![a-zA-Z])|=>|->|→|⇒|[<>≤≥≠]=?|!=|\\\\|[.,;!?|\n—"“”•])
    | (?P<text>\\(?:text|textbf|mathrm|mathbf|mbox)\s?\{[^{}]{0,80}\})
    | (?P<equals>==?)
    | (?P<power>\^|\*\*)
    | (?P<percent>\\?%|per[ ]?cent(?!\w))
    | (?P<currency>\\?\$|[€£¥₹¢])
    | (?P<word>\\?[^\W\d_][\w'’]*|°[CF]?|_+\w*)
    | (?P<operator>[-+*/:])
    | (?P<open>[({\[])
    | (?P<close>[)}\]])
    """,
    re.VERBOSE,
)
_SAME: dict[str, Kind] = {
    kind: kind for kind in ("unknown", "currency", "percent", "open", "close", "frac", "break", "equals")
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text. `text` is in lower case; that of an operator is one of + - * / ^ ² ³, or ? for one that is not
    computed, and ≈ or = where `kind` is "equals".

    `value` is a number's, `places` its digits after the point. `apart`: white space stands before it. `lone`: white
    space stands after it.
    """

    kind: Kind
    text: str
    start: int
    end: int
    apart: bool = False
    lone: bool = False
    value: Fraction | None = None
    places: int = 0


def tokens(text: str) -> list[Token]:
    """The tokens of a text, in order; characters that mean nothing here are passed over."""
    text = text.translate(_CHARACTERS)
    found: list[Token] = []
    end, line_start = -1, True
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "space":  # of LaTeX
            continue
        apart = match.start() > end
        end = match.end()
        token = _token(match, apart, line_start, found[-1] if found else None)
        line_start = match.group() in ("\n", "\\\\") or (line_start and token is None)
        if token is None or (token.text == "\n" and found and found[-1].kind == "operator"):
            continue  # an expression may go on in the next line
        if token.text == "by" and found and found[-1].text in _BY:
            found[-1] = replace(found[-1], kind="operator", text=_BY[found[-1].text], end=end, lone=True)
        else:
            found.append(token)
    return found


def _token(match: re.Match[str], apart: bool, line_start: bool, before: Token | None) -> Token | None:
    group, text = match.lastgroup or "", match.group()
    rest = match.string[match.end() : match.end() + 2]
    bare = Token("unknown", text.lower(), *match.span(), apart, rest[:1].isspace() or not rest)
    if group in ("number", "exponent"):
        return _number(match, bare)
    if group == "vulgar":
        return replace(bare, kind="number", value=_VULGAR[text])
    if group in _SAME:
        return replace(bare, kind=_SAME[group], text="=" if group == "equals" else bare.text)
    if group == "about":
        return replace(bare, kind="equals", text="≈")
    if group == "text":
        return replace(bare, kind="word", text=text.partition("{")[2].rstrip("}").strip().lower() or "text")
    if group == "word":
        return _word(bare)
    sign = _operator(group, text, rest, bare, line_start, before)
    return (
        replace(bare, kind="operator", text=sign) if sign and sign not in ("unknown", "break") else _other(sign, bare)
    )


def _other(sign: str, bare: Token) -> Token | None:
    if not sign:
        return None
    return replace(bare, kind="break") if sign == "break" else bare


def _operator(group: str, text: str, rest: str, bare: Token, line_start: bool, before: Token | None) -> str:
    """The operator a sign stands for; "unknown" or "break" where it is none, "" for a mark without meaning."""
    operand = before is not None and before.kind in ("number", "close", "percent", "unknown")
    if group == "power" and text == "**":  # a power between two operands, bold type everywhere else
        follows = rest.lstrip()[:1]
        return "^" if operand and follows and (follows.isdigit() or follows in "(-") else ""
    if group == "times" and not operand:
        unit = before is not None and before.kind in ("word", "currency") and bare.apart
        return "*" if unit or text.startswith("\\") else "unknown"
    if group == "times" and not bare.apart and rest.lstrip()[:1] == "-":
        return "unknown"  # the variable of 5x - 28
    if group in ("times", "divided"):
        return "*" if group == "times" else "/"
    if text == ":":
        return "/" if operand and bare.apart == bare.lone else "break"
    if line_start and group == "operator" and bare.lone:
        return "break"  # the bullet of a list
    return text


def _number(match: re.Match[str], bare: Token) -> Token:
    digits = match["number"].replace("{,}", "").replace(",", "")
    exponent = int(match["exponent"][1:]) if match["exponent"] else 0
    if len(digits) > MAX_DIGITS or abs(exponent) > MAX_SCIENTIFIC:
        return bare
    if digits[:1] == "0" and len(digits) > 2 and digits.isdigit():
        return bare  # 0900, or the end of 5 000
    places = len(digits.partition(".")[2])
    return replace(bare, kind="number", value=Fraction(digits) * Fraction(10) ** exponent, places=places - exponent)


def _word(bare: Token) -> Token:
    if bare.text in ("equals", "equal"):
        return replace(bare, kind="equals", text="=")
    if bare.text in _WORDED:
        return replace(bare, kind="operator", text=_WORDED[bare.text])
    return replace(bare, kind="word")
