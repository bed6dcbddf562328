"""How much of a bare client's rate the sampler reaches, and how fast a complete store is read.

    python benchmarks/sampling.py [--calls 4000] [--rounds 5]

A server in a process of its own answers every chat completion after 100 ms; 256 calls are kept under way. The sampler
(planning, storing, budget and all) takes turns with bare asyncio clients that write nothing down, so that all see the
same machine: one that does nothing but `await` the official SDK, one over httpx2 without the SDK, and one over sockets
that knows nothing but this very answer. The target is 0.90 of the SDK's rate, median over the rounds; the others are
printed for information.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import openai

from symdistill import content
from symdistill.models import Price
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.records import Completion, Message, Request, Sampling
from symdistill.sampling import Budget, ResponseStore, Sampler

IN_FLIGHT = 256
ANSWER_SECONDS = 0.1
STORED = 100_000
TARGET = 0.90
REPLY = "Tom has 3 apples and buys 4 more, so he has 3 + 4 = 7 apples. Therefore, the answer is 7."
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": REPLY}}],
        "usage": {"prompt_tokens": 60, "completion_tokens": 27, "total_tokens": 87},
    }
).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER


class Answering(asyncio.Protocol):
    """Reads one request after another and answers each after `ANSWER_SECONDS`."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (head := self.buffer.find(b"\r\n\r\n")) >= 0:
            fields = self.buffer[:head].lower()
            at = fields.find(b"content-length:")
            length = int(fields[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < head + 4 + length:
                return
            self.buffer = self.buffer[head + 4 + length :]
            asyncio.get_running_loop().call_later(ANSWER_SECONDS, self.transport.write, RESPONSE)


def serve(ready: Connection) -> None:
    """The server process: tells its port, then answers until it is ended."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def requests_for(model: str, round_: int, calls: int) -> list[Request]:
    """`calls` requests, 8 samples of each prompt, different in every round."""
    sampling = Sampling(temperature=0.7, max_tokens=128)
    prompts = [
        (
            Message("system", "Think step by step, then give the answer."),
            Message("user", f"Round {round_}, question {number}: Tom has 3 apples and buys {number} more. How many?"),
        )
        for number in range(-(-calls // 8))
    ]
    return [content.request(model, prompts[i // 8], sampling, i % 8) for i in range(calls)]


def by_sampler(base_url: str, requests: list[Request], folder: Path) -> None:
    model = OpenAICompatibleModel("bench", base_url=base_url, concurrency=IN_FLIGHT)
    path = folder / f"{requests[0].key}.sqlite"
    price = Price(input=0.15, output=0.6)
    with (
        ResponseStore(path) as store,
        Sampler(store, model, run="bench", budget=Budget(usd=1000.0), price=price) as sampler,
    ):
        sampled = sampler.sample(requests)
    assert sampled.bought == len(requests)


async def spread(requests: list[Request], ask: Callable[[Request], Awaitable[None]]) -> None:
    """The bare client: `IN_FLIGHT` workers, nothing written down."""
    left = iter(requests)

    async def worker() -> None:
        for request in left:
            await ask(request)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def messages_of(request: Request) -> list[Any]:
    return [{"role": m.role, "content": m.content} for m in request.messages]


def by_sdk(base_url: str, requests: list[Request], _: Path) -> None:
    async def main() -> None:
        import httpx2

        limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        transport = openai.DefaultAsyncHttpxClient(limits=limits, timeout=600)
        async with openai.AsyncOpenAI(
            api_key="none", base_url=base_url, max_retries=0, timeout=600, http_client=transport
        ) as client:

            async def ask(request: Request) -> None:
                reply = await client.chat.completions.create(
                    model="bench", messages=messages_of(request), temperature=0.7, max_tokens=128, seed=1
                )
                assert reply.choices[0].message.content

            await spread(requests, ask)

    asyncio.run(main())


def by_httpx(base_url: str, requests: list[Request], _: Path) -> None:
    import httpx2

    async def main() -> None:
        limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
        async with httpx2.AsyncClient(limits=limits, timeout=600) as client:

            async def ask(request: Request) -> None:
                body = {"model": "bench", "messages": messages_of(request), "temperature": 0.7, "max_tokens": 128}
                reply = await client.post(f"{base_url}/chat/completions", json=body)
                assert reply.json()["choices"]

            await spread(requests, ask)

    asyncio.run(main())


def by_sockets(base_url: str, requests: list[Request], _: Path) -> None:
    host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")

    async def main() -> None:
        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

        async def ask(request: Request) -> None:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(host, int(port))
            body = json.dumps({"model": "bench", "messages": messages_of(request), "max_tokens": 128}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            fields = await reader.readuntil(b"\r\n\r\n")
            length = int(fields.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            assert json.loads(await reader.readexactly(length))["choices"]
            idle.append((reader, writer))

        await spread(requests, ask)
        for _, writer in idle:
            writer.close()

    asyncio.run(main())


CLIENTS = {"sampler": by_sampler, "bare SDK": by_sdk, "bare httpx2": by_httpx, "bare sockets": by_sockets}


def resume(folder: Path) -> float:
    """Seconds a second run over `STORED` stored replies takes to find that there is nothing to ask."""
    requests = requests_for("openai:bench", -1, STORED)
    path = folder / "complete.sqlite"
    with ResponseStore(path) as store:
        for start in range(0, STORED, 10_000):
            chunk = requests[start : start + 10_000]
            store.add([(r, Completion(r.key, REPLY, prompt_tokens=60, completion_tokens=27)) for r in chunk], "bench")
    started = time.perf_counter()
    requests = requests_for("openai:bench", -1, STORED)
    model = OpenAICompatibleModel("bench", base_url="http://127.0.0.1:9/v1")
    with ResponseStore(path) as store, Sampler(store, model, run="bench") as sampler:
        assert sampler.sample(requests).stored == STORED
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    base_url = f"http://127.0.0.1:{ours.recv()}/v1"
    rates: dict[str, list[float]] = {name: [] for name in CLIENTS}
    try:
        with tempfile.TemporaryDirectory() as folder:
            for round_ in range(options.rounds):
                for name, client in CLIENTS.items():
                    requests = requests_for("openai:bench", round_, options.calls)
                    started = time.perf_counter()
                    client(base_url, requests, Path(folder))
                    rates[name].append(options.calls / (time.perf_counter() - started))
                print("  ".join(f"{name} {rates[name][-1]:,.0f}/s" for name in CLIENTS), flush=True)
            print(f"no client can pass {IN_FLIGHT / ANSWER_SECONDS:,.0f}/s")
            for name in list(CLIENTS)[:0:-1]:
                ratios = [a / b for a, b in zip(rates["sampler"], rates[name], strict=True)]
                ratio = statistics.median(ratios)
                print(f"sampler / {name}: {ratio:.2f} (rounds {min(ratios):.2f}–{max(ratios):.2f})")
            print(f"a second run over {STORED:,} stored replies: {resume(Path(folder)):.2f} s (target under 2 s)")
    finally:
        server.terminate()
        server.join()
    print(f"target {TARGET:.2f} of the bare SDK: {'reached' if ratio >= TARGET else 'missed'}")
    sys.exit(ratio < TARGET)


if __name__ == "__main__":
    main()
