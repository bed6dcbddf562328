"""A BM25 index as a directory.

The postings are laid out as the library `bm25s` lays them out, so it opens the directory too: `data.csc.index.npy`
(impacts), `indices.csc.index.npy` (texts), `indptr.csc.index.npy` (where each term begins), `vocab.index.json`,
`params.index.json`. Beside them stand `maxima.npy` (the largest impact of each term) and `index.json`: version,
counts, and size and checksum of every file. Arrays hold numbers, text is JSON; nothing in the directory is ever run.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import DataError
from symdistill.knowledge.terms import TERMS_VERSION

VERSION = 1

_MANIFEST = "index.json"
_VOCABULARY = "vocab.index.json"
_PARAMETERS = "params.index.json"
_ARRAYS: dict[str, tuple[str, np.dtype[Any]]] = {
    "offsets": ("indptr.csc.index.npy", np.dtype(np.int64)),
    "rows": ("indices.csc.index.npy", np.dtype(np.int32)),
    "impacts": ("data.csc.index.npy", np.dtype(np.float32)),
    "maxima": ("maxima.npy", np.dtype(np.float32)),
}
_REBUILD = "Delete the directory and build the index again."


@dataclass(frozen=True, slots=True)
class Postings:
    """What an index holds. Term t is in the texts `rows[offsets[t]:offsets[t + 1]]`, ascending, with as many `impacts`.

    `maxima[t]` is the largest of them. `source` is the directory it came from, None for one just built.
    """

    vocabulary: Mapping[str, int]
    offsets: NDArray[np.int64]
    rows: NDArray[np.int32]
    impacts: NDArray[np.float32]
    maxima: NDArray[np.float32]
    texts: int
    k1: float
    b: float
    source: Path | None = field(default=None, compare=False)

    def of(self, term: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The posting list of a term."""
        start, end = int(self.offsets[term]), int(self.offsets[term + 1])
        return self.rows[start:end], self.impacts[start:end]

    def damaged(self, what: str) -> DataError:
        """The error to raise when the postings contradict themselves."""
        return _damaged(self.source, what)


def write_index(directory: Path, postings: Postings) -> None:
    """Write an index under a temporary name beside `directory`, bring it to the disk, then take the name.

    Raises:
        DataError: it cannot be written, or `directory` holds something that is no index.
    """
    if directory.exists() and not (directory / _MANIFEST).is_file():
        raise DataError(f"{directory} is there already and is not a BM25 index.", "Choose another directory.")
    new: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        new = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.tmp")
        new.mkdir()
        _write_files(new, postings)
        _take_name(new, directory)
    except OSError as error:
        raise DataError(
            f"Cannot write the BM25 index {directory} ({(error.strerror or str(error)).lower()}).",
            "Free some space or choose a directory you can write to; an index that was there is untouched.",
        ) from error
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _write_files(new: Path, postings: Postings) -> None:
    files = {}
    for name, (file, dtype) in _ARRAYS.items():
        with _synced(new / file) as out:
            np.save(out, np.asarray(getattr(postings, name), dtype=dtype), allow_pickle=False)
    # Escaped: a lone surrogate in a text survives.
    _write_json(new / _VOCABULARY, postings.vocabulary)
    shared = {"k1": postings.k1, "b": postings.b, "num_docs": postings.texts}
    library = {"method": "lucene", "idf_method": "lucene", "dtype": "float32", "int_dtype": "int32"}
    _write_json(new / _PARAMETERS, shared | library)
    for path in sorted(new.iterdir()):
        files[path.name] = {"bytes": path.stat().st_size, "crc32": _crc32(path)}
    counts = {"texts": postings.texts, "terms": len(postings.vocabulary), "postings": len(postings.rows)}
    parameters = {"k1": postings.k1, "b": postings.b, "tokenizer": TERMS_VERSION}
    _write_json(new / _MANIFEST, {"version": VERSION} | counts | parameters | {"files": files})
    _sync_directory(new)


def _take_name(new: Path, directory: Path) -> None:
    """Rename; an index of the same name steps aside first, and is deleted last."""
    aside = new.with_name(new.name.removesuffix(".tmp") + ".old")
    there = directory.exists()
    if there:
        os.rename(directory, aside)
    try:
        os.rename(new, directory)
    except OSError:
        if there:
            os.rename(aside, directory)
        raise
    _sync_directory(directory.parent)
    if there:
        shutil.rmtree(aside, ignore_errors=True)


def read_index(directory: Path, *, mmap: bool) -> Postings:
    """Open an index. Sizes and counts are checked always, checksums where the whole file is read anyway.

    Raises:
        DataError: there is no index, it is damaged or cut short, or a later version wrote it.
    """
    manifest = _manifest(directory)
    try:
        for name in (_VOCABULARY, _PARAMETERS, *(file for file, _ in _ARRAYS.values())):
            _check_file(directory / name, manifest["files"][name], whole=not mmap or name.endswith(".json"))
        arrays = {name: _array(directory / file, dtype, mmap=mmap) for name, (file, dtype) in _ARRAYS.items()}
        vocabulary = json.loads((directory / _VOCABULARY).read_bytes())
        postings = Postings(
            vocabulary,
            arrays["offsets"],
            arrays["rows"],
            arrays["impacts"],
            arrays["maxima"],
            int(manifest["texts"]),
            float(manifest["k1"]),
            float(manifest["b"]),
            directory,
        )
        _check_counts(postings, int(manifest["terms"]), int(manifest["postings"]))
    except FileNotFoundError as error:
        raise _damaged(directory, f"{Path(error.filename).name} is missing") from error
    except OSError as error:
        raise DataError(
            f"Cannot read the BM25 index {directory} ({(error.strerror or str(error)).lower()}).",
            "Check its permissions.",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged(directory, str(error) or type(error).__name__) from error
    return postings


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / _MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{directory} is not a BM25 index: it has no {_MANIFEST}.", "Build one with `save`.") from None
    except OSError as error:
        raise DataError(f"Cannot read {path} ({(error.strerror or str(error)).lower()}).", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(directory, f"{_MANIFEST} is not JSON") from error
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise _damaged(directory, f"{_MANIFEST} names no version")
    if version > VERSION or _number(manifest.get("tokenizer")) > TERMS_VERSION:
        raise DataError(
            f"The BM25 index {directory} was written by a later version of symdistill.",
            "Install that version, or newer, or build the index again.",
        )
    if version < VERSION or _number(manifest.get("tokenizer")) < TERMS_VERSION:
        raise DataError(f"The BM25 index {directory} is of an earlier version of symdistill.", _REBUILD)
    return dict(manifest)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _check_file(path: Path, entry: Mapping[str, Any], *, whole: bool) -> None:
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"{path.name} has {size:,} bytes instead of {entry['bytes']:,}")
    if whole and _crc32(path) != entry["crc32"]:
        raise ValueError(f"the content of {path.name} has changed since it was written")


def _array(path: Path, dtype: np.dtype[Any], *, mmap: bool) -> NDArray[Any]:
    # A file of no entries cannot be mapped.
    loaded = np.load(path, mmap_mode="r" if mmap and path.stat().st_size > 128 else None, allow_pickle=False)
    array = np.asarray(loaded)  # the plain class: slices of np.memmap cost several times as much
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{path.name} holds {array.ndim}-dimensional {array.dtype}, not a column of {dtype}")
    return array


def _check_counts(postings: Postings, terms: int, entries: int) -> None:
    offsets = postings.offsets
    sound = (
        len(postings.vocabulary) == len(postings.maxima) == len(offsets) - 1 == terms
        and len(postings.rows) == len(postings.impacts) == entries == offsets[-1]
        and offsets[0] == 0
        and bool(np.all(offsets[1:] > offsets[:-1]))
    )
    if not sound:
        raise ValueError("its files do not belong together")


def _damaged(directory: Path | None, what: str) -> DataError:
    return DataError(f"The BM25 index {directory or 'in memory'} is damaged: {what}.", _REBUILD)


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[Any]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_json(path: Path, value: Any) -> None:
    with _synced(path) as file:
        file.write(json.dumps(value).encode("ascii"))


def _crc32(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems do not let a directory be synced: nothing is lost by it
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
