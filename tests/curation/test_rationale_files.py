"""`rationales.jsonl` and `dropped.jsonl`: the outside contract, hand-edited rows, and writing whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from symdistill.curation import REASONS, read_dropped, read_rationales, write_dropped, write_rationales
from symdistill.errors import DataError
from symdistill.records import Dropped, Rationale

ROW = Rationale("q1", "products", "3 * 4?", "12 it is.", "12", True, 2, "m", "r1_0")


def test_the_rows_other_programs_read(tmp_path):
    path = tmp_path / "rationales.jsonl"
    assert write_rationales(path, [ROW, replace(ROW, answer="zwölf", correct=None)]) == 2
    lines = path.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert list(first)[:7] == ["id", "question", "rationale", "answer", "correct", "sample_index", "model"]
    assert first == {
        "id": "q1",
        "question": "3 * 4?",
        "rationale": "12 it is.",
        "answer": "12",
        "correct": True,
        "sample_index": 2,
        "model": "m",
        "task": "products",
        "key": "r1_0",
    }
    assert '"answer": "zwölf", "correct": null' in lines[1]


def test_dropped_rows_add_the_reason(tmp_path):
    path = tmp_path / "dropped.jsonl"
    drops = [Dropped(replace(ROW, truncated=reason == "truncated"), reason, "why") for reason in REASONS]
    assert write_dropped(path, drops) == len(REASONS)
    row = json.loads(path.read_text().splitlines()[0])
    assert list(row)[-2:] == ["reason", "detail"]
    assert list(read_dropped(path)) == drops


def test_an_unknown_reason_is_an_error(tmp_path):
    path = tmp_path / "dropped.jsonl"
    write_dropped(path, [Dropped(ROW, "boring")])
    with pytest.raises(DataError, match="line 1: unknown reason 'boring'"):
        list(read_dropped(path))


@search(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(
            Rationale,
            example_id=st.text(),
            task=st.text(min_size=1),
            question=st.text(),
            text=st.text(alphabet=st.characters(codec=None)),
            answer=st.none() | st.text(),
            correct=st.none() | st.booleans(),
            sample_index=st.integers(),
            model=st.text(),
            key=st.text(),
            token_logprobs=st.none() | st.lists(st.floats(max_value=0, allow_nan=False)).map(tuple),
        ),
        max_size=5,
    )
)
def test_any_text_survives_the_file(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("files") / "rationales.jsonl"
    write_rationales(path, rows)
    assert list(read_rationales(path)) == rows
    assert len(path.read_bytes().split(b"\n")) == len(rows) + 1


def test_log_probabilities_are_json_for_everyone(tmp_path):
    path = tmp_path / "rationales.jsonl"
    write_rationales(path, [replace(ROW, token_logprobs=(-0.25, float("-inf")))])
    assert path.read_text().endswith('"token_logprobs": [-0.25, null]}\n')


def test_half_a_surrogate_pair_survives(tmp_path):
    path = tmp_path / "rationales.jsonl"
    rows = [replace(ROW, text="half \ud83d é"), ROW]
    write_rationales(path, rows)
    assert list(read_rationales(path)) == rows


def test_hand_written_rows(tmp_path):
    path = tmp_path / "rationales.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "question": "?", "rationale": "So 7.", "answer": 7, "note": "mine"}\r\n'
        b"\n"
        b'   {"id": "b", "question": "?", "rationale": "Who knows", "answer": null, "model": null}'
    )
    first, second = read_rationales(path)
    assert first == Rationale("a", "task", "?", "So 7.", "7", None, 0, "", "")
    assert (second.example_id, second.answer) == ("b", None)


GOOD_LINE = b'{"id": "a", "question": "?", "rationale": "So 7.", "answer": "7"}\n'


@pytest.mark.parametrize(
    "line, message",
    [
        (b"{oops}", "not valid JSON .* at column 2"),
        (b'{"id": "a"', "not valid JSON"),
        (b"[" * 200_000, "not valid JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"id": "\xff"}', r"not UTF-8 \(byte 9\)"),
        (b'{"question": "?", "rationale": "r"}', "has no `id`"),
        (b'{"id": "a", "question": "?", "rationalle": "r"}', "has no `rationale`. .*`rationalle`"),
        (b'{"id": "a", "question": "?", "rationale": null}', "`rationale` is null"),
        (b'{"id": 1, "question": "?", "rationale": "r"}', "`id` must be a text, not 1"),
        (b'{"id": "a", "question": "?", "rationale": "r", "correct": "yes"}', "`correct` must be true, false or null"),
        (b'{"id": "a", "question": "?", "rationale": "r", "sample_index": 1.5}', "`sample_index` must be a whole"),
        (b'{"id": "a", "question": "?", "rationale": "r", "sample_index": true}', "`sample_index` must be a whole"),
        (b'{"id": "a", "question": "?", "rationale": "r", "answer": ["7"]}', "`answer` must be a text"),
        (b'{"id": "a", "question": "?", "rationale": "r", "token_logprobs": -1}', "`token_logprobs` must be a list"),
        (b'{"id": "a", "question": "?", "rationale": "r", "token_logprobs": ["1"]}', "must hold numbers or null"),
        (b'{"id": "a", "question": "?", "rationale": "r", "token_logprobs": [[]]}', "must hold numbers or null"),
        (
            b'{"id": "a", "question": "?", "rationale": "r", "token_logprobs": [1' + b"0" * 400 + b"]}",
            "must hold numbers or null",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "edited.jsonl"
    path.write_bytes(GOOD_LINE + b"\n" + line + b"\n")
    rows = read_rationales(path)
    assert next(rows).example_id == "a"
    with pytest.raises(DataError, match=rf"edited\.jsonl, line 3: .*{message}") as caught:
        next(rows)
    assert caught.value.fix


def test_a_line_without_end_is_not_read_into_memory(tmp_path):
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.write(GOOD_LINE)
        file.truncate(50 * 2**20)
    with pytest.raises(DataError, match="line 2: longer than 16 MiB"):
        list(read_rationales(path))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read .*nowhere\.jsonl: no such file"):
        list(read_rationales(tmp_path / "nowhere.jsonl"))


def entries(directory) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir()}


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EIO, "input/output error"),
        (errno.EROFS, "read-only file system"),
    ],
)
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, number, words):
    path = tmp_path / "rationales.jsonl"
    write_rationales(path, [ROW])
    before = entries(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=rf"Cannot write .*rationales\.jsonl: {words}\.") as caught:
        write_rationales(path, [replace(ROW, text="new")] * 3)
    assert "untouched" in caught.value.fix
    assert entries(tmp_path) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_device_that_is_full(tmp_path):
    """The temporary file is a link to /dev/full, so the real write fails as on a full disk."""
    (tmp_path / ".rationales.jsonl.tmp").symlink_to("/dev/full")
    with pytest.raises(DataError, match="the disk is full"):
        write_rationales(tmp_path / "rationales.jsonl", [ROW])
    assert not (tmp_path / "rationales.jsonl").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "dropped.jsonl"
    write_dropped(path, [Dropped(ROW, "wrong")])
    before = entries(tmp_path)

    def broken():
        yield Dropped(ROW, "duplicate")
        raise error

    with pytest.raises(error):
        write_dropped(path, broken())
    assert entries(tmp_path) == before


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"Cannot write .*no such file or directory"):
        write_rationales(tmp_path / "nowhere" / "rationales.jsonl", [ROW])


def test_a_read_only_directory(tmp_path):
    directory = tmp_path / "locked"
    directory.mkdir()
    directory.chmod(0o500)
    if os.access(directory, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(DataError, match="permission denied"):
        write_rationales(directory / "rationales.jsonl", [ROW])


def test_a_leftover_of_a_killed_process_does_no_harm(tmp_path):
    (tmp_path / ".rationales.jsonl.tmp").write_bytes(b"half a ro")
    write_rationales(tmp_path / "rationales.jsonl", [ROW])
    assert list(entries(tmp_path)) == ["rationales.jsonl"]
