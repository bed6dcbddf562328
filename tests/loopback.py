"""A small server of the OpenAI chat protocol on 127.0.0.1 that counts what it serves and fails when told to.

In a test: `with LoopbackServer(plan="429=1,ok*3,drop") as server: … server.base_url … server.served`.
As a process: `python tests/loopback.py --delay 0.1 --log FILE`; its first line of output is the base URL.

A plan is a list of what befalls the requests, in the order they arrive: `NAME`, `NAME=ARGUMENT`, `NAME*TIMES`. After
its end every request is answered, unless the plan is to be repeated (`repeat`). A function of (number, body) that
returns such a step will do as well. The steps:

    ok             an answer                         reasoning      `reasoning_content` beside the answer
    slow=SECONDS   an answer, later                  reasoning2     the same in a field called `reasoning`
    length         cut at the token limit            think          a <think> block before the answer
    blank          no text                           unclosed       a <think> block without an end, cut
    empty          no choices                        no-usage       an answer that says nothing of tokens
    refusal        the `refusal` field               filter         cut by a content filter
    truncated      JSON that stops in the middle     html           a page instead of JSON
    list           JSON, but a list                  error200       status 200 around an error
    drop           connection closed mid-reply       reset          closed before any reply
    hang           no reply, ever                    quota          429, no money left
    429[=SECONDS]  come back later                   429-date=SECONDS, 429-ms=MILLISECONDS   said the other ways
    503=SECONDS    as 500, and come back later       no-seed        400 for a request with `seed`
    4xx, 5xx       that status                       no-limit       400 for a request with `max_tokens`

Each request and each reply is one line of the log: {"event", "number", "time", "prompt", "seed", "n", "step"}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email.utils
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

Plan = str | Callable[[int, dict[str, Any]], str]
Reply = Callable[[str, int], str]

_MAX_LIFETIME_SECONDS = 600.0


@dataclass
class Call:
    """One request the server saw. `replied` is true once a whole answer was written."""

    number: int
    prompt: str
    body: dict[str, Any]
    step: str
    headers: bytes
    replied: bool = False


def steps_of(plan: str) -> Iterator[str]:
    """The steps of a plan written as text, one a request."""
    for part in filter(None, (p.strip() for p in plan.split(","))):
        step, _, times = part.partition("*")
        for _ in range(int(times or 1)):
            yield step


def plain_reply(prompt: str, seed: int) -> str:
    """What the server says unless told otherwise: different for every seed, with an answer to parse."""
    return f"Step {seed} of the way. Therefore, the answer is {len(prompt) % 10}."


@dataclass
class LoopbackServer:
    """Serves from its own thread between `with` and the end of it, or for `lifetime` seconds."""

    delay: float = 0.0
    plan: Plan = ""
    repeat: bool = False
    reply: Reply = plain_reply
    models: tuple[str, ...] = ("loopback", "other")
    limit: int | None = None
    """Answer 429 to what comes while so many requests are under way."""
    key: str | None = None
    """Answer 401 to requests without this key."""
    log: Path | None = None
    port: int = 0
    lifetime: float = _MAX_LIFETIME_SECONDS
    calls: list[Call] = field(default_factory=list)
    served: int = 0
    in_flight: int = 0
    in_flight_max: int = 0
    connections: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> Counter[tuple[str, int | None]]:
        """How often each prompt and seed was asked for."""
        return Counter((call.prompt, call.body.get("seed")) for call in self.calls)

    def __enter__(self) -> LoopbackServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready.set)), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the loopback server did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(RuntimeError):  # its lifetime is over, the loop is closed
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def serve(self, started: Callable[[], object]) -> None:
        """Serve until stopped or out of lifetime; `started` is called once the port is open."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._steps = self._step_source()
        self._log_file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if self.log else None
        self._open: set[asyncio.Transport] = set()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=2048)
        self.port = server.sockets[0].getsockname()[1]
        started()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self.lifetime)
        server.close()
        for transport in list(self._open):
            transport.abort()
        if self._log_file is not None:
            os.close(self._log_file)

    def _step_source(self) -> Iterator[str]:
        assert isinstance(self.plan, str) or callable(self.plan)
        if callable(self.plan):
            return iter(())
        steps = list(steps_of(self.plan))

        def source() -> Iterator[str]:
            yield from steps
            while self.repeat and steps:
                yield from steps

        return source()

    def arrived(self, headers: bytes, body: dict[str, Any]) -> Call:
        """Write a request down and decide what befalls it."""
        number = len(self.calls)
        over = self.limit is not None and self.in_flight >= self.limit
        step = "429" if over else self.plan(number, body) if callable(self.plan) else next(self._steps, "ok")
        messages = body.get("messages") or [{}]
        call = Call(number, str(messages[-1].get("content")), body, step, headers)
        self.calls.append(call)
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self._write_log("request", call)
        return call

    def left(self, call: Call, *, answered: bool) -> None:
        """A request is over, with a whole answer or without."""
        self.in_flight -= 1
        if answered:
            call.replied = True
            self.served += 1
            self._write_log("reply", call)

    def _write_log(self, event: str, call: Call) -> None:
        if self._log_file is None:
            return
        line = {
            "event": event,
            "number": call.number,
            "time": time.time(),
            "prompt": call.prompt,
            "seed": call.body.get("seed"),
            "n": call.body.get("n", 1),
            "step": call.step,
        }
        os.write(self._log_file, json.dumps(line).encode() + b"\n")


class _Connection(asyncio.Protocol):
    """One kept-alive connection: reads requests by their Content-Length, answers one at a time."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._call: Call | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections += 1
        self._server._open.add(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        self._finish(answered=False)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end]
        length = _content_length(head)
        if len(self._buffer) < end + 4 + length:
            return
        content = self._buffer[end + 4 : end + 4 + length]
        self._buffer = self._buffer[end + 4 + length :]
        self._request(head, content)

    def _request(self, head: bytes, content: bytes) -> None:
        server = self._server
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        if method == "GET" and path == "/v1/models":
            models = [{"id": m, "object": "model", "created": 0, "owned_by": "loopback"} for m in server.models]
            self._send(200, {"object": "list", "data": models})
        elif method == "GET" and path == "/stats":
            self._send(200, {"requests": len(server.calls), "served": server.served, "most": server.in_flight_max})
        elif method == "POST" and path == "/v1/chat/completions":
            self._call = server.arrived(head, json.loads(content))
            kind, _, argument = self._call.step.partition("=")
            wait = server.delay + (float(argument) if kind == "slow" else 0.0)
            if wait:
                self._timer = server._loop.call_later(wait, self._answer)
            else:
                self._answer()
        else:
            self._send(404, _error(f"no such address: {method} {path}"))

    def _answer(self) -> None:
        call = self._call
        assert call is not None
        kind, _, argument = call.step.partition("=")
        server = self._server
        if server.key is not None and f"bearer {server.key}".encode().lower() not in call.headers.lower():
            self._send(401, _error(f"Incorrect API key provided: {_bearer(call.headers)}"))
        elif kind == "hang":
            return
        elif kind == "reset":
            self._transport.abort()
        elif kind == "drop":
            payload = _response(200, json.dumps(_completion(call, server.reply)).encode(), ())
            self._transport.write(payload[: len(payload) * 2 // 3])
            self._transport.close()
        elif kind in _WRONG_BODIES:
            self._send_bytes(200, _WRONG_BODIES[kind](json.dumps(_completion(call, server.reply)).encode()))
        elif (failed := _failure(kind, argument, call)) is not None:
            self._send(*failed)
        else:
            self._send(200, _completion(call, server.reply))
            self._finish(answered=True)

    def _send(self, status: int, body: Any, headers: tuple[str, ...] = ()) -> None:
        self._send_bytes(status, json.dumps(body).encode(), headers)

    def _send_bytes(self, status: int, content: bytes, headers: tuple[str, ...] = ()) -> None:
        self._transport.write(_response(status, content, headers))
        if status != 200 or (self._call is not None and self._call.step.partition("=")[0] in _WRONG_BODIES):
            self._finish(answered=False)

    def _finish(self, *, answered: bool) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._server.left(call, answered=answered)


_WRONG_BODIES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "html": lambda content: b"<html><body>Bad gateway</body></html>",
    "list": lambda content: b"[1, 2]",
    "error200": lambda content: b'{"error": {"message": "upstream failed", "code": 502}}',
}


def _failure(kind: str, argument: str, call: Call) -> tuple[int, Any, tuple[str, ...]] | None:
    """Status, body and headers of an answer that is not a success; None where the step is none."""
    if kind == "429" or kind == "503":
        headers = (f"Retry-After: {argument}",) if argument else ()
        return int(kind), _error("come back later", "rate_limit_exceeded"), headers
    if kind == "429-date":
        moment = email.utils.formatdate(time.time() + float(argument), usegmt=True)
        return 429, _error("come back later"), (f"Retry-After: {moment}",)
    if kind == "429-ms":
        return 429, _error("come back later"), (f"retry-after-ms: {argument}",)
    if kind == "quota":
        return 429, _error("You exceeded your current quota", "insufficient_quota"), ()
    if kind == "no-seed" and "seed" in call.body:
        return 400, _error("Unknown parameter: 'seed'.", param="seed"), ()
    if kind == "no-limit" and "max_tokens" in call.body:
        return 400, _error("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."), ()
    if kind.isdigit():
        return int(kind), _error(f"status {kind} as planned"), ()
    return None


def _completion(call: Call, reply: Reply) -> dict[str, Any]:
    kind = call.step.partition("=")[0]
    seed = call.body.get("seed") or 0
    choices = [_choice(kind, index, reply(call.prompt, seed + index), call) for index in range(call.body.get("n", 1))]
    tokens = sum(len(choice["message"]["content"] or "") for choice in choices) // 4 + len(choices)
    prompt = sum(len(str(m.get("content"))) for m in call.body.get("messages", ())) // 4 + 1
    body: dict[str, Any] = {
        "id": f"loopback-{call.number}",
        "object": "chat.completion",
        "created": 1,
        "model": call.body.get("model"),
        "choices": [] if kind == "empty" else choices,
    }
    if kind != "no-usage":
        cached = {"cached_tokens": prompt // 2}
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": tokens, "prompt_tokens_details": cached}
    return body


def _choice(kind: str, index: int, text: str, call: Call) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish = "stop"
    if kind in ("reasoning", "reasoning2"):
        message["reasoning_content" if kind == "reasoning" else "reasoning"] = "Let me think."
    elif kind == "think":
        message["content"] = f"<think>\nLet me think.\n</think>\n\n{text}"
    elif kind == "unclosed":
        message["content"], finish = "<think>\nLet me think and", "length"
    elif kind == "blank":
        message["content"] = ""
    elif kind == "refusal":
        message.update(content=None, refusal="I cannot help with that.")
    elif kind == "filter":
        message["content"], finish = text[:5], "content_filter"
    elif kind == "length":
        message["content"], finish = text[:10], "length"
    choice: dict[str, Any] = {"index": index, "message": message, "finish_reason": finish}
    if call.body.get("logprobs"):
        tokens = (message["content"] or "").split()
        choice["logprobs"] = {"content": [{"token": t, "logprob": -0.25, "top_logprobs": []} for t in tokens]}
    return choice


def _error(message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "loopback_error", "code": code, "param": param}}


def _response(status: int, content: bytes, headers: tuple[str, ...]) -> bytes:
    extra = "".join(f"{header}\r\n" for header in headers)
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n{extra}\r\n"
    return head.encode() + content


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _bearer(head: bytes) -> str:
    at = head.lower().find(b"authorization: bearer ")
    return head[at + 22 :].split(b"\r\n", 1)[0].decode() if at >= 0 else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description="OpenAI chat protocol on 127.0.0.1, for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--log", type=Path, help="one JSON line for every request and every reply")
    parser.add_argument("--plan", default="", help="what befalls the requests, in order")
    parser.add_argument("--repeat", action="store_true", help="begin the plan again at its end")
    parser.add_argument("--limit", type=int, help="429 for what comes while so many requests are under way")
    parser.add_argument("--key", help="401 for requests without this key")
    parser.add_argument("--text", help="answer with this text")
    parser.add_argument("--lifetime", type=float, default=_MAX_LIFETIME_SECONDS, help="seconds until it ends by itself")
    given = parser.parse_args()
    server = LoopbackServer(
        delay=given.delay,
        plan=given.plan,
        repeat=given.repeat,
        reply=(lambda prompt, seed: given.text) if given.text else plain_reply,
        limit=given.limit,
        key=given.key,
        log=given.log,
        port=given.port,
        lifetime=given.lifetime,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(lambda: sys.stdout.write(server.base_url + "\n") and sys.stdout.flush()))


if __name__ == "__main__":
    main()
