"""The response store to a recording, and back: how a recorded teacher travels as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from symdistill.content import sampling_values
from symdistill.errors import DataError
from symdistill.models.recording import Entry, Withheld, open_recording, write_recording
from symdistill.records import Completion
from symdistill.sampling.store import ResponseStore

IMPORTED_RUN = "imported"
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Exchanged:
    """How many replies and failures were written; on import also how many were there already."""

    replies: int
    failures: int
    repeated: int = 0


def export_store(
    store: ResponseStore,
    path: Path,
    *,
    model: str | None = None,
    run: str | None = None,
    note: str = "",
    prompts: bool = True,
) -> Exchanged:
    """Write what the store holds, of one model or one run if named, as a recording (see `models.recording`).

    Without `prompts` the file holds their keys alone: it replays where the same questions are, and is not imported.
    The same content gives the same bytes, whatever the order and the machine it was bought on.

    Raises:
        DataError: there is nothing to write, or nowhere to write it.
        StoreError: the store cannot be read.
    """
    header = _header(store, model, run, note)
    if not header["replies"] and not header["failures"]:
        chosen = f" of {' and '.join(text for text in (model, run) if text)}" if model or run else ""
        raise DataError(f"{store.path} holds no replies{chosen}: nothing to export.", "`symdistill store stats` lists.")
    try:
        write_recording(path, header, store.entries(model=model, run=run), prompts=prompts)
    except OSError as error:
        raise DataError(f"Cannot write {path} ({error.strerror}).", "Choose a directory you can write to.") from None
    return Exchanged(header["replies"], header["failures"])


def import_recording(store: ResponseStore | Path, path: Path) -> Exchanged:
    """Add a recording to the store; what is there already stays as it is.

    A store named by its path is made where it is not there, once the whole recording was found to be sound.
    Imported replies belong to the run `imported`, so that they weigh on nobody's budget.

    Raises:
        DataError: a line cannot be read, a key does not belong to its content, or the prompts are not in it. Nothing
            was imported.
        StoreError: the store cannot be written.
    """
    _, entries = open_recording(path)
    for request, _ in entries:  # the whole file is checked before the first row is written
        if isinstance(request, Withheld):
            raise DataError(
                f"{path} was written without prompts, and a store keeps them.",
                f"Replay it instead: `teacher.model: recorded:{path}`.",
            )
    if isinstance(store, ResponseStore):
        return _import(store, path)
    with ResponseStore(store) as opened:
        return _import(opened, path)


def _import(store: ResponseStore, path: Path) -> Exchanged:
    _, entries = open_recording(path)
    replies = failures = repeated = 0
    while batch := list(islice(entries, _BATCH)):
        missing, failed_before = set(store.missing(_keys(batch))), store.failures(_keys(batch))
        fresh = [
            (request, reply)
            for request, reply in batch
            if request.key in missing and (isinstance(reply, Completion) or request.key not in failed_before)
        ]
        added = store.add(fresh, IMPORTED_RUN)
        failed = sum(not isinstance(reply, Completion) for _, reply in fresh)
        failures += failed
        replies += added.new - failed
        repeated += len(batch) - added.new
    return Exchanged(replies, failures, repeated)


def _keys(batch: list[Entry]) -> Iterator[str]:
    return (request.key for request, _ in batch)


def _header(store: ResponseStore, model: str | None, run: str | None, note: str) -> dict[str, Any]:
    models: set[str] = set()
    settings: dict[str, dict[str, Any]] = {}
    replies = failures = 0
    for request, reply in store.entries(model=model, run=run):
        models.add(request.model)
        settings[repr(request.sampling)] = sampling_values(request.sampling)
        if isinstance(reply, Completion):
            replies += 1
        else:
            failures += 1
    return {
        "models": sorted(models),
        "settings": [settings[name] for name in sorted(settings)],
        "replies": replies,
        "failures": failures,
        **({"note": note} if note else {}),
    }
