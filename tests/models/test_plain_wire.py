"""What the plain wire makes of servers, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from symdistill.errors import CallFailed
from symdistill.models.openai_wires import PlainWire

T = TypeVar("T")
Answers = list[list[bytes]]


def talk(answers: Answers, use: Callable[[PlainWire], Awaitable[T]], *, close_after: bool = False) -> tuple[T, int]:
    """What `use` makes of a server that sends each answer in the given pieces; and the connections it took."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            while answers and await reader.readuntil(b"\r\n\r\n{}"):
                for piece in answers.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
                if close_after:
                    break
            writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        wire = PlainWire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "key")
        try:
            async with asyncio.timeout(20):
                return await use(wire)
        finally:
            await wire.close()
            server.close()

    return asyncio.run(run()), connections


@pytest.mark.parametrize(
    "pieces, kind",
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"], "dropped"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"], "dropped"),
        ([b"HTTP/1.1 200 OK\r\nContent-"], "dropped"),
        ([b""], "dropped"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], "malformed"),
        ([b"HTTP/2 200\r\n\r\n"], "malformed"),
        ([b"HTTP/1.1 okay\r\n\r\n"], "malformed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"], "malformed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"], "malformed"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"], "malformed"),
    ],
)
def test_what_is_no_whole_answer(pieces: list[bytes], kind: str) -> None:
    with pytest.raises(CallFailed) as failed:
        talk([pieces], lambda wire: wire.chat({}), close_after=True)
    assert failed.value.kind == kind
    assert "http://127.0.0.1" in failed.value.message


@pytest.mark.parametrize("close_after, connections", [(False, 1), (True, 2)])
def test_a_connection_the_server_closed_while_idle_is_not_used_again(close_after: bool, connections: int) -> None:
    async def twice(wire: PlainWire) -> list[bytes]:
        first = await wire.chat({})
        await asyncio.sleep(0.1)
        return [first[2], (await wire.chat({}))[2]]

    answers = [[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + text] for text in (b"0", b"1")]
    assert talk(answers, twice, close_after=close_after) == ([b"0", b"1"], connections)


def test_a_redirect_is_not_followed() -> None:
    answers = [[b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:9/v1\r\nContent-Length: 0\r\n\r\n"]]
    (status, headers, _), _ = talk(answers, lambda wire: wire.chat({}))
    assert (status, headers["location"]) == (307, "http://127.0.0.1:9/v1")
