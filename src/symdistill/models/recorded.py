"""A recorded teacher: replies from a file, under the name of the model that gave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from symdistill.content import prompt_key
from symdistill.errors import CallFailed, ConfigError, DataError, RecordingMissing
from symdistill.models.base import Capacity, byte_bound
from symdistill.models.recording import Entry, Withheld, open_recording, prompt_of
from symdistill.records import Completion, Failure, Message, Request, Sampling

_BATCH = 256


class RecordedModel:
    """`recorded:FILE`.

    `name` is the recorded model's, so that requests have the keys it answered to. A replay costs nothing, whatever
    the recording did. A recorded failure stays one; it is never worth another try, so a transient one comes back as
    `rejected`.
    """

    capacity = Capacity(concurrency=1, batch=_BATCH)

    def __init__(self, name: str, entries: Iterable[Entry], source: str = "the recording") -> None:
        self.name = name
        self._source = source
        self._replies: dict[str, Completion | Failure] = {}
        self._recorded: dict[str, dict[Sampling, int]] = {}
        self._questions: set[int] = set()
        self._withheld = False
        for request, reply in entries:
            self._replies.setdefault(request.key, reply)
            counts = self._recorded.setdefault(prompt_of(request), {})
            counts[request.sampling] = max(counts.get(request.sampling, 0), request.sample_index + 1)
            if isinstance(request, Withheld):
                self._withheld = True
            else:
                self._questions.add(_question(request.messages))

    @classmethod
    def load(cls, path: Path) -> RecordedModel:
        """The teacher recorded in `path`.

        Raises:
            DataError: the file is missing, no recording, or holds no replies.
            ConfigError: it holds replies of several models.
        """
        _, entries = open_recording(path)
        kept = list(entries)
        names = sorted({request.model for request, _ in kept})
        if not names:
            raise DataError(f"{path} is a recording without any reply.", "Export one with `symdistill store export`.")
        if len(names) > 1:
            raise ConfigError(
                f"{path} holds replies of {len(names)} models: {', '.join(names)}.",
                "Export one of them: `symdistill store export --model NAME`.",
            )
        return cls(names[0], kept, str(path))

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    def check(self, requests: Iterable[Request]) -> None:
        """Raises RecordingMissing for the first request that was not recorded; the message says what differs."""
        for request in requests:
            if request.key not in self._replies:
                raise self._missing(request)

    def asked_with(self, sampling: Sampling) -> bool:
        """Whether it holds any reply that was drawn so."""
        return any(sampling in counts for counts in self._recorded.values())

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Raises RecordingMissing for a request that was not recorded; the message says what differs."""
        return [self._answer(request) for request in requests]

    async def close(self) -> None:
        return None

    def _answer(self, request: Request) -> Completion | CallFailed:
        reply = self._replies.get(request.key)
        if isinstance(reply, Completion):
            return replace(reply, cost_usd=0.0)
        if isinstance(reply, Failure):
            kind = reply.kind if reply.kind in ("refused", "rejected") else "rejected"
            return CallFailed(kind, f"recorded as {reply.kind}: {reply.message}")
        raise self._missing(request)

    def _missing(self, request: Request) -> RecordingMissing:
        what, fix = self._difference(request)
        return RecordingMissing(f"{self._source} has no reply for {request.key}: {what}.", fix)

    def _difference(self, request: Request) -> tuple[str, str]:
        """What keeps a request from being one of those recorded, and what to do about it."""
        if request.model != self.name:
            return (
                f"the request is for {request.model}, the recording is of {self.name}",
                "Use the recording's own model name.",
            )
        counts = self._recorded.get(prompt_key(request.messages))
        if counts is None:
            if _question(request.messages) in self._questions:
                return (
                    "the question was recorded under another prompt",
                    "Use the recording's `teacher.instruction`, `teacher.demonstrations` and `teacher.show_answer`.",
                )
            if self._withheld:
                return (
                    "this prompt was not recorded, and the recording holds no prompts to say how it differs",
                    "Use the questions, `teacher.instruction` and `teacher.demonstrations` that it was made with.",
                )
            return "this prompt was not recorded", "Use the questions the recording was made with, or record this one."
        if request.sampling in counts:
            held = counts[request.sampling]
            if request.sample_index >= held:
                return (
                    f"only {held} samples were recorded and number {request.sample_index + 1} was asked for",
                    f"Set `teacher.samples` to at most {held}.",
                )
            return (
                f"sample {request.sample_index + 1} of it is not in the file",
                "Record it again and export the store.",
            )
        nearest = min(counts, key=lambda sampling: len(_differences(sampling, request.sampling)))
        differing = _differences(nearest, request.sampling)
        recorded = ", ".join(f"{name} {old!r} (asked for: {new!r})" for name, old, new in differing)
        return f"it was recorded with {recorded}", "Use the recorded settings: " + ", ".join(
            f"`{'seed' if name == 'seed' else f'teacher.{name}'}: {old}`" for name, old, _ in differing
        ) + "."


def _question(messages: Sequence[Message]) -> int:
    """A fingerprint of the last turn, which carries the question whatever the instruction before it."""
    return hash(messages[-1].content) if messages else 0


def _differences(recorded: Sampling, wanted: Sampling) -> list[tuple[str, object, object]]:
    names = (field.name for field in fields(Sampling))
    pairs = ((name, getattr(recorded, name), getattr(wanted, name)) for name in names)
    return [(name, old, new) for name, old, new in pairs if old != new]
