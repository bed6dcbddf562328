"""What doctor finds out about a configuration, and what it says it did not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from loopback import LoopbackServer
from symdistill.cli.main import main

pytest.importorskip("torch")

from small_run import small_run, with_teacher


def doctor(capsys: pytest.CaptureFixture[str], config: Path) -> tuple[int, dict[str, str]]:
    """Exit code, and what is said under each name."""
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", str(config)])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    return int(stopped.value.code or 0), {words[0]: words[1] for words in lines if len(words) == 2}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return small_run(tmp_path, monkeypatch)


def test_what_would_run_is_told(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, told = doctor(capsys, config)
    assert code == 0
    assert told["teacher"] == "ok       the rationales that the rows carry"
    assert told["replies"].startswith("ok       6 to replay")
    assert told["ready"] == f"symdistill run {config}"
    assert told["OPENAI_API_KEY"].startswith("openai:NAME without base_url")


def test_a_server_that_listens_is_asked_nothing(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    with LoopbackServer() as server:
        code, told = doctor(capsys, with_teacher(config, f"{{model: 'openai:any', base_url: '{server.base_url}'}}"))
        assert not server.calls
    assert code == 0
    assert f"a server listens at {server.base_url}; it was asked nothing" in told["teacher"]
    assert told["OPENAI_API_KEY"].startswith("openai:NAME"), "no key is wanted of a server of one's own"


def test_a_server_that_does_not_listen_is_a_problem(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        code, told = doctor(capsys, with_teacher(config, f"{{model: 'openai:any', base_url: '{address}'}}"))
        analysed = f"method: {{name: nesycd, analysis: {{model: 'openai:any', base_url: '{address}'}}}}"
        other = doctor(capsys, with_teacher(config, "{model: dataset}", analysed))
    assert code == 2
    assert told["teacher"].startswith(f"problem  Nothing listens at {address} (")
    assert "ready" not in told
    assert other[0] == 2
    assert "correct `method.analysis.base_url`" in other[1]["method.analysis"]


def test_a_server_behind_a_proxy_is_not_connected_to(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    address = "http://models.invalid/v1"
    code, told = doctor(capsys, with_teacher(config, f"{{model: 'openai:any', base_url: '{address}'}}"))
    assert code == 0
    assert f"not asked: {address} is reached through a proxy" in told["teacher"]


def test_a_key_is_wanted_of_openai_alone(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_teacher(config, "{model: 'openai:gpt-4o-mini'}")
    code, told = doctor(capsys, config)
    assert code == 2
    assert told["OPENAI_API_KEY"] == "the teacher of this configuration not set"
    assert "OPENAI_API_KEY is not set" in told["teacher"]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    code, told = doctor(capsys, config)
    assert code == 0
    assert "not asked" in told["teacher"]
    assert told["replies"].startswith("ok       6 to buy, $")


def test_missing_questions_are_one_problem(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").unlink()
    code, told = doctor(capsys, config)
    assert code == 2
    assert [name for name, said in told.items() if said.startswith("problem")] == ["questions"]


def test_a_grid_is_looked_at_as_a_run_is(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    config.write_text(config.read_text() + "grid: {seeds: [0, 1]}\n")
    code, told = doctor(capsys, config)
    assert code == 0
    assert told["runs"].startswith("ok       2 in ")
    assert told["questions"] == "ok       6 to train on, 2 held out"
    assert told["ready"] == f"symdistill compare {config}"
    config.write_text(config.read_text().replace("./tiny", "smolm2"))
    code, told = doctor(capsys, config)
    assert code == 2
    assert "Did you mean `smollm2-135m`?" in told["student"]
