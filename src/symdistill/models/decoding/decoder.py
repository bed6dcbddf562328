"""The door to decoding: jobs in, replies out, for whoever asks at the same time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from symdistill.errors import Interrupted
from symdistill.models.decoding.continuous import Batch, Pool
from symdistill.models.decoding.jobs import Decoded, Job, Row
from symdistill.models.decoding.network import Network
from symdistill.models.decoding.padded import Padded, cuttable
from symdistill.models.stops import Stops

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 0.02
"""How long a caller waits for the one who drives before it looks whether it is done or was stopped."""


class Decoder:
    """Decodes jobs with one model, `batch_size` rows at a time; threads that call it at once share the rows.

    `end_ids` end a reply. The model is put into evaluation mode while it decodes, and back afterwards. Its weights may
    change between two calls. With `owned`, nobody else uses the model, and its weights may be moved.
    """

    def __init__(
        self, model: Any, tokenizer: Any, end_ids: Sequence[int], batch_size: int, *, owned: bool = False
    ) -> None:
        ends = frozenset(end_ids)
        self._model = model
        self._tokenizer = tokenizer
        self._stops: dict[tuple[str, ...], Stops] = {}
        self._driving = threading.Lock()
        self._arriving: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._network = Network.of(model, batch_size, owned=owned)
        self._pool = Pool(self._network, ends, batch_size) if self._network else None
        self._padded = Padded(model, ends, batch_size)
        if not cuttable(model):
            _LOG.warning("%s keeps a cache of its own kind: replies are decoded one at a time.", type(model).__name__)

    def decode(self, jobs: Sequence[Job], stop: threading.Event | None = None) -> list[Decoded]:
        """Draw every job, in the order given.

        Raises:
            ModelError: the model computes something that is no number.
            Interrupted: `stop` was set while decoding.
        """
        if not jobs:
            return []
        rows = [Row(job, self._stops.setdefault(job.stop, Stops(job.stop, self._text))) for job in jobs]
        stop = stop or threading.Event()
        if self._network is None or self._pool is None:
            self._decode_alone(rows, stop)
            return [row.result() for row in rows]
        return self._decode_together(Batch(rows), stop, self._network, self._pool)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _decode_together(self, batch: Batch, stop: threading.Event, network: Network, pool: Pool) -> list[Decoded]:
        """Join the pool; where nobody else drives it, drive it until the own rows are done."""
        self._arriving.put(batch)
        while not (batch.over or batch.cancelled):
            if not self._driving.acquire(timeout=_PATIENCE_SECONDS):
                batch.cancelled = stop.is_set() and not batch.over
                continue
            try:
                with network.ready():
                    while not (batch.over or batch.cancelled):
                        while not self._arriving.empty():
                            pool.add(self._arriving.get())
                        pool.step()
                        batch.cancelled = stop.is_set() and not batch.over
                    pool.drop_cancelled()
            except BaseException as problem:
                pool.fail(problem)
                raise
            finally:
                self._driving.release()
        if batch.problem is not None:
            raise batch.problem
        if batch.cancelled:
            raise _interrupted()
        return [result for result in batch.results if result is not None]

    def _decode_alone(self, rows: list[Row], stop: threading.Event) -> None:
        def check() -> None:
            if stop.is_set():
                raise _interrupted()

        with self._driving, _evaluating(self._model), torch.inference_mode():
            self._padded.decode(rows, check)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _interrupted() -> Interrupted:
    return Interrupted("Decoding was stopped.", "Run the same command again to go on.")
