"""What a student makes of a text, computed once: values that are written down as they come, one a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from symdistill.runs.directory import cannot_write
from symdistill.runs.workspace import Workspace


def remembered(
    work: Workspace, name: str, keys: Mapping[Any, str], compute: Callable[[list[Any]], Iterable[Any]], what: str
) -> dict[Any, Any]:
    """The value of each of `keys`: from NAME.jsonl, or computed now and written there, one line each.

    A line that a kill tore is computed again. The cells of a grid share the file. `what` is said of new values.
    """
    path = (work.commons.directory if work.commons else work.directory.path) / f"{name}.jsonl"
    with work.alone(name):
        known = _lines_of(path)
        missing = [one for one, key in keys.items() if key not in known]
        if missing:
            work.progress.start(name, len(missing))
            try:
                torn = path.exists() and not path.read_bytes().endswith(b"\n")
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n" if torn else "")
                    for one, value in zip(missing, compute(missing), strict=True):
                        known[keys[one]] = value
                        file.write(json.dumps({"key": keys[one], "value": value}) + "\n")
                        work.progress.advance()
            except OSError as error:
                raise cannot_write(path, error) from error
            work.progress.finish(f"{len(missing):,} {what}")
    return {one: known[key] for one, key in keys.items()}


def _lines_of(path: Path) -> dict[str, Any]:
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            found[row["key"]] = row["value"]
        except (ValueError, KeyError, TypeError):
            continue
    return found
