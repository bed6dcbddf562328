"""Recordings: a model's replies in one file that travels, and that people can read.

A recording is JSON lines, gzipped when its name ends in `.gz`. The first line says what it is:

    {"format": "symdistill-recording", "version": 1, "models": […], "settings": […], "replies": 1920, "note": "…"}

Every other line is one prompt asked of one model with one set of sampling parameters, and all it brought:

    {"model": "…", "sampling": {"temperature": 0.7}, "messages": [{"role": "user", "content": "…"}],
     "replies": [{"index": 0, "key": "r1_…", "text": "…", "finish_reason": "stop", …}],
     "failures": [{"index": 3, "key": "r1_…", "kind": "refused", "message": "…"}]}

Values that equal the default of their record field are left out. Every key is recomputed from the line's content when
it is read, so a reply that was edited into another question is found out. In a recording without prompts, for
questions that may not be passed on, `"prompt": "p1_…"` stands for `messages`; it replays where the same questions are.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TextIO, get_args, get_type_hints

from symdistill import content
from symdistill.errors import DataError, FailureKind
from symdistill.records import Completion, Failure, FinishReason, Message, Request, Role, Sampling

FORMAT = "symdistill-recording"
VERSION = 1

Entry = tuple[Request, Completion | Failure]
"""One request and what it brought."""


@dataclass(frozen=True, slots=True)
class Withheld(Request):
    """A request of a recording without prompts: of its prompt only the key is known, and `messages` is empty."""

    prompt: str = ""


def prompt_of(request: Request) -> str:
    """The key of a request's prompt, known or withheld."""
    return request.prompt if isinstance(request, Withheld) else content.prompt_key(request.messages)


@dataclass(frozen=True)
class Recording:
    """A whole recording in memory. `failures` holds the requests that brought no answer, by key, like `replies`."""

    models: tuple[str, ...]
    header: Mapping[str, Any]
    replies: dict[str, Completion]
    failures: dict[str, Failure]


def read_recording(path: Path) -> Recording:
    """The recording at `path`, every key checked. Raises DataError, with the line, for anything that does not fit."""
    header, entries = open_recording(path)
    replies: dict[str, Completion] = {}
    failures: dict[str, Failure] = {}
    for request, reply in entries:
        if isinstance(reply, Completion):
            replies.setdefault(request.key, reply)
        else:
            failures.setdefault(request.key, reply)
    return Recording(tuple(header.get("models", ())), header, replies, failures)


def open_recording(path: Path) -> tuple[Mapping[str, Any], Iterator[Entry]]:
    """The header of the recording at `path`, and its entries one at a time. Raises DataError, also while iterating."""
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path} is empty, not a recording.", "Export one with `symdistill store export`.")
    header = _object(path, 1, first[1])
    if header.get("format") != FORMAT:
        raise DataError(
            f"{path}, line 1: not a symdistill recording (no format line).",
            "Export one with `symdistill store export`.",
        )
    version = header.get("version")
    if version != VERSION:
        raise DataError(
            f"{path}, line 1: recording version {version!r}; this program reads version {VERSION}.",
            "Install a symdistill that writes this version.",
        )
    return header, _entries(path, lines)


def write_recording(path: Path, header: Mapping[str, Any], entries: Iterable[Entry], *, prompts: bool = True) -> int:
    """Write `entries` to `path`, with their prompts or with the prompts' keys alone, and return how many there were.

    Neighbours with the same prompt, model and sampling parameters share a line, so sort them that way first. The same
    entries give the same bytes. Written beside its place and renamed: a file that exists is whole. Raises OSError.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    count = 0
    try:
        with ExitStack() as stack:
            out = _writer(stack, part, compressed=path.suffix == ".gz")
            out.write(_dump({"format": FORMAT, "version": VERSION, **header}) + "\n")
            for group in _grouped(entries):
                out.write(_dump(_line(group, prompts)) + "\n")
                count += len(group)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def messages_json(messages: Sequence[Message]) -> str:
    """A prompt as JSON text: a list of roles and contents."""
    return _dump([{"role": m.role, "content": m.content} for m in messages])


def messages_from(value: Any) -> tuple[Message, ...]:
    """The prompt that `messages_json` wrote, after parsing. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError("`messages` is not a list")
    turns = []
    for turn in value:
        if not isinstance(turn, dict) or set(turn) != {"role", "content"} or not isinstance(turn["content"], str):
            raise ValueError("a message is not an object with `role` and `content`")
        if turn["role"] not in get_args(Role):
            raise ValueError(f"unknown role {turn['role']!r}")
        turns.append(Message(turn["role"], turn["content"]))
    return tuple(turns)


def sampling_from(value: Any) -> Sampling:
    """The sampling parameters that `content.sampling_values` gave. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("`sampling` is not an object")
    unknown = set(value) - set(Sampling.__dataclass_fields__)
    if unknown:
        raise ValueError(f"unknown sampling parameter {sorted(unknown)[0]!r}")
    if "stop" in value:
        value = {**value, "stop": tuple(value["stop"])}
    return Sampling(**value)


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate has no UTF-8; escaped, it comes back as it was.
    return text if text.isascii() or _encodable(text) else json.dumps(value, separators=(",", ":"), allow_nan=False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _writer(stack: ExitStack, path: Path, *, compressed: bool) -> TextIO:
    raw = stack.enter_context(path.open("wb"))
    if not compressed:
        return stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))
    # No name and no time in the gzip header: equal content, equal bytes.
    packed = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=9))
    return stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline="\n"))


def _grouped(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    last: tuple[Any, ...] | None = None
    for request, reply in entries:
        place = (prompt_of(request), request.model, request.sampling)
        if group and place != last:
            yield group
            group = []
        group.append((request, reply))
        last = place
    if group:
        yield group


def _line(group: list[Entry], prompts: bool) -> dict[str, Any]:
    first = group[0][0]
    line: dict[str, Any] = {"model": first.model, "sampling": content.sampling_values(first.sampling)}
    if prompts and not isinstance(first, Withheld):
        line["messages"] = [{"role": m.role, "content": m.content} for m in first.messages]
    else:
        line["prompt"] = prompt_of(first)
    for name, kind in (("replies", Completion), ("failures", Failure)):
        rows = [{"index": r.sample_index, **_values(reply)} for r, reply in group if isinstance(reply, kind)]
        if rows:
            line[name] = rows
    return line


def _values(reply: Completion | Failure) -> dict[str, Any]:
    found = {}
    for field in fields(reply):
        value = getattr(reply, field.name)
        if field.default is MISSING or value != field.default:
            found[field.name] = list(value) if isinstance(value, tuple) else value
    if isinstance(reply, Completion) and reply.first is not None:
        found["first"] = first_values(reply.first)
    return found


def first_values(first: Completion) -> dict[str, Any]:
    """What `first_from` makes the first stretch of a reply from; its key is the whole reply's."""
    return {name: value for name, value in _values(first).items() if name != "key"}


def first_from(value: Any, key: str) -> Completion:
    """The first stretch of the reply `key`. Raises ValueError, TypeError and KeyError."""
    if not isinstance(value, dict):
        raise ValueError("`first` of a reply is not an object")
    found = _record(Completion, {**value, "key": key})
    assert isinstance(found, Completion)
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with path.open("rb") as probe:
            compressed = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if compressed else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise DataError(f"There is no recording at {path}.", "Check the path.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}, after line {number}: not UTF-8 text.", "Export the recording again.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(
            f"{path}, after line {number}: the compressed file is damaged or cut short.", "Copy or export it again."
        ) from None
    except OSError as error:
        raise DataError(f"Cannot read {path} ({error.strerror}).", "Check the path and its permissions.") from None


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not valid JSON ({error.msg} at column {error.colno}).", "Export it again."
        ) from None
    if not isinstance(value, dict):
        raise DataError(f"{path}, line {number}: not a JSON object.", "Export the recording again.")
    return value


def _entries(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Entry]:
    for number, line in lines:
        value = _object(path, number, line)
        try:
            yield from _read_line(value)
        except (ValueError, TypeError, KeyError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{path}, line {number}: {said}.", "Export the recording again.") from None


def _read_line(value: dict[str, Any]) -> Iterator[Entry]:
    model = _text(value, "model")
    sampling = sampling_from(value["sampling"])
    withheld = "prompt" in value
    messages = () if withheld else messages_from(value["messages"])
    prompt = _text(value, "prompt") if withheld else content.prompt_key(messages)
    for name, kind in (("replies", Completion), ("failures", Failure)):
        for row in value.get(name, ()):
            index, key = row["index"], row["key"]
            reply = _record(kind, {k: v for k, v in row.items() if k != "index"})
            if content.request_keys(model, prompt, sampling, [index]) != [key]:
                raise ValueError(f"the key {key} of sample {index} does not belong to its content")
            if withheld:
                yield Withheld(key, model, (), sampling, index, prompt=prompt), reply
            else:
                yield Request(key, model, messages, sampling, index), reply


def _text(value: dict[str, Any], name: str) -> str:
    if not isinstance(value[name], str):
        raise ValueError(f"`{name}` is not text")
    return str(value[name])


_PLAIN: dict[type, tuple[type, ...]] = {str: (str,), int: (int,), float: (int, float)}
_HINTS = {kind: get_type_hints(kind) for kind in (Completion, Failure)}


def _record(kind: type[Completion | Failure], row: dict[str, Any]) -> Completion | Failure:
    """A record from a row of the file, with its types checked. Raises ValueError and TypeError."""
    hints = _HINTS[kind]
    for name, value in row.items():
        if name not in hints:
            raise ValueError(f"unknown value `{name}` in a reply")
        allowed = _PLAIN.get(hints[name])
        if allowed and (not isinstance(value, allowed) or isinstance(value, bool)):
            raise ValueError(f"`{name}` of a reply has the wrong type")
    if kind is Failure:
        if row["kind"] not in get_args(FailureKind):
            raise ValueError(f"unknown failure kind {row['kind']!r}")
        return Failure(**row)
    if row.get("finish_reason", "stop") not in get_args(FinishReason):
        raise ValueError(f"unknown finish reason {row['finish_reason']!r}")
    reasoning, logprobs = row.get("reasoning"), row.get("token_logprobs")
    if reasoning is not None and not isinstance(reasoning, str):
        raise ValueError("`reasoning` of a reply is not text")
    if logprobs is not None:
        row["token_logprobs"] = tuple(float(x) for x in logprobs)
    if row.get("top_two") is not None:
        row["top_two"] = tuple((float(first), float(second)) for first, second in row["top_two"])
    if row.get("first") is not None:
        row["first"] = first_from(row["first"], row["key"])
    return Completion(**row)
