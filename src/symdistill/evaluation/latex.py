"""Tables for LaTeX, with every text escaped."""

from __future__ import annotations

from symdistill.evaluation.tables import Table, is_figure

_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "−": "$-$",
        "–": "--",
        "≤": r"$\leq$",
        "·": r"$\cdot$",
        "τ": r"$\tau$",
        "λ": r"$\lambda$",
        "α": r"$\alpha$",
    }
)


def escape(text: str) -> str:
    """Text as LaTeX prints it, on one line."""
    return " ".join(text.split()).translate(_ESCAPED)


def latex_table(table: Table, caption: str, label: str) -> str:
    """A floating table ruled by booktabs; figures stand to the right. The label is not escaped."""
    figures = [i > 0 and all(is_figure(line[i]) for line in table[1:]) for i in range(len(table[0]))]
    columns = "".join("r" if figure else "l" for figure in figures)
    head, *lines = [" & ".join(escape(cell) for cell in line) + r" \\" for line in table]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{{label}}}",
            r"\end{table}",
        ]
    )
