"""Models of the hub that cannot be had: one sentence of what is the matter, and one of what to do."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("transformers")

import httpx2
import huggingface_hub

from counting import write_questions
from symdistill.cli.main import main
from symdistill.errors import PrerequisiteError
from symdistill.models.weights import model_directory

NAME = "nobody/nothing"
LOCALLY = "or name a local directory."


class Hub(BaseHTTPRequestHandler):
    """Answers everything with the status and the headers it is given."""

    status = 404
    told: dict[str, str] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        self.send_response(self.status)
        for name, value in {**self.told, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A hub on this machine, which the client asks in place of the real one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        asked_at(address, monkeypatch, tmp_path)
        yield address
        server.shutdown()


def asked_at(address: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def refused(name: str = NAME) -> PrerequisiteError:
    with pytest.raises(PrerequisiteError) as caught:
        model_directory(name)
    return caught.value


@pytest.mark.parametrize(
    "status, told, message, fix",
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "neither on this machine nor on the hub", "Check the name"),
        (
            401,
            {"X-Error-Code": "RepoNotFound"},
            "neither on this machine nor on the hub",
            "set HF_TOKEN if it is private",
        ),
        (403, {"X-Error-Code": "GatedRepo"}, "only to people its owner has let in", f"/{NAME} and set HF_TOKEN"),
        (
            401,
            {"X-Error-Message": "Invalid credentials in Authorization header"},
            "it answers 401 Unauthorized.",
            "Check HF_TOKEN",
        ),
        (403, {"X-Error-Message": "Access to this resource is disabled."}, "403 Forbidden.", "name another model"),
        (501, {}, "it answers 501 Not Implemented.", "Run the same command later"),
    ],
)
def test_what_the_hub_says_is_told_in_a_sentence(
    hub: str, monkeypatch: pytest.MonkeyPatch, status: int, told: dict[str, str], message: str, fix: str
) -> None:
    monkeypatch.setattr(Hub, "status", status)
    monkeypatch.setattr(Hub, "told", told)
    error = refused()
    assert f"`{NAME}`" in error.message
    assert message in error.message
    assert fix in error.fix
    assert len(str(error)) < 250
    assert "http" not in error.message


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    asked_at(nobody, monkeypatch, tmp_path)
    error = refused()
    assert error.message == (
        f"There is no model `{NAME}` on this machine, and the hub cannot be reached (Connection refused)."
    )
    assert error.fix == f"Check the name and the connection, {LOCALLY}"


def test_a_hub_that_is_not_to_be_asked(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    error = refused()
    assert error.message == f"There is no model `{NAME}` on this machine, and HF_HUB_OFFLINE is set."
    assert "unset HF_HUB_OFFLINE" in error.fix


def test_a_name_that_no_model_of_the_hub_can_have(hub: str) -> None:
    assert "neither on this machine nor on the hub" in refused("a--b").message


@pytest.mark.parametrize(
    "problem, message",
    [
        (httpx2.ProxyError("407 Proxy Authentication Required"), "cannot be reached (407 Proxy Authentication"),
        (httpx2.ReadTimeout(""), "cannot be reached (ReadTimeout)"),
        (ConnectionResetError(104, "Connection reset by peer"), "cannot be reached (Connection reset by peer)"),
        (OSError(errno.ENOSPC, "No space left on device"), "could not be fetched from the hub (No space left on"),
        (huggingface_hub.errors.XetDownloadError("x" * 999 + "\nmore"), "could not be fetched from the hub (xxx"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_the_client_raises_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, problem: Exception, message: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise problem

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    error = refused()
    assert message in error.message
    assert error.fix.endswith(LOCALLY)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "student, said",
    [
        (NAME, f"There is no model `{NAME}`, neither on this machine nor on the hub. Check the name"),
        ("smollm2-135", "There is no model `smollm2-135` (`student.model`). Did you mean `smollm2-135m`?"),
    ],
)
def test_a_run_says_it_in_a_line_and_has_asked_nobody(
    hub: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    student: str,
    said: str,
) -> None:
    monkeypatch.setattr(Hub, "status", 404)
    monkeypatch.setattr(Hub, "told", {"X-Error-Code": "RepoNotFound"})
    questions = write_questions(tmp_path / "q.jsonl", train=4, test=2)
    (tmp_path / "c.yaml").write_text(f"task: {{path: {questions}}}\nteacher: {{model: dataset}}\nmethod: std-cot\n")
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "c.yaml"), f"student.model={student}", "--run-dir", str(tmp_path / "run")])
    assert stopped.value.code == 2
    head, *rest = capsys.readouterr().err.strip().splitlines()
    assert head.startswith("symdistill run")
    assert len(rest) == 1
    assert rest[0].startswith(said)
    assert not (tmp_path / "run" / "store.sqlite").exists()
