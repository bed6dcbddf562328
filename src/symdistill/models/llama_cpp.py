"""A GGUF file answered by llama.cpp in this process (through xllamacpp).

llama.cpp's own server engine batches the slots and reuses prompts. It is asked over its loopback port rather than by
`handle_chat_completions`: that call blocks a thread and cannot be taken back, so Ctrl-C would wait for whole replies.
The port is chosen by the system, listens on 127.0.0.1 only and wants a key made for this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from symdistill.errors import CallFailed, PrerequisiteError, UnusableModel
from symdistill.models.base import Capacity, byte_bound, refuse_what_students_give
from symdistill.models.gguf_header import check_gguf, gguf_fingerprint
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.records import Completion, Request

_LOG = logging.getLogger(__name__)
_QUIET, _TALKATIVE = 0, 3
_PROMPT_BATCH = 512
"""Prompt tokens computed between two looks at whether to stop; more is not faster."""

_PLAIN_SAMPLING = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "cache_prompt": True}
"""llama.cpp cuts to 40 tokens and at min_p 0.05 unless told; a request means what it says, on every backend."""


class LlamaCppModel:
    """`llama_cpp:FILE.gguf`.

    `slots` replies are generated at once, each within `context` tokens of prompt and reply; one that does not fit is
    `rejected`, so that no reply that is kept depends on `context`. The weights are loaded at
    the first call. `name` holds a fingerprint of the weights, so that moving or renaming directories changes nothing.

    Raises:
        PrerequisiteError: xllamacpp is not installed; the file is missing, truncated or not GGUF.
    """

    def __init__(self, path: Path, *, slots: int = 8, context: int = 4096, threads: int | None = None) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise PrerequisiteError("The package xllamacpp is not installed.", "pip install 'symdistill[llama-cpp]'")
        check_gguf(path)
        self.name = f"llama_cpp:{path.name}#{gguf_fingerprint(path)}"
        self.capacity = Capacity(concurrency=slots)
        self._path = path
        self._slots = slots
        self._context = context
        self._threads = threads or physical_cores()
        self._loading: asyncio.Task[None] | None = None
        self._server: Any = None
        self._client: OpenAICompatibleModel | None = None

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Raises CallFailed, and UnusableModel when llama.cpp cannot load the file."""
        refuse_what_students_give(self.name, requests)
        if self._client is None:
            loading = self._loading
            if loading is None or loading.get_loop() is not asyncio.get_running_loop():
                loading = self._loading = asyncio.create_task(self._load())
            # One caller that gives up must not end the loading for the others.
            await asyncio.shield(loading)
        assert self._client is not None
        replies = await self._client.generate(requests)
        return [self._fitting(request, reply) for request, reply in zip(requests, replies, strict=True)]

    async def close(self) -> None:
        client, self._client = self._client, None
        self._loading = None
        if client is not None:
            await client.close()
        self._server = None

    def _fitting(self, request: Request, reply: Completion | CallFailed) -> Completion | CallFailed:
        """The reply, or a failure where the context ended before it and before its own limit did."""
        if isinstance(reply, CallFailed) or reply.finish_reason != "length":
            return reply
        # llama.cpp rounds a slot's context up, so a reply may be longer than was asked for before it is cut.
        met = reply.prompt_tokens + reply.completion_tokens >= self._context
        if not met or reply.completion_tokens >= request.sampling.max_tokens:
            return reply
        return CallFailed(
            "rejected",
            f"the context of {self._context} tokens ended before the reply: raise `teacher.context` and set "
            "`teacher.retry_failures`",
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )

    async def _load(self) -> None:
        key = secrets.token_hex(16)
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[Any] = loop.create_future()

        def settle(server: Any, problem: BaseException | None) -> None:
            if loaded.done():
                return
            if problem is not None:
                loaded.set_exception(problem)
            else:
                loaded.set_result(server)

        def work() -> None:
            server, problem = None, None
            try:
                server = self._start(key)
            except Exception as error:
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, server, problem)

        # A daemon, not the loop's executor: the interpreter must be able to leave while a large file loads.
        threading.Thread(target=work, name="llama.cpp loader", daemon=True).start()
        try:
            self._server = await loaded
        except RuntimeError as problem:
            raise UnusableModel(
                f"llama.cpp cannot load {self._path}: {problem}",
                "Run with --debug to see llama.cpp's own words; the model may be of a newer kind than this xllamacpp.",
            ) from problem
        self._client = OpenAICompatibleModel(
            self._path.name,
            base_url=f"{self._server.listening_address}/v1",
            api_key=key,
            concurrency=self._slots,
            timeout_seconds=None,
            name=self.name,
            defaults=_PLAIN_SAMPLING,
        )

    def _start(self, key: str) -> Any:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(self._path)
        params.n_parallel = self._slots
        params.n_ctx = self._slots * self._context
        params.n_batch = max(_PROMPT_BATCH, self._slots)
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        params.cache_ram_mib = 0
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [key]
        params.ui = False
        params.offline = True
        params.endpoint_slots = False
        params.verbosity = _TALKATIVE if _LOG.isEnabledFor(logging.DEBUG) else _QUIET
        with own_signal_handlers():
            return xllamacpp.Server(params)


@contextlib.contextmanager
def own_signal_handlers() -> Iterator[None]:
    """Put the process's handlers of SIGINT and SIGTERM back on leaving.

    llama.cpp's server takes both for itself, from whatever thread it is started in, and Ctrl-C would reach neither
    Python nor the event loop. Python's own `signal.signal` works in the main thread only, hence the C function.
    """
    if sys.platform == "win32":
        yield
        return
    sigaction = ctypes.CDLL(None).sigaction
    kept = {number: ctypes.create_string_buffer(512) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, buffer in kept.items():
        sigaction(int(number), None, buffer)
    try:
        yield
    finally:
        for number, buffer in kept.items():
            sigaction(int(number), buffer, None)


def physical_cores() -> int:
    """Cores this process may use, hyper-threads not counted: llama.cpp is slower with two threads a core."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            cores.add((topology / "thread_siblings_list").read_text())
        except OSError:
            return len(allowed)
    return max(1, len(cores))
