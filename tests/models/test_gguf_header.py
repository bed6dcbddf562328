from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symdistill.errors import PrerequisiteError
from symdistill.models.gguf_header import check_gguf, gguf_fingerprint, gguf_parameters


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def tiny_gguf(version: int = 3, tensor_kind: int = 0, alignment: int = 64) -> bytes:
    """Two tensors of 32 floats, a few values of every shape before them."""
    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.alignment") + struct.pack("<II", 4, alignment),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<2f", 0.0, 1.0),
        text("flag") + struct.pack("<IB", 7, 1),
    ]
    tensors = [
        text(name) + struct.pack("<IQQIQ", 2, 8, 4, tensor_kind, offset) for name, offset in (("a", 0), ("b", 128))
    ]
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs + tensors)
    return head + bytes(-len(head) % alignment) + bytes(256)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_gguf())
    return file


@pytest.mark.parametrize("version", [2, 3])
def test_a_whole_file_passes(path: Path, version: int) -> None:
    path.write_bytes(tiny_gguf(version))
    check_gguf(path)


def test_the_weights_are_counted_and_nothing_is_raised(path: Path) -> None:
    assert gguf_parameters(path) == 2 * 32
    whole = path.read_bytes()
    header = len(whole) - 256
    for content in (b"", b"PK\x03\x04 a zip", tiny_gguf(version=1), whole[: header // 2]):
        path.write_bytes(content)
        assert gguf_parameters(path) is None
    assert gguf_parameters(path.with_name("no.gguf")) is None


def test_every_shorter_file_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(PrerequisiteError, match=r"tiny\.gguf"):
            check_gguf(path)


@pytest.mark.parametrize(
    "content, what",
    [
        (b"", "empty"),
        (b"PK\x03\x04 a zip", "not GGUF"),
        (b"version https://git-lfs.github.com/spec/v1", "not GGUF"),
        (tiny_gguf(version=1), "version 1"),
        (tiny_gguf(version=0x03000000), "version"),
        (tiny_gguf()[:40], "truncated"),
        (tiny_gguf()[:-1], "truncated"),
    ],
)
def test_what_is_wrong_is_said(path: Path, content: bytes, what: str) -> None:
    path.write_bytes(content)
    with pytest.raises(PrerequisiteError, match=what) as refused:
        check_gguf(path)
    assert str(path) in refused.value.message
    assert refused.value.fix


def test_a_tensor_type_not_known_yet_must_begin_inside_the_file(path: Path) -> None:
    content = tiny_gguf(tensor_kind=999)
    path.write_bytes(content)
    check_gguf(path)
    path.write_bytes(content[:-200])
    with pytest.raises(PrerequisiteError, match="truncated"):
        check_gguf(path)


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="does not exist"):
        check_gguf(tmp_path / "no.gguf")
    with pytest.raises(PrerequisiteError, match="directory"):
        check_gguf(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(4, 250), value=st.binary(min_size=1, max_size=8))
def test_a_damaged_header_raises_nothing_else(path: Path, at: int, value: bytes) -> None:
    content = bytearray(tiny_gguf())
    content[at : at + len(value)] = value
    path.write_bytes(content)
    with contextlib.suppress(PrerequisiteError):
        check_gguf(path)


def test_arrays_nested_without_end_are_refused(path: Path) -> None:
    nested = struct.pack("<IQ", 9, 1) * 20_000
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 9) + nested)
    with pytest.raises(PrerequisiteError, match="nested"):
        check_gguf(path)


def test_a_fingerprint_goes_with_the_weights_not_the_place(path: Path) -> None:
    before = gguf_fingerprint(path)
    moved = path.rename(path.with_name("moved.gguf"))
    assert gguf_fingerprint(moved) == before
    moved.write_bytes(tiny_gguf()[:-1] + b"x")
    assert gguf_fingerprint(moved) != before
    assert len(before) == 8
