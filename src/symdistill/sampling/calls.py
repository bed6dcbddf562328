"""Requests on their way: how they are put into calls, and what has come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from symdistill.errors import CallFailed, FailureKind
from symdistill.models.base import Capacity
from symdistill.records import Request
from symdistill.sampling.limits import NOTHING, Cost


@dataclass(slots=True)
class Ask:
    """A request on its way: how often it was tried, and what its failed tries may have cost."""

    request: Request
    tries: int = 0
    charged: Cost = NOTHING


@dataclass(slots=True, eq=False)
class Call:
    """A call under way, with the upper bound of each request's cost. No two are the same."""

    asks: list[Ask]
    bounds: list[Cost]
    started: float


@dataclass(slots=True)
class Tally:
    """What has come of the requests so far."""

    replies: int = 0
    generated_tokens: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    examples: dict[FailureKind, str] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        return self.replies + self.failures.total()


def shared(failure: CallFailed, count: int) -> list[CallFailed]:
    """A whole call's failure as one for each of its requests, the tokens it took shared out."""
    if count == 1 or not (failure.prompt_tokens or failure.completion_tokens):
        return [failure] * count
    parts = []
    for index in range(count):
        prompt = failure.prompt_tokens // count + (index < failure.prompt_tokens % count)
        completion = failure.completion_tokens // count + (index < failure.completion_tokens % count)
        parts.append(
            CallFailed(
                failure.kind,
                failure.message,
                retry_after=failure.retry_after,
                prompt_tokens=prompt,
                completion_tokens=completion,
            )
        )
    return parts


def grouped(requests: Sequence[Request], capacity: Capacity) -> list[list[Ask]]:
    """The requests as calls the model takes: in their order, up to `batch` in one, of one prompt if it wants that."""
    if capacity.batch == 1:
        return [[Ask(request)] for request in requests]
    if not capacity.same_prompt:
        return [
            [Ask(request) for request in requests[start : start + capacity.batch]]
            for start in range(0, len(requests), capacity.batch)
        ]
    groups: list[list[Ask]] = []
    open_groups: dict[tuple[object, ...], list[Ask]] = {}
    for request in requests:
        place = (request.messages, request.sampling)
        group = open_groups.get(place)
        if group is None or len(group) == capacity.batch:
            group = open_groups[place] = []
            groups.append(group)
        group.append(Ask(request))
    return groups
