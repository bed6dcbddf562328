"""Rows of a file or folder, one mapping a row, with errors that name the file and the line.

Text files are read a line at a time and no line is read further than 16 MB, so a damaged file cannot fill the memory.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import IO, Any

from symdistill.errors import DataError, PrerequisiteError

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of one line."""
KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Endings that are understood; all but the last also with `.gz` behind them."""

Row = dict[str, Any]

_BATCH = 1000
_NOTHING_STARTED = "Nothing was started."
_REPAIR = "Correct that line, or take it out, and run again."
_ARRAY = "A list goes into a file that ends in .json; in this one every line is an object."
_LIKE = 0.6  # from which two names may be meant for each other
_SPLIT_IN_NAME = re.compile(r"(?:^|[^a-z])(train|test|validation|valid|val|dev)(?:[^a-z]|$)", re.IGNORECASE)


def read_rows(path: Path, key: str | None = None) -> Iterator[tuple[str, Row]]:
    """Each row of `path` with its place ("data.jsonl, line 3"). `key` is the setting or option that names it.

    A folder is a dataset written by Hugging Face's `save_to_disk` (its splits become a `split` column), or holds files
    of the other kinds, whose names say the split.

    Raises:
        DataError: nothing is there, the kind is unknown, or the content is damaged.
        PrerequisiteError: Parquet or a saved dataset without the package that reads it.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise no_file(path, key)
    kind = _kind(path)
    if kind is None:
        raise DataError(
            f"{path} has an unknown ending.", f"Known: {', '.join(KINDS)}, each but the last also with .gz behind it."
        )
    if kind == ".parquet":
        return _read_parquet(path)
    if kind in (".csv", ".tsv"):
        return _read_csv(path, "," if kind == ".csv" else "\t")
    return _read_json(path, array=kind == ".json")


def read_text(path: Path, key: str | None = None) -> str:
    """The text of a file. `key` is the setting or option that names it. Raises DataError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise no_file(path, key) from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"Cannot read {_named(path, key)}: {error.strerror or error}.", "Name a text file.") from error


def no_file(path: Path, key: str | None = None) -> DataError:
    """The error about a file that is not there. `key` is the setting or option that names it."""
    return DataError(f"There is no file {_named(path, key)}.", way_to(path))


def read_hub(name: str) -> Iterator[tuple[str, Row]]:
    """Each row of a dataset on the hub; `name` is its id, and `:CONFIG` behind it names one of its configurations.

    Raises:
        DataError: the hub cannot be reached, or has no such dataset.
        PrerequisiteError: the `datasets` package is missing.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise PrerequisiteError("A dataset of the hub needs `datasets`.", "pip install 'symdistill[hub]'") from error
    dataset, _, config = name.partition(":")
    try:
        loaded = load_dataset(dataset, config or None)
    except Exception as error:  # the hub's client raises errors of many libraries
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"Cannot load {name} from the hub ({type(error).__name__}: {reason}).",
            "Check the name (`task.hub: ID` or `ID:CONFIG`) and the connection, or set `task.path` to a file.",
        ) from error
    return _dataset_rows(loaded, name)


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    kind = next((k for k in KINDS if name.removesuffix(".gz").endswith(k)), None)
    return None if kind == ".parquet" and name.endswith(".gz") else kind


def _named(path: Path, key: str | None) -> str:
    return f"{path} (`{key}`)" if key else str(path)


def way_to(path: Path, check: str = "Check the path.") -> str:
    """What to do about a file or folder that is not there: make it, or take the one that was meant, else `check`."""
    for script in (path.parent / "data.py", path.parent.parent / "data.py"):  # as examples/ has them
        if script.is_file():
            return f"`python {script} --help` says how to make it."
    meant = file_meant(path)
    if meant is not None:
        return f"Did you mean {meant}?"
    return check if path.parent.is_dir() else f"There is no folder {path.parent} either. {check}"


def file_meant(path: Path, endings: tuple[str, ...] | None = None) -> Path | None:
    """The entry of the same folder whose name is most like that of `path`, what stands behind the first dot aside: a
    common ending makes no two names alike. `endings` are those it may have; without them it has that of `path`, or its
    name before the first dot."""
    if not path.parent.is_dir():
        return None

    def likeness(name: str) -> tuple[float, float]:
        stems = (_stem(path.name), _stem(name))
        return SequenceMatcher(None, *stems).ratio(), SequenceMatcher(None, path.name, name).ratio()

    def possible(name: str) -> bool:
        if endings is not None:
            return name.endswith(endings)
        return _ending(name) == _ending(path.name) or _stem(name) == _stem(path.name)

    names = sorted(entry.name for entry in path.parent.iterdir() if possible(entry.name))
    found = max(names, key=likeness, default=None)
    return path.parent / found if found is not None and likeness(found)[0] >= _LIKE else None


def _stem(name: str) -> str:
    return name.partition(".")[0].lower()


def _ending(name: str) -> str:
    """The ending that says the kind of a file: compressed or not, it is the same kind."""
    return Path(name.lower().removesuffix(".gz")).suffix


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, from 1."""
    number = 0
    try:
        with _open(path) as file:
            while line := file.readline(LINE_LIMIT + 1):
                number += 1
                if len(line) > LINE_LIMIT:
                    size = f"longer than {LINE_LIMIT // 2**20} MB"
                    raise DataError(f"{path}, line {number}: {size}. {_NOTHING_STARTED}", "Is a line break missing?")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                yield number, line.decode("utf-8")
    except UnicodeDecodeError as error:
        said = "utf-16" if number == 1 and error.object.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin1"
        raise DataError(
            f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line). {_NOTHING_STARTED}",
            f"Convert the file, for example with `iconv -f {said} -t utf-8`.",
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is damaged after line {number} ({str(error).rstrip('.')}). {_NOTHING_STARTED}",
            "Download or compress the file again.",
        ) from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.", "Check the file and its rights.") from error


def _open(path: Path) -> gzip.GzipFile | IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _read_json(path: Path, *, array: bool) -> Iterator[tuple[str, Row]]:
    """JSON lines; with `array` also one JSON array of objects."""
    good = 0
    for number, line in _lines(path):
        if not line.strip():
            continue
        if array and good == 0 and line.lstrip().startswith("["):
            yield from _read_array(path)
            return
        yield _place(path, "line", number), _object(path, number, line, good)
        good += 1


def _object(path: Path, number: int, line: str, good: int) -> Row:
    kept = f"{good:,} good row{'' if good == 1 else 's'} before it. {_NOTHING_STARTED}"
    listed = good == 0 and line.lstrip().startswith("[")
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        expected = error.msg.replace("Expecting value", "expected a value").replace("Expecting", "expected")
        problem = f"not valid JSON ({expected[0].lower()}{expected[1:]} at column {error.colno})"
        raise DataError(f"{path}, line {number}: {problem}. {kept}", _ARRAY if listed else _REPAIR) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path}, line {number}: half of a surrogate pair, which is no text. {kept}", _REPAIR
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nesting without end
        raise DataError(f"{path}, line {number}: JSON that cannot be read ({error}). {kept}", _REPAIR) from error
    if not isinstance(row, dict):
        problem = f"a {_json_type(row)}, not an object"
        raise DataError(f"{path}, line {number}: {problem}. {kept}", _ARRAY if listed else "One object a line.")
    return row


def _read_array(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        rows = json.loads("".join(line for _, line in _lines(path)))
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}: not valid JSON ({error.msg} at column {error.colno})"
        raise DataError(f"{path}, {at}. {_NOTHING_STARTED}", "Correct the file and run again.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: JSON that cannot be read ({error}). {_NOTHING_STARTED}", "Correct the file."
        ) from error
    for number, row in enumerate(rows, 1):
        place = _place(path, "row", number)
        if not isinstance(row, dict):
            raise DataError(f"{place}: a {_json_type(row)}, not an object.", "The array holds one object a row.")
        yield place, row


def _json_type(value: object) -> str:
    names: Mapping[type, str] = {list: "list", str: "text", int: "number", float: "number", bool: "truth value"}
    return names.get(type(value), "null")


def _read_csv(path: Path, delimiter: str) -> Iterator[tuple[str, Row]]:
    reader = csv.reader((line for _, line in _lines(path)), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_separator(path, header, delimiter)
                continue
            place = _place(path, "line", reader.line_num)
            if len(cells) > len(header):
                raise DataError(
                    f"{place}: {len(cells)} cells under {len(header)} column names.",
                    "Quote cells that hold the separator.",
                )
            yield place, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise DataError(f"{_place(path, 'line', reader.line_num)}: not valid CSV ({error}).", _REPAIR) from error


def _check_separator(path: Path, header: list[str], delimiter: str) -> None:
    """Raises DataError where the names of the columns stand in one cell."""
    other = next((mark for mark in ";\t,|" if mark in header[0]), None)
    if len(header) == 1 and other is not None:
        wanted, found = (repr(mark) if mark == "\t" else f"`{mark}`" for mark in (delimiter, other))
        raise DataError(
            f"{path}: its columns are separated by {found}, not by {wanted}.",
            "Save it with commas as .csv, or with tabs as .tsv.",
        )


def _read_parquet(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise PrerequisiteError(f"Reading {path} needs pyarrow.", "pip install 'symdistill[parquet]'") from error
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield _place(path, "row", number), row
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise DataError(
            f"{path} is not a Parquet file that can be read ({reason}).", "Write the file again."
        ) from error


def _read_folder(path: Path) -> Iterator[tuple[str, Row]]:
    if any((path / name).exists() for name in ("dataset_info.json", "dataset_dict.json", "state.json")):
        return _read_saved_dataset(path)
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and _kind(file) and file.name != "README.json"]
    if not files:
        raise DataError(
            f"The folder {path} holds no dataset.",
            f"It should be a dataset saved with `save_to_disk`, or hold files ending in {', '.join(KINDS)}.",
        )
    return _read_files(files)


def _read_files(files: Iterable[Path]) -> Iterator[tuple[str, Row]]:
    for file in files:
        named = _SPLIT_IN_NAME.search(file.name)
        for place, row in read_rows(file):
            if named:
                row.setdefault("split", named[1].lower())
            yield place, row


def _read_saved_dataset(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        from datasets import load_from_disk
    except ImportError as error:
        raise PrerequisiteError(f"Reading {path} needs `datasets`.", "pip install 'symdistill[hub]'") from error
    try:
        loaded = load_from_disk(str(path))
    except Exception as error:  # Arrow, file system and JSON errors alike: the folder cannot be used
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise DataError(f"{path} is not a saved dataset that can be read ({reason}).", "Save it again.") from error
    return _dataset_rows(loaded, str(path))


def _dataset_rows(loaded: Any, name: str) -> Iterator[tuple[str, Row]]:
    """Rows of a `datasets.Dataset` or `DatasetDict`, with class numbers turned into their names."""
    parts = loaded.items() if isinstance(loaded, dict) else [(None, loaded)]
    for split, part in parts:
        classes = {c: f.names for c, f in part.features.items() if type(f).__name__ == "ClassLabel" and f.names}
        number = 0
        for table in part.with_format("arrow").iter(batch_size=_BATCH):
            for row in table.to_pylist():
                number += 1
                for column, names in classes.items():
                    value = row[column]
                    row[column] = names[value] if value is not None and 0 <= value < len(names) else None
                if split is not None:
                    row.setdefault("split", split)
                yield f"{name}, {f'split {split}, ' if split else ''}row {number}", row


def _place(path: Path, unit: str, number: int) -> str:
    return f"{path}, {unit} {number}"
