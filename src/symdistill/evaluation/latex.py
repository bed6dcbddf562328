"""Tables for LaTeX, with every text escaped and nothing in them but ASCII.

They need the packages booktabs and graphicx: a table too wide for its line is made as small as it must be. No command
is used that a font encoding may lack, so that they are typeset alike by any engine; a letter that has no such spelling
becomes its code point.
"""

from __future__ import annotations

import unicodedata

from symdistill.evaluation.tables import Table, is_figure


def _table(chars: str, names: str) -> dict[str, str]:
    return dict(zip(chars, names.split(), strict=True))


_MATHS = {
    **_table("αβγδεζηθικλμ", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu"),
    **_table("νξπρστυφχψω", "nu xi pi rho sigma tau upsilon phi chi psi omega"),
    **_table("ΓΔΘΛΞΠΣΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"),
    **_table("≤≥≠≈·×÷±∞√°•…\\", "leq geq neq approx cdot times div pm infty surd circ bullet ldots backslash"),
    **_table("→←⇒∪∩∈", "rightarrow leftarrow Rightarrow cup cap in"),
}
_TEXT = {
    **{char: f"\\{char}" for char in "{}$&#%_"},
    **{char: f"${char}$" for char in "<>|"},
    **_table('^~"−–—“”‘’⁄', r"\^{} \~{} '' $-$ -- --- `` '' ` ' /"),
    **_table("ßæÆœøØłŁıåÅ", r"{\ss} {\ae} {\AE} {\oe} {\o} {\O} {\l} {\L} {\i} {\aa} {\AA}"),
}
_ACCENTS = _table("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030b\u030c\u0327", "` ' ^ ~ = u . \" H v c")
"""Combining marks, and the accent commands that every encoding has."""


def escape(text: str) -> str:
    """Text as LaTeX prints it, on one line."""
    return "".join(map(_escaped, " ".join(text.split())))


def _escaped(char: str) -> str:
    if char in _TEXT:
        return _TEXT[char]
    if char in _MATHS:
        return rf"$\{_MATHS[char]}$"
    if char.isascii():
        return char if char.isprintable() else ""
    plain = unicodedata.normalize("NFKD", char)
    if plain[0].isascii() and plain[0].isalpha() and len(plain) == 2 and plain[1] in _ACCENTS:
        return rf"\{_ACCENTS[plain[1]]}{{{plain[0]}}}"
    if plain != char:  # a ligature, a wide or raised character: as its plain ones
        return "".join(map(_escaped, plain))
    return "" if unicodedata.category(char)[0] in "CM" else f"[U+{ord(char):04X}]"


def latex_table(table: Table, caption: str, label: str) -> str:
    """A floating table ruled by booktabs; figures stand to the right. The label is not escaped."""
    figures = [i > 0 and all(is_figure(line[i]) for line in table[1:]) for i in range(len(table[0]))]
    columns = "".join("r" if figure else "l" for figure in figures)
    # Without the braces a row that begins with "[" or "*" would be read as an option of what ends the row before it.
    head, *lines = ["{}" + " & ".join(escape(cell) for cell in line) + r" \\" for line in table]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\sbox0{{\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{{label}}}",
            r"\end{table}",
        ]
    )
