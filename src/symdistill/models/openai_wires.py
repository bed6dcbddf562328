"""The two ways a chat completion travels: through the official SDK, or over plain HTTP to a server near by.

A model server near by answers thousands of calls a second; the SDK spends more time on a call than such a server does.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from symdistill.errors import CallFailed, PrerequisiteError
from symdistill.models import openai_errors

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers (found by names in lower case) and body."""

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 4.0
"""Servers close idle connections after 5 seconds or more; one that is younger is safe to use."""
_POOL_SIZE = 32
"""Connections a pool of the SDK's HTTP client searches well; more calls at once get more pools."""


class Wire(Protocol):
    """Brings a body to the server and its answer back, whatever its status."""

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        """Raises CallFailed when no answer came."""

    async def models(self) -> list[str]:
        """The names of the models the server offers. Raises CallFailed."""

    async def close(self) -> None: ...


def wire_to(address: str, key: str, concurrency: int) -> Wire:
    """The quickest wire to `address`: https and proxies go through the SDK, plain http to a server goes straight."""
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.username is None and not _has_proxy(parts.hostname or ""):
        return PlainWire(address, key)
    return SdkWire(address, key, concurrency)


class PlainWire:
    """Plain HTTP through aiohttp, for the running event loop. The caller bounds the time an answer may take."""

    def __init__(self, address: str, key: str) -> None:
        import aiohttp

        self._address = address
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {key}", "User-Agent": "symdistill"},
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS),
        )

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        return await self._exchange("POST", "chat/completions", body)

    async def models(self) -> list[str]:
        status, _, content = await self._exchange("GET", "models")
        if status != 200:
            raise CallFailed("server", f"the list of models came with status {status}")
        try:
            return [str(model["id"]) for model in json.loads(content)["data"]]
        except (ValueError, TypeError, KeyError) as problem:
            raise CallFailed("malformed", f"the list of models cannot be read: {problem}") from None

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        url = f"{self._address}/{path}"
        try:
            async with self._session.request(method, url, json=body, allow_redirects=False) as response:
                return response.status, response.headers, await response.read()
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise openai_errors.from_plain(error, address=self._address) from None


class SdkWire:
    """The official SDK. Trying again is the sampler's business, so the SDK is told not to."""

    def __init__(self, address: str, key: str, concurrency: int) -> None:
        try:
            import httpx2
            import openai
        except ImportError as problem:
            raise PrerequisiteError("The package openai is not installed.", "pip install 'openai>=3'") from problem
        self._address = address
        self._key = key
        trust = httpx2.create_ssl_context()
        self._clients = [
            openai.AsyncOpenAI(
                api_key=key,
                base_url=address,
                max_retries=0,
                http_client=httpx2.AsyncClient(
                    verify=trust,
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=_POOL_SIZE),
                    timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS),
                    follow_redirects=True,
                    trust_env=not _is_loopback(urlsplit(address).hostname or ""),
                ),
            )
            for _ in range(-(-concurrency // _POOL_SIZE))
        ]
        self._under_way = [0] * len(self._clients)

    async def chat(self, body: Mapping[str, Any]) -> Answer:
        import openai

        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        at = min(range(len(self._clients)), key=self._under_way.__getitem__)
        self._under_way[at] += 1
        try:
            raw = await self._clients[at].chat.completions.with_raw_response.create(
                model=body["model"], messages=body["messages"], extra_body=rest
            )
            return raw.http_response.status_code, raw.http_response.headers, raw.http_response.content
        except openai.APIStatusError as error:
            return error.status_code, error.response.headers, error.response.content
        except openai.APIConnectionError as error:
            raise openai_errors.from_connection(error, address=self._address, key=self._key) from None
        finally:
            self._under_way[at] -= 1

    async def models(self) -> list[str]:
        import openai

        try:
            return [model.id async for model in self._clients[0].models.list()]
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise CallFailed("malformed", f"the list of models cannot be read: {type(error).__name__}") from None

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


def _has_proxy(host: str) -> bool:
    proxies = urllib.request.getproxies()
    named = bool(proxies.get("http") or proxies.get("all"))
    return named and not _is_loopback(host) and not urllib.request.proxy_bypass(host)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
