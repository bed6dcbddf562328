"""`kill -9` at random moments: no stored reply is bought again, and at most what was under way is bought twice.

The sampling processes are forked from one that has imported everything, so that each dies while it samples and not
while it starts.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopback import LoopbackServer
from symdistill import content
from symdistill.content import sample_seed
from symdistill.records import Message, Sampling
from symdistill.sampling import ResponseStore

CONCURRENCY = 8
TOTAL = 600
KILLS = 10
BUDGET = 10**9

CHILD = f"""
import os, sys
from pathlib import Path
from symdistill import content
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.progress import Silent
from symdistill.records import Message, Sampling
from symdistill.sampling import Budget, ResponseStore, Sampler
import openai

class Reporting(Silent):
    count = 0
    def advance(self, count=1, **facts):
        self.count += count
        print("stored", os.getpid(), self.count, flush=True)

def sample(base_url, path):
    requests = [
        content.request("openai:loopback", [Message("user", f"question {{i:04}}")], Sampling(max_tokens=16))
        for i in range({TOTAL})
    ]
    model = OpenAICompatibleModel("loopback", base_url=base_url, concurrency={CONCURRENCY})
    with ResponseStore(path) as store, Sampler(
        store, model, run="run", budget=Budget(tokens={BUDGET}), progress=Reporting()
    ) as sampler:
        print("bought", sampler.sample(requests).bought, flush=True)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sample(*line.split())
        os._exit(0)
    print("child", child, flush=True)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""


def requests():
    sampling = Sampling(max_tokens=16)
    return [content.request("openai:loopback", [Message("user", f"question {i:04}")], sampling) for i in range(TOTAL)]


def stored_keys(path) -> set[str]:
    with ResponseStore(path) as store:
        return set(store.completions(r.key for r in requests()))


class Mother:
    """The process that forks sampling processes."""

    def __init__(self, base_url: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.order = f"{base_url} {path}\n"

    def fork(self) -> int:
        self.process.stdin.write(self.order)
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[1])

    def told(self) -> list[list[str]]:
        """What the child said, once it has ended."""
        lines = []
        while (line := self.process.stdout.readline().split())[0] != "ended":
            lines.append(line)
        return lines

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.mark.slow
def test_killed_at_ten_random_moments_nothing_stored_is_bought_again(tmp_path):
    chance = random.Random(7)
    path = tmp_path / "store.sqlite"
    key_of = {(r.messages[0].content, sample_seed(r.key)): r.key for r in requests()}
    kills: list[tuple[int, set[str]]] = []  # how many requests the server had seen, and what was stored
    with LoopbackServer(delay=0.02, reply=lambda prompt, seed: "The answer is 7.") as server:

        def keys(calls) -> list[str]:
            return [key_of[call.prompt, call.body["seed"]] for call in calls]

        mother = Mother(server.base_url, path)
        try:
            for _ in range(KILLS):
                seen = len(server.calls)
                stored_before = stored_keys(path)
                child = mother.fork()
                enough = seen + chance.randint(3 * CONCURRENCY, 5 * CONCURRENCY)
                while len(server.calls) < enough:
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.03)
                os.kill(child, signal.SIGKILL)
                reported = [int(line[2]) for line in mother.told() if line[0] == "stored"]
                while server.in_flight:
                    time.sleep(0.001)
                stored = stored_keys(path)
                answered = keys(call for call in server.calls[seen:] if call.replied)
                assert len(stored) >= len(stored_before) + max(reported, default=0), "what was reported is there"
                assert len(set(answered) - stored) <= CONCURRENCY, "only what was under way may be missing"
                kills.append((len(server.calls), stored))
            mother.fork()
            assert mother.told()[-1] == ["bought", str(TOTAL - len(kills[-1][1]))]
        finally:
            mother.close()

        for seen, stored in kills:
            assert not stored & set(keys(server.calls[seen:])), "a stored reply was bought again"
        assert len(kills) == KILLS
        assert all(a[1] < b[1] for a, b in itertools.pairwise(kills)), "every process got somewhere"
        assert stored_keys(path) == {r.key for r in requests()}
        assert TOTAL < len(server.calls) <= TOTAL + KILLS * CONCURRENCY
        assert server.served <= TOTAL + KILLS * CONCURRENCY
    with ResponseStore(path) as store:
        assert store.verify().sound
        one = store.completions([requests()[0].key])[requests()[0].key]
        booked = store.spending("run").tokens
    assert booked >= server.served * (one.prompt_tokens + one.completion_tokens), "the budget knows of every reply"
