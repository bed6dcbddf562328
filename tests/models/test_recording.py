"""Recordings: the file says what it holds, reads back exactly, and notices when it was touched."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from symdistill import content
from symdistill.errors import DataError
from symdistill.models.recording import open_recording, read_recording, write_recording
from symdistill.records import Completion, Failure, Message, Sampling

PROMPT = [Message("system", "Be brief."), Message("user", "2 + 3 = ?\nThink: ½ · „quotes“")]
SAMPLING = Sampling(temperature=0.7, stop=("\n\n",), logprobs=True)


def entries():
    found = []
    for index in range(3):
        request = content.request("m", PROMPT, SAMPLING, index)
        found.append(
            (request, Completion(request.key, f"5 ({index})", "so", "length", 9, 2, 1, (-0.5, -0.25), 0.1, 1.5))
        )
    two = content.request("m", PROMPT, SAMPLING, 4)
    stretch = Completion(
        two.key, "First ½.", None, "length", 9, 2, 1, (-0.5, -0.25), 0.0, 0.0, ((0.9, 0.1), (0.5, 0.4))
    )
    found.append((two, Completion(two.key, " 5.", prompt_tokens=14, first=stretch)))
    refused = content.request("m", PROMPT, SAMPLING, 3)
    found.append((refused, Failure(refused.key, "refused", "I would rather not", 2, 0.01, 12)))
    plain = content.request("m", PROMPT[1:], Sampling())
    found.append((plain, Completion(plain.key, "5")))
    return found


def written(path: Path) -> Path:
    assert write_recording(path, {"models": ["m"], "note": "made for a test"}, entries()) == 6
    return path


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    recording = read_recording(written(tmp_path / name))
    assert recording.models == ("m",)
    assert recording.header["note"] == "made for a test"
    assert recording.replies == {r.key: reply for r, reply in entries() if isinstance(reply, Completion)}
    assert recording.failures == {r.key: reply for r, reply in entries() if isinstance(reply, Failure)}
    assert list(open_recording(tmp_path / name)[1]) == entries()
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing is left beside it"


def test_the_same_entries_give_the_same_bytes(tmp_path):
    one, other = written(tmp_path / "one.jsonl.gz"), written(tmp_path / "other.jsonl.gz")
    assert one.read_bytes() == other.read_bytes()


def test_a_line_is_a_prompt_and_people_can_read_it(tmp_path):
    lines = written(tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert "½ · „quotes“" in lines[1]
    assert json.loads(lines[2]) == {
        "model": "m",
        "sampling": {},
        "messages": [{"role": "user", "content": PROMPT[1].content}],
        "replies": [{"index": 0, "key": entries()[-1][0].key, "text": "5"}],
    }


def test_without_prompts_a_line_holds_the_key_of_its_prompt_and_nothing_of_the_question(tmp_path):
    path = tmp_path / "r.jsonl"
    write_recording(path, {"models": ["m"]}, entries(), prompts=False)
    text = path.read_text(encoding="utf-8")
    assert all(message.content not in text for request, _ in entries() for message in request.messages)
    assert json.loads(text.splitlines()[1])["prompt"] == content.prompt_key(entries()[0][0].messages)
    assert read_recording(path).replies == {
        request.key: reply for request, reply in entries() if isinstance(reply, Completion)
    }
    again = tmp_path / "again.jsonl"
    write_recording(again, {"models": ["m"]}, open_recording(path)[1])
    assert again.read_text(encoding="utf-8").splitlines()[1:] == text.splitlines()[1:]


@pytest.mark.parametrize(
    "change",
    [lambda v: v.update(prompt="p1_0"), lambda v: v.update(model="x"), lambda v: v["replies"][0].update(index=7)],
)
def test_without_prompts_keys_are_checked_too(tmp_path, change):
    path = tmp_path / "r.jsonl"
    write_recording(path, {"models": ["m"]}, entries(), prompts=False)
    path.write_text(edit(2, change)(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError, match="does not belong to its content"):
        read_recording(path)


def test_compression_is_seen_from_the_content_not_the_name(tmp_path):
    packed = written(tmp_path / "r.jsonl.gz")
    packed.rename(tmp_path / "renamed.jsonl")
    assert len(read_recording(tmp_path / "renamed.jsonl").replies) == 5


def test_writing_that_fails_leaves_the_old_file(tmp_path):
    path = written(tmp_path / "r.jsonl.gz")
    before = path.read_bytes()

    def breaking():
        yield entries()[0]
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        write_recording(path, {}, breaking())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def edit(line: int, change):
    """Apply `change` to the JSON of one line (counted from 1)."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        value = json.loads(lines[line - 1])
        change(value)
        lines[line - 1] = json.dumps(value)
        return "\n".join(lines) + "\n"

    return apply


@pytest.mark.parametrize(
    "change, line, said",
    [
        (edit(2, lambda v: v["messages"][1].update(content="9 + 9 = ?")), 2, "does not belong to its content"),
        (edit(3, lambda v: v.update(model="other")), 3, "does not belong to its content"),
        (edit(2, lambda v: v["replies"][1].update(index=8)), 2, "does not belong to its content"),
        (edit(2, lambda v: v["sampling"].update(temperature=1.0)), 2, "does not belong to its content"),
        (edit(2, lambda v: v["sampling"].update(mirostat=2)), 2, "unknown sampling parameter 'mirostat'"),
        (edit(2, lambda v: v["replies"][0].update(text=None)), 2, "`text` of a reply has the wrong type"),
        (edit(2, lambda v: v["replies"][0].update(prompt_tokens="9")), 2, "`prompt_tokens` of a reply has the wrong"),
        (edit(2, lambda v: v["replies"][0].update(finish_reason="bored")), 2, "unknown finish reason 'bored'"),
        (edit(2, lambda v: v["replies"][0].update(mood="good")), 2, "unknown value `mood`"),
        (edit(2, lambda v: v["replies"][0].pop("key")), 2, "no 'key'"),
        (edit(2, lambda v: v["replies"][3].update(first="2 and 3")), 2, "`first` of a reply is not an object"),
        (edit(2, lambda v: v["replies"][3]["first"].update(text=1)), 2, "`text` of a reply has the wrong type"),
        (edit(2, lambda v: v["replies"][3]["first"].pop("text")), 2, "text"),
        (edit(2, lambda v: v["failures"][0].update(kind="tired")), 2, "unknown failure kind 'tired'"),
        (edit(3, lambda v: v.pop("messages")), 3, "no 'messages'"),
        (edit(3, lambda v: v["messages"][0].update(role="boss")), 3, "unknown role 'boss'"),
        (edit(1, lambda v: v.update(format="other")), 1, "not a symdistill recording"),
        (edit(1, lambda v: v.update(version=2)), 1, "version 2"),
        (lambda text: text.replace('"replies":[', '"replies":[,', 1), 2, "not valid JSON"),
        (lambda text: text + "[1]\n", 4, "not a JSON object"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_with_its_number(tmp_path, change, line, said):
    path = written(tmp_path / "r.jsonl")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_recording(path)
    assert f"{path}, line {line}: " in caught.value.message
    assert said in caught.value.message


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def scramble(path: Path) -> None:
    content_ = bytearray(path.read_bytes())
    content_[30:60] = b"\x00" * 30
    path.write_bytes(content_)


def latin(path: Path) -> None:
    path.write_bytes(gzip.compress(json.dumps({"format": "symdistill-recording"}).encode() + b"\n\xff\xfe\n"))


@pytest.mark.parametrize(
    "spoil, said",
    [
        (cut, "damaged or cut short"),
        (scramble, "damaged or cut short"),
        (latin, "not UTF-8"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.unlink(), "no recording at"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path, spoil, said):
    path = written(tmp_path / "r.jsonl.gz")
    spoil(path)
    with pytest.raises(DataError) as caught:
        read_recording(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message
