"""`report.html`: the evidence of a run as one page that needs nothing but itself.

No script, no network, no outside file: plots are inline SVG, style is inline, and a content security policy forbids
everything else. Every text is escaped by the template engine; texts of models are cut to a length and cleaned of
control characters, so that nothing a model says can break the page or blow it up.
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from symdistill.errors import RunDirectoryError
from symdistill.evaluation import figures
from symdistill.evaluation.report_data import Limits, ReportData
from symdistill.evaluation.report_sections import sections

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_BYTES = 2_000_000
_LONGEST = 70_000


# Tried in turn until the page is small enough.
_LIMITS = (
    Limits(),
    Limits(6, 30, 800, 40),
    Limits(3, 10, 300, 20, calibrations=4),
    Limits(0, 0, 120, 10, turned=2, calibrations=2),
)


def write_report(data: ReportData, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        RunDirectoryError: the disk is full, or the place cannot be written.
    """
    write_page(render_report(data), path, "Choose a --run-dir you can write to.")


def write_page(page: str, path: Path, fix: str) -> None:
    """Write a page, whole or not at all; `fix` says what to do where the place cannot be written.

    Raises:
        RunDirectoryError: the disk is full, or the place cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(page.encode("utf-8"))
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        full = error.errno == errno.ENOSPC
        raise RunDirectoryError(
            f"The report {path} cannot be written: {error.strerror or error}.",
            "Free some space and run the same command." if full else fix,
        ) from error


def render_report(data: ReportData) -> str:
    """The page as text, below `MAX_BYTES` in UTF-8: texts and examples are cut further until it fits."""
    template = environment().get_template("report.html.j2")
    page = ""
    for limits in _LIMITS:
        page = template.render(**sections(data, limits))
        if len(page.encode("utf-8")) <= MAX_BYTES:
            break
    return page


def environment() -> Environment:
    """What turns templates into pages: every text is escaped and cleaned."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("symdistill.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "points", "p_value", "scaled", "count", "duration", "dollars", "accuracy_interval"):
        environment.filters[name] = getattr(figures, name)
    environment.filters["clip"] = figures.clean
    return environment


def _printable(value: object) -> object:
    """The last net under every text that reaches the page; markup made here passes as it is."""
    return figures.clean(value, _LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value
