"""A model behind the OpenAI chat protocol: the official service, or any server that speaks it.

Parameters go out only where the request asks for something, because servers differ in what they accept: what the
request leaves at its default is the server's own default. `temperature` and `top_p` are always said, since servers'
defaults for them differ; the official service's are known, and its reasoning models refuse to hear them. It takes no
`top_k` at all, which is left out there, with a warning, though it stays a part of the replies' keys.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from symdistill.content import sample_seed
from symdistill.errors import AccessDenied, CallFailed, ConfigError, ModelError, PrerequisiteError
from symdistill.models import openai_errors
from symdistill.models.base import Capacity, byte_bound, refuse_what_students_give
from symdistill.models.openai_replies import completions_from
from symdistill.models.openai_wires import Wire, wire_to
from symdistill.records import Completion, Request

_LOG = logging.getLogger(__name__)

OFFICIAL_URL = "https://api.openai.com/v1"
_OFFICIAL_HOST = "api.openai.com"
_LIST_SECONDS = 5.0
_LISTED_MODELS = 12


class OpenAICompatibleModel:
    """`openai:NAME`.

    `base_url` None is the official service. `api_key` is sent as a bearer token and appears nowhere else;
    `key_variable` names it in messages. `name` stands in content keys. `extra` is added to every request's body,
    `defaults` are where the request says nothing of them.
    `address` is where the model is asked. `open_wire` makes the connection from an address, a key and the number of
    calls at once.

    Raises:
        ConfigError: `base_url` is not an http or https address.
        PrerequisiteError: the key cannot be sent.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str = "none",
        key_variable: str = "OPENAI_API_KEY",
        concurrency: int = 16,
        samples_per_call: int = 1,
        timeout_seconds: float | None = 120.0,
        name: str | None = None,
        extra: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        open_wire: Callable[[str, str, int], Wire] = wire_to,
    ) -> None:
        self.name = name or f"openai:{model}"
        self._url = (base_url or OFFICIAL_URL).rstrip("/")
        self.address = _without_login(self._url)
        self.capacity = Capacity(concurrency, samples_per_call, same_prompt=samples_per_call > 1)
        self._model = model
        self._official = urlsplit(self.address).hostname == _OFFICIAL_HOST
        self._key = _usable(api_key, key_variable)
        self._key_variable = key_variable
        self._timeout = timeout_seconds
        self._extra = dict(extra or {})
        self._defaults = dict(defaults or {})
        self._open_wire = open_wire
        self._without: set[str] = set()
        self._warned = False
        self._wire: Wire | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"OpenAICompatibleModel({self._model!r}, base_url={self.address!r})"

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """One call for all `requests`, which share messages and sampling parameters and differ in the sample.

        Raises:
            CallFailed, AccessDenied: as the protocol says.
        """
        first = requests[0]
        if any(r.messages != first.messages or r.sampling != first.sampling for r in requests[1:]):
            raise ValueError("requests of one call must share their messages and sampling parameters")
        refuse_what_students_give(self.name, requests)
        started = time.perf_counter()
        content = await self._ask(first, len(requests))
        return completions_from(content, requests, time.perf_counter() - started)

    async def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def _ask(self, request: Request, samples: int) -> bytes:
        wire = self._connected()
        while True:
            without = frozenset(self._without)
            try:
                async with asyncio.timeout(self._timeout):
                    status, headers, content = await wire.chat(self._body(request, samples, without))
            except TimeoutError:
                raise CallFailed("timeout", f"{self.address} did not answer in {self._timeout:g} s") from None
            if 200 <= status < 300:
                return content
            if not self._do_without(status, content, without):
                raise await self._refusal(wire, status, headers, content)

    def _body(self, request: Request, samples: int, without: frozenset[str]) -> dict[str, Any]:
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        }
        old_limit = not self._official and "max_tokens" not in without
        body["max_tokens" if old_limit else "max_completion_tokens"] = sampling.max_tokens
        if not (self._official and sampling.temperature == 1):
            body["temperature"] = sampling.temperature
        if not (self._official and sampling.top_p == 1):
            body["top_p"] = sampling.top_p
        if sampling.top_k and not self._official:
            body["top_k"] = sampling.top_k
        elif sampling.top_k and not self._warned:
            self._warned = True
            _LOG.warning(
                "%s takes no `top_k`: it is not sent, and %s draws from all tokens. A server of your own takes it.",
                self.address,
                self._model,
            )
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = 1
        if samples > 1:
            body["n"] = samples
        if "seed" not in without:
            body["seed"] = sample_seed(request.key)
        return self._defaults | body | self._extra

    def _do_without(self, status: int, content: bytes, without: frozenset[str]) -> bool:
        """Whether the server only minds a parameter that can go without changing what is asked for.

        Without `seed` a sample is as random as before, only not repeatable; `max_completion_tokens` says what
        `max_tokens` says. Found out once, it holds for every later call.
        """
        if status not in (400, 422):
            return False
        words = openai_errors.minded_parameters(content)
        minded = {"seed"} & words
        if {"max_tokens", "max_completion_tokens"} <= words:
            minded.add("max_tokens")
        self._without |= minded
        return bool(minded - without)

    async def _refusal(self, wire: Wire, status: int, headers: Mapping[str, str], content: bytes) -> ModelError:
        found = openai_errors.from_status(
            status,
            headers,
            content,
            model=self._model,
            address=self.address,
            key=self._key,
            key_variable=self._key_variable,
        )
        if status == 404 and isinstance(found, AccessDenied):
            offered = await self._offered(wire)
            if offered:
                return AccessDenied(found.message, f"It offers {offered}.")
        return found

    async def _offered(self, wire: Wire) -> str:
        """The models the server says it has, in a few words; empty when it does not say."""
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                names = sorted(await wire.models())
        except (CallFailed, TimeoutError):
            return ""
        more = f" and {len(names) - _LISTED_MODELS} more" if len(names) > _LISTED_MODELS else ""
        return openai_errors.without_secrets(", ".join(names[:_LISTED_MODELS]) + more, self._key)

    def _connected(self) -> Wire:
        """The wire of the running event loop; connections cannot move from one loop to another."""
        loop = asyncio.get_running_loop()
        if self._wire is None or self._loop is not loop:
            self._wire, self._loop = self._open_wire(self._url, self._key, self.capacity.concurrency), loop
        return self._wire


def _without_login(url: str) -> str:
    """The address without a user's name and password. Raises ConfigError for what is no address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"`teacher.base_url` is not an address: {url!r}.", "Give one such as http://127.0.0.1:8080/v1."
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _usable(key: str, variable: str) -> str:
    """The key without blanks around it. Raises PrerequisiteError for one that no header can carry."""
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise PrerequisiteError(
            f"The value of {variable} is not a key: it holds blanks or letters outside ASCII.", f"export {variable}=…"
        )
    return key
