"""What runs may buy at most beside what they ask first: about replies that nobody has yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import reduce

from symdistill.content import canonical_json
from symdistill.models.registry import load_teacher
from symdistill.records import Request
from symdistill.runs.internalising import notes_ahead
from symdistill.runs.knowing import Asking, analyses_ahead
from symdistill.runs.quoting import Quote, quote, summed
from symdistill.runs.workspace import Workspace
from symdistill.sampling.store import ResponseStore


def with_later(found: Quote, works: Sequence[Workspace], store: ResponseStore | None) -> Quote:
    """`found` with what the runs may ask later; what several of them ask is counted once."""
    later = [_together(works, ahead, store) for ahead in (analyses_ahead, notes_ahead)]
    unset = [key for one in later if one for key in one.unset]
    budget = next((one.budget for one in (found, *later) if one and one.budget.bounded), found.budget)
    return replace(
        found,
        about_mistakes=later[0],
        about_solutions=later[1],
        unset=tuple(dict.fromkeys((*found.unset, *unset))),
        budget=budget,
    )


def _together(
    works: Iterable[Workspace], ahead: Callable[[Workspace], list[Asking]], store: ResponseStore | None
) -> Quote | None:
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
        quote(
            list(wanted.values()),
            store,
            load_teacher(asking.settings, work.task.train, to_ask=False),
            asking.settings,
            account=work.account,
            guessed=wanted,
        )
        for work, asking, wanted in groups.values()
    ]
    return reduce(summed, priced) if priced else None
