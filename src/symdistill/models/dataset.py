"""The rationales that the rows of a task brought along, as a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symdistill.content import content_key
from symdistill.errors import CallFailed, RecordingMissing
from symdistill.models.base import Capacity, byte_bound, refuse_what_students_give
from symdistill.models.reasoning import split_reasoning
from symdistill.records import Completion, Example, Request

_BATCH = 256


class DatasetModel:
    """`dataset`: sample `i` of an example is its `i`-th rationale.

    `name` holds a fingerprint of all of them: rationales that were edited are asked for again, never replayed from a
    store that knows their questions.
    """

    capacity = Capacity(concurrency=1, batch=_BATCH)

    def __init__(self, examples: Iterable[Example]) -> None:
        self._rationales = {example.id: example.rationales for example in examples}
        self.name = f"dataset#{content_key('d1', sorted(self._rationales.items()))[3:11]}"

    def available(self, example_id: str) -> int:
        """How many rationales the example brought."""
        return len(self._rationales.get(example_id, ()))

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Raises RecordingMissing for an example or a sample the rows do not have."""
        refuse_what_students_give(self.name, requests)
        return [self._answer(request) for request in requests]

    async def close(self) -> None:
        return None

    def _answer(self, request: Request) -> Completion:
        rationales = self._rationales.get(request.example_id)
        if rationales is None:
            raise RecordingMissing(
                f"The rows hold no example {request.example_id!r}, so there is no rationale for it.",
                "Check that `task.path` is the file the rationales came with.",
            )
        if request.sample_index >= len(rationales):
            raise RecordingMissing(
                f"Example {request.example_id!r} brought {len(rationales)} rationales; "
                f"sample {request.sample_index + 1} was asked for.",
                f"Set `teacher.samples` to at most {len(rationales)}."
                if rationales
                else "Give the row `rationales`, or leave it out.",
            )
        reasoning, text, closed = split_reasoning(rationales[request.sample_index])
        return Completion(request.key, text, reasoning, "stop" if closed else "length")
