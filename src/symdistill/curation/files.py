"""`rationales.jsonl` and `dropped.jsonl`: what curation decided, as files a person can read and edit.

A row of `rationales.jsonl` is `{id, question, rationale, answer, correct, sample_index, model, task, key}`; the first
seven are what other programs rely on. `token_logprobs` follows where the teacher sent them, null in place of minus
infinity. `dropped.jsonl` adds `reason` and `detail`. Files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

from symdistill.curation.filters import REASONS
from symdistill.errors import DataError
from symdistill.records import Dropped, Rationale

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is taken for damage, not for a rationale."""

_JSON = json.JSONEncoder(ensure_ascii=False)
_ROW = 'A row looks like {"id": …, "question": …, "rationale": …, "answer": …}.'


def write_rationales(path: Path, rationales: Iterable[Rationale]) -> int:
    """Write one row a rationale and return how many.

    Raises:
        DataError: the file cannot be written (disk full, no permission); what was there before is untouched.
    """
    return _write_all(path, rationales)


def write_dropped(path: Path, dropped: Iterable[Dropped]) -> int:
    """Write one row a dropped rationale and return how many. Raises as `write_rationales`."""
    return _write_all(path, dropped)


@contextlib.contextmanager
def lines_written(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes lines (`line`, one or many), for files that are written side by side as their rows come.

    The lines stand under a temporary name until the block ends without an exception; then they take the name `path`.

    Raises:
        DataError: as `write_rationales`, from the function too.
    """
    temporary = path.with_name(f".{path.name}.tmp")

    def write(lines: bytes) -> None:
        try:
            file.write(lines)
        except OSError as error:
            raise _unwritable(path, error) from error

    try:
        try:
            file = temporary.open("wb", buffering=1 << 20)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            yield write
            _take_name(file, temporary, path)
        finally:
            with contextlib.suppress(OSError):  # what could not be written has been reported by now
                file.close()
    except BaseException:
        _discard(temporary)
        raise


def read_rationales(path: Path) -> Iterator[Rationale]:
    """The rationales of a file, one at a time, hand-written rows included.

    `id`, `question` and `rationale` must be there; `answer` and `correct` may be missing or null, `task` is "task" when
    missing, `sample_index` 0, `model` and `key` empty, `token_logprobs` None. Other fields and blank lines are ignored.

    Raises:
        DataError: the file cannot be read, or a line is not such a row; the message names file and line.
    """
    for place, row in _read_rows(path):
        yield _rationale(row, place, truncated=False)


def read_dropped(path: Path) -> Iterator[Dropped]:
    """The rows of a `dropped.jsonl`, one at a time. Raises as `read_rationales`."""
    for place, row in _read_rows(path):
        reason = _field(row, "reason", str, place, required=True)
        if reason not in REASONS:
            raise DataError(f"{place}: unknown reason {reason!r}.", f"Reasons are {', '.join(REASONS)}.")
        # Being cut is the first reason of all, so a cut rationale has no other.
        rationale = _rationale(row, place, truncated=reason == "truncated")
        yield Dropped(rationale, reason, _field(row, "detail", str, place) or "")


def _row(record: Rationale | Dropped) -> dict[str, Any]:
    if isinstance(record, Dropped):
        return _row(record.rationale) | {"reason": record.reason, "detail": record.detail}
    rationale = record
    row: dict[str, Any] = {
        "id": rationale.example_id,
        "question": rationale.question,
        "rationale": rationale.text,
        "answer": rationale.answer,
        "correct": rationale.correct,
        "sample_index": rationale.sample_index,
        "model": rationale.model,
        "task": rationale.task,
        "key": rationale.key,
    }
    if rationale.token_logprobs is not None:
        # JSON knows no infinity, which is what some servers send for a token they would never have drawn.
        row["token_logprobs"] = [value if math.isfinite(value) else None for value in rationale.token_logprobs]
    return row


def _rationale(row: dict[str, Any], place: str, *, truncated: bool) -> Rationale:
    answer = row.get("answer")
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = row["answer"] = str(answer)  # people write 42 where the program writes "42"
    index = _field(row, "sample_index", int, place)
    return Rationale(
        example_id=_field(row, "id", str, place, required=True),
        task=_field(row, "task", str, place) or "task",
        question=_field(row, "question", str, place, required=True),
        text=_field(row, "rationale", str, place, required=True),
        answer=_field(row, "answer", str, place),
        correct=_field(row, "correct", bool, place),
        sample_index=index or 0,
        model=_field(row, "model", str, place) or "",
        key=_field(row, "key", str, place) or "",
        truncated=truncated,
        token_logprobs=_logprobs(_field(row, "token_logprobs", list, place), place),
    )


def _logprobs(values: list[Any] | None, place: str) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        if any(isinstance(value, bool | str) for value in values):
            raise TypeError
        return tuple(-math.inf if value is None else float(value) for value in values)
    except (TypeError, OverflowError) as error:
        raise DataError(f"{place}: `token_logprobs` must hold numbers or null.", _ROW) from error


_TYPE_NAMES = {str: "a text", int: "a whole number", bool: "true, false or null", list: "a list"}


def _field(row: dict[str, Any], name: str, kind: type, place: str, *, required: bool = False) -> Any:
    """The value of a field, None where it may be missing and is."""
    value = row.get(name)
    if value is None:
        if not required:
            return None
        if name in row:
            raise DataError(f"{place}: `{name}` is null.", _ROW)
        near = get_close_matches(name, [key for key in row if key not in ("id", "question", "rationale")], n=1)
        hint = f" Did you mean it by `{near[0]}`?" if near else ""
        raise DataError(f"{place}: the row has no `{name}`.{hint}", _ROW)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DataError(f"{place}: `{name}` must be {_TYPE_NAMES[kind]}, not {json.dumps(value)[:60]}.", _ROW)
    return value


def _read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, "FILE, line N"."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                place = f"{path}, line {number}"
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(
                        f"{place}: longer than {MAX_LINE_BYTES // 2**20} MiB.", "Put one rationale on each line."
                    )
                row = _parse(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, place)
                if row is not None:
                    yield place, row
    except OSError as error:
        raise DataError(
            f"Cannot read {path}: {_cause(error)}.", "Check the path, or run `symdistill curate`."
        ) from error


def _parse(line: bytes, place: str) -> dict[str, Any] | None:
    """The JSON object on a line, None for a blank line."""
    if not line.strip():
        return None
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: not UTF-8 (byte {error.start + 1}).", "Save the file as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: not valid JSON ({error.msg} at column {error.colno}).", _ROW) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not valid JSON ({error}).", _ROW) from error
    if not isinstance(row, dict):
        raise DataError(f"{place}: a row must be a JSON object.", _ROW)
    return row


def _write_all(path: Path, records: Iterable[Rationale | Dropped]) -> int:
    count = 0
    with lines_written(path) as write:
        for record in records:
            write(line(record))
            count += 1
    return count


def _take_name(file: IO[bytes], temporary: Path, path: Path) -> None:
    """Bring a file to the disk, then give it its name."""
    try:
        file.flush()
        os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    _sync_directory(path.parent)


def _unwritable(path: Path, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    way_out = "Free some space" if full else "Make the directory writable or choose another"
    return DataError(
        f"Cannot write {path}: {_cause(error)}.",
        f"{way_out} and run the same command again; what was there before is untouched.",
    )


def line(record: Rationale | Dropped) -> bytes:
    """A rationale as its line of `rationales.jsonl`, a dropped one as that of `dropped.jsonl`."""
    row = _row(record)
    try:
        return _JSON.encode(row).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, as some models emit: escaped, it survives
        return json.dumps(row).encode("ascii") + b"\n"


def _sync_directory(directory: Path) -> None:
    """Make a rename last through a power cut, where the system lets a directory be synced."""
    with contextlib.suppress(OSError):  # the rename has happened: there is nothing to report
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # the error that led here is the one to report
        temporary.unlink(missing_ok=True)


def _cause(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return (error.strerror or str(error)).lower()
