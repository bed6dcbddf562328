"""Files of one JSON object a line: a mistake is named by file and line, and a file is written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from symdistill.errors import DataError
from symdistill.tasks.files import read_text


def json_lines(path: Path, form: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file, each with where it stands. `form` says what a line looks like.

    Raises:
        DataError: the file cannot be read, or a line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{place}: not valid JSON ({problem}).", form) from None
        if not isinstance(row, dict):
            raise DataError(f"{place}: not a JSON object.", form)
        yield place, row


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one line an object and return how many. Raises DataError; what was there before is then untouched."""
    lines = [json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
    write_whole(path, "".join(lines))
    return len(lines)


def write_whole(path: Path, text: str) -> None:
    """Write a text under a temporary name beside `path` and rename it. Raises DataError."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text.encode("utf-8", "backslashreplace"))
        os.chmod(temporary, 0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise DataError(f"Cannot write {path}: {error.strerror or error}.", "Name a place you can write to.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
