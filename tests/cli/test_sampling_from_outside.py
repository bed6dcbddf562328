"""`symdistill sample` as a process of its own, against a server that counts: stopping, dying, running out of money."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loopback import LoopbackServer
from symdistill.sampling.store import ResponseStore

QUESTIONS, SAMPLES = 12, 5
TOTAL = QUESTIONS * SAMPLES


def write_config(tmp_path: Path, base_url: str, **teacher: Any) -> Path:
    rows = [{"id": f"q{i}", "question": f"Question number {i} of many?", "answer": str(i)} for i in range(QUESTIONS)]
    held = {"id": "held", "question": "Something else altogether?", "answer": "1", "split": "test"}
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, held]))
    config = {
        "task": {"path": str(tmp_path / "q.jsonl")},
        "teacher": {"model": "openai:loopback", "base_url": base_url, "samples": SAMPLES, "concurrency": 4, **teacher},
        "method": "std-cot",
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    return file


def command(tmp_path: Path, config: Path) -> list[str]:
    return [sys.executable, "-m", "symdistill", "sample", str(config), "--run-dir", str(tmp_path / "run")]


def stored(tmp_path: Path) -> int:
    with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
        return store.stats().replies


def test_ctrl_c_drains_says_how_to_go_on_and_exits_130(tmp_path: Path) -> None:
    with LoopbackServer(delay=0.3) as server:
        call = command(tmp_path, write_config(tmp_path, server.base_url))
        process = subprocess.Popen(call, stderr=subprocess.PIPE, text=True)
        while server.served < 8:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        kept = stored(tmp_path)
        assert kept == server.served < TOTAL  # what was under way was waited for and kept
        assert f"Stopped. {kept} of {TOTAL} replies are stored and paid for. Continue: symdistill sample" in said
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert server.served == stored(tmp_path) == TOTAL


@pytest.mark.slow
def test_kill_loses_nothing_and_buys_twice_only_what_was_in_flight(tmp_path: Path) -> None:
    kills = 5
    with LoopbackServer(delay=0.2) as server:
        call = command(tmp_path, write_config(tmp_path, server.base_url))
        for kill in range(1, kills + 1):
            before = server.served
            process = subprocess.Popen(call, stderr=subprocess.DEVNULL)
            while server.served < min(before + 2 * kill, TOTAL - 8) and process.poll() is None:
                time.sleep(0.01)
            process.kill()
            process.wait()
        assert subprocess.run(call, capture_output=True, check=False).returncode == 0
        assert stored(tmp_path) == TOTAL
        assert TOTAL <= server.served <= TOTAL + kills * 4


def test_a_second_run_asks_nobody(tmp_path: Path) -> None:
    with LoopbackServer() as server:
        call = command(tmp_path, write_config(tmp_path, server.base_url))
        for _ in range(2):
            assert subprocess.run(call, capture_output=True, check=False).returncode == 0
        assert server.served == TOTAL


def test_a_dead_server_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    done = subprocess.run(
        command(tmp_path, write_config(tmp_path, address)), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert f"Cannot reach the teacher at {address}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_budget_ends_the_run_before_it_is_passed(tmp_path: Path) -> None:
    with LoopbackServer() as server:
        price = {"input": 1.0, "output": 1.0}
        config = write_config(tmp_path, server.base_url, price=price, budget_usd=0.002, max_tokens=50)
        done = subprocess.run(command(tmp_path, config), capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "budget of $0.002" in done.stderr
        assert "Raise `teacher.budget_usd` and run again." in done.stderr
        with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
            models = store.stats().models
            assert 0 < sum(m.replies for m in models) < TOTAL
            assert sum(m.cost_usd for m in models) <= 0.002


def test_no_key_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    config = write_config(tmp_path, "http://127.0.0.1:9/v1")
    config.write_text(config.read_text().replace('"base_url": "http://127.0.0.1:9/v1", ', ""))
    done = subprocess.run(command(tmp_path, config), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "OPENAI_API_KEY" in done.stderr
