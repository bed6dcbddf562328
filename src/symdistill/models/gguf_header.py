"""Checks a GGUF file by its header: is it one, is it whole, and which weights are in it.

Native loaders end a process, or talk gibberish, on a file that was cut off; the header says how long the file has to
be. Layout: the GGUF specification, version 2 and 3 (ggml-org/ggml, docs/gguf.md).
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from pathlib import Path

from symdistill.errors import PrerequisiteError

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_FIXED_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_DEFAULT_ALIGNMENT = 32
_MAX_DIMENSIONS = 8
_MAX_NESTING = 8
_MEBIBYTE = 1 << 20

_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    9: (32, 40),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    30: (1, 2),
}
"""Elements and bytes of a block, by ggml tensor type. Types not listed are held to begin inside the file."""


def check_gguf(path: Path) -> None:
    """Make sure that `path` is a whole GGUF file.

    Raises:
        PrerequisiteError: there is no such file, it is not GGUF, or it ends before its last tensor does.
    """
    if not path.is_file():
        what = "is a directory, not a GGUF file" if path.is_dir() else "does not exist"
        raise PrerequisiteError(f"Model file {path} {what}.", "Give the path of a .gguf file.")
    size = path.stat().st_size
    if size == 0:
        raise PrerequisiteError(f"Model file {path} is empty.", "Download it again.")
    try:
        needed = _needed_size(path)
    except OSError as problem:
        raise PrerequisiteError(
            f"Model file {path} cannot be read ({problem.strerror}).", "Check its permissions."
        ) from problem
    except _NotReadable as problem:
        raise PrerequisiteError(f"Model file {path} cannot be read: {problem}.", "Download it again.") from problem
    if needed is None:
        raise PrerequisiteError(f"Model file {path} is truncated inside its header.", "Download it again.")
    if size < needed:
        raise PrerequisiteError(
            f"Model file {path} is truncated: {size:,} bytes of at least {needed:,}.", "Download it again."
        )


def gguf_fingerprint(path: Path) -> str:
    """Eight hexadecimal digits that name the weights, wherever the file lies: its size, first and last mebibyte."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_MEBIBYTE))
        file.seek(max(0, size - _MEBIBYTE))
        digest.update(file.read(_MEBIBYTE))
    return digest.hexdigest()[:8]


def gguf_parameters(path: Path) -> int | None:
    """The number of weights in a GGUF file, None where its header cannot be read. A head that is tied to the embedding
    counts twice where the file holds it by itself, since nothing there says that it is: `teacher.parameters` does."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            reader = _Reader(data)
            reader.needed_size()
            return reader.elements if data[:4] == _MAGIC else None
    except (OSError, ValueError, struct.error, IndexError, _NotReadable):
        return None


def _needed_size(path: Path) -> int | None:
    """Bytes the file must have; None when it ends inside its header.

    Raises:
        OSError, _NotReadable, PrerequisiteError: it cannot be opened; no header reads so; it is something else.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != _MAGIC:
            raise PrerequisiteError(
                f"Model file {path} is not GGUF (it begins with {data[:4]!r}).",
                "Convert the model to GGUF, or use `transformers:` for a Hugging Face directory.",
            )
        try:
            return _Reader(data).needed_size()
        except (struct.error, IndexError):
            return None


class _NotReadable(Exception):
    """The header says something no GGUF says."""


class _Reader:
    """Walks over a header. Running past the end raises struct.error or IndexError."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(_MAGIC)
        self._alignment = _DEFAULT_ALIGNMENT
        self.elements = 0
        """Of all tensors that were passed, together."""

    def needed_size(self) -> int:
        """Bytes the file must have, so that every tensor lies inside it."""
        version = self._u32()
        if version not in (2, 3):
            raise _NotReadable(f"GGUF version {version} is not known")
        tensors, pairs = self._u64(), self._u64()
        for _ in range(pairs):
            self._pair()
        ends = [self._tensor_end() for _ in range(tensors)]
        start = -(-self._at // self._alignment) * self._alignment
        return start + max(ends, default=0)

    def _u32(self) -> int:
        (value,) = struct.unpack_from("<I", self._data, self._at)
        self._at += 4
        return int(value)

    def _u64(self) -> int:
        (value,) = struct.unpack_from("<Q", self._data, self._at)
        self._at += 8
        return int(value)

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise IndexError

    def _string(self) -> bytes:
        length = self._u64()
        begin = self._at
        self._skip(length)
        return self._data[begin : self._at]

    def _pair(self) -> None:
        key = self._string()
        kind = self._u32()
        if key == b"general.alignment" and kind == 4:
            self._alignment = self._u32() or _DEFAULT_ALIGNMENT
        else:
            self._value(kind)

    def _value(self, kind: int, depth: int = 0) -> None:
        if depth > _MAX_NESTING:
            raise _NotReadable("arrays nested too deep")
        if kind == _STRING:
            self._string()
        elif kind == _ARRAY:
            element, count = self._u32(), self._u64()
            if element in _FIXED_SIZES:
                self._skip(_FIXED_SIZES[element] * count)
            else:
                for _ in range(count):
                    self._value(element, depth + 1)
        elif kind in _FIXED_SIZES:
            self._skip(_FIXED_SIZES[kind])
        else:
            raise _NotReadable(f"value type {kind} is not known")

    def _tensor_end(self) -> int:
        self._string()
        dimensions = self._u32()
        if dimensions > _MAX_DIMENSIONS:
            raise _NotReadable(f"a tensor of {dimensions} dimensions")
        elements = 1
        for _ in range(dimensions):
            elements *= self._u64()
        self.elements += elements
        kind, offset = self._u32(), self._u64()
        per_block, block_bytes = _BLOCKS.get(kind, (elements or 1, 0))
        return offset + elements // per_block * block_bytes
