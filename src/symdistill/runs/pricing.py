"""What runs may buy at most beside what they ask first: about replies that nobody has yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

from symdistill.content import canonical_json
from symdistill.models.registry import load_teacher
from symdistill.records import Request
from symdistill.runs.internalising import notes_ahead
from symdistill.runs.knowing import Asking, analyses_ahead, summed
from symdistill.runs.teaching import teacher_price
from symdistill.runs.workspace import Workspace
from symdistill.sampling.estimate import Estimate, estimate
from symdistill.sampling.store import ResponseStore


def with_later(found: Estimate, works: Sequence[Workspace], store: ResponseStore | None) -> Estimate:
    """`found` with what the runs may ask later; what several of them ask is counted once."""
    return found.with_later(_together(works, analyses_ahead, store), _together(works, notes_ahead, store))


def _together(
    works: Iterable[Workspace], ahead: Callable[[Workspace], list[Asking]], store: ResponseStore | None
) -> Estimate | None:
    """The price of all that the runs ask, each request once; None where nothing is asked."""
    groups: dict[str, tuple[Workspace, Asking, dict[str, Request]]] = {}
    for work in works:
        for asking in ahead(work):
            teacher = asking.settings
            key = canonical_json(
                [asking.about, teacher.model, teacher.base_url, teacher.model_dump(mode="json")["price"]]
            )
            _, _, wanted = groups.setdefault(key, (work, asking, {}))
            wanted |= {request.key: request for request in asking.requests}
    priced = [
        estimate(
            list(wanted.values()),
            store,
            load_teacher(asking.settings, work.task.train),
            price=teacher_price(work, asking.settings),
        )
        for work, asking, wanted in groups.values()
    ]
    return reduce(summed, priced) if priced else None
