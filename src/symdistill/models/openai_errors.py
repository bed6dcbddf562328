"""What went wrong with a call to an OpenAI-compatible server, in symdistill's terms."""

from __future__ import annotations

import datetime
import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symdistill.errors import AccessDenied, CallFailed, ConfigError, ModelError, SymdistillError

if TYPE_CHECKING:
    import aiohttp
    import openai
    from aiohttp.http_exceptions import HttpProcessingError

_KEY_LIKE = re.compile(r"\bsk-[\w*-]{4,}")
_QUOTED = re.compile(r"['\"`](\w+)['\"`]")
_MAX_MESSAGE = 300
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds the server asks to wait: `retry-after-ms`, or `Retry-After` as seconds or as an HTTP date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - (time.time() if now is None else now))


def without_secrets(text: str, key: str = "") -> str:
    """A server's words, short and on one line, without the key or anything that looks like one."""
    if len(key) >= 4:
        text = text.replace(key, "***")
    text = " ".join(_KEY_LIKE.sub("***", text).split())
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"


def server_words(content: bytes, key: str = "") -> str:
    """What the body of an error says, in whichever of the usual shapes it comes."""
    error = _error_of(content)
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return without_secrets(error if isinstance(error, str) else json.dumps(error), key)


def minded_parameters(content: bytes) -> set[str]:
    """The parameters an error body complains about: the field it names, and names in quotes in what it says."""
    error = _error_of(content)
    minded = set(_QUOTED.findall(server_words(content)))
    if isinstance(error, dict):
        minded.add(str(error.get("param")))
        details = error.get("detail")
        places = [item.get("loc") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
        minded |= {str(name) for place in places if isinstance(place, list) for name in place}
    return minded


def from_status(
    status: int, headers: Mapping[str, str], content: bytes, *, model: str, address: str, key: str, key_variable: str
) -> ModelError:
    """The error for an answer that is not a success. A 404 is the caller's: it can ask which models there are."""
    words = server_words(content, key) or "no message"
    said = f"{address} answered {status}: {words}"
    if status in (401, 403):
        return AccessDenied(
            f"The server refused the key from {key_variable}: {said}.", f"Set {key_variable} to a key for this server."
        )
    if status == 402 or (status == 429 and _says_no_money(content)):
        return AccessDenied(f"The account has no credit left: {said}.", "Top it up and run again.")
    if status == 404:
        return AccessDenied(
            f"The server does not know the model {model!r}: {said}.",
            "Check `teacher.model`, and that `teacher.base_url` ends as the server wants it (often /v1).",
        )
    if status == 429:
        return CallFailed("rate_limited", said, retry_after=retry_after(headers))
    if status == 408:
        return CallFailed("timeout", said, retry_after=retry_after(headers))
    if status >= 500 or status in (409, 425):
        return CallFailed("server", said, retry_after=retry_after(headers))
    return CallFailed("rejected", said)


def from_connection(error: openai.APIConnectionError, *, address: str, key: str) -> SymdistillError:
    """The error for a call that got no answer. Only what had left for the server may have been paid for."""
    import httpx2

    cause = error.__cause__ or error
    reason = without_secrets(_root_reason(cause), key)
    if isinstance(cause, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return ConfigError(
            f"`teacher.base_url` is not an address: {reason}.", "Give one such as http://127.0.0.1:8080/v1."
        )
    if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)):
        return CallFailed("unreachable", f"cannot connect to {address} ({reason})")
    if isinstance(cause, httpx2.TimeoutException):
        return CallFailed("timeout", f"{address} did not answer in time ({reason})")
    if isinstance(cause, httpx2.DecodingError):
        return CallFailed("malformed", f"{address} sent a body that cannot be decoded ({reason})")
    if isinstance(cause, httpx2.LocalProtocolError):
        return CallFailed("rejected", f"the request to {address} cannot be sent ({reason})")
    if isinstance(cause, httpx2.TooManyRedirects):
        return CallFailed("rejected", f"{address} redirects without end")
    return CallFailed("dropped", f"the connection to {address} broke ({reason})")


def from_plain(error: aiohttp.ClientError | HttpProcessingError, *, address: str) -> SymdistillError:
    """As `from_connection`, for a call over plain HTTP."""
    import aiohttp

    reason = _root_reason(error)
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigError(
            f"`teacher.base_url` is not an address: {reason}.", "Give one such as http://127.0.0.1:8080/v1."
        )
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return CallFailed("unreachable", f"cannot connect to {address} ({reason})")
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
        return CallFailed("dropped", f"the connection to {address} broke ({reason})")
    return CallFailed("malformed", f"what {address} sent is not HTTP ({reason})")


def _root_reason(error: BaseException) -> str:
    """The innermost reason: the operating system's word for a refused connection, not a library's."""
    seen: set[int] = set()
    reason = str(error) or type(error).__name__
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        if isinstance(inner, ConnectionRefusedError):
            return "connection refused"
        if isinstance(inner, OSError) and inner.strerror:
            reason = inner.strerror
        inner = inner.__cause__ or inner.__context__
    return reason


def _error_of(content: bytes) -> Any:
    """The `error` of a JSON body, the whole body where it has none, its text where it is not JSON."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return body.get("error", body) if isinstance(body, dict) else body


def _says_no_money(content: bytes) -> bool:
    error = _error_of(content)
    return isinstance(error, dict) and (error.get("code") in _NO_MONEY or error.get("type") in _NO_MONEY)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
