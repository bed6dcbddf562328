"""Whole runs in rounds: a tiny student is trained, and what it says between trainings is scripted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.knowing import dev_questions
from symdistill.runs.pipeline import price, run_all
from symdistill.runs.workspace import workspace
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from reinforced import configuration, right, students, table, wrong
from tiny import save_tiny

RISING = {"threshold_last": 1.4}
"""In the second round only steps that hold are learned."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    """Two rounds that both help; and what the students were asked."""
    place = tmp_path_factory.mktemp("climbing")
    with students() as asked:
        run = run_all(parse_config(configuration(place, tiny, rl=RISING)), place / "run")
    return run, [request for model in asked for request in model.requests]


def card(run: FinishedRun, *place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.directory.path.joinpath(*place, "symdistill.json").read_text())
    return found


def test_each_round_learns_the_right_replies_and_the_teacher_s(finished: tuple[FinishedRun, list[Request]]) -> None:
    told = table(finished[0].directory.path)
    first, second, third = told["students"]
    assert (told["stopped"], told["chosen"]) == ("rounds", 2)
    assert (first["replies"], first["right"], first["solved"], first["asked"]) == (27, 9, 9, 9)
    assert (second["judged"], second["kept"], second["questions"], second["novel"]) == (27, 9, 9, 9)
    assert (third["judged"], third["kept"], third["threshold"]) == (27, 9, 1.4)
    assert (second["threshold"], first["threshold"]) == (0.0, None)
    assert second["right"] == 18
    assert first["audited"] <= second["audited"] <= third["audited"]
    assert first["reward"] == pytest.approx(1.5 / 3)
    assert (third["replies"], third["right"]) == (9, 9), "of the last student one reply a question"
    assert [card(finished[0], "rounds", f"rl-{n}")["examples"] for n in range(3)] == [9, 18, 18]


def test_audited_questions_are_apart_from_all_that_is_learned(finished: tuple[FinishedRun, list[Request]]) -> None:
    drawn = {r.example_id for r in finished[1] if r.sampling.temperature > 0}
    audited = {r.example_id for r in finished[1] if r.sampling.temperature == 0}
    assert (len(drawn), len(audited)) == (9, 3)
    assert drawn | audited == {f"q{n}" for n in range(12)}, "and none of them is a test question"
    assert card(finished[0], "rounds", "rl-0")["examples"] == 9


def test_the_chosen_student_is_the_method_s_and_the_report_shows_its_way(
    finished: tuple[FinishedRun, list[Request]],
) -> None:
    run = finished[0]
    assert card(run, "student")["weights_sha256"] == card(run, "rounds", "rl-2")["weights_sha256"]
    assert [row["method"] for row in run.metrics] == ["rl"]
    page = run.report.read_text()
    assert "What it learned from itself" in page
    assert "Student 2 is the method" in page
    assert '<td class="figure">1.40</td>' in page, "the threshold of round 2"


def test_running_again_asks_and_trains_nothing(finished: tuple[FinishedRun, list[Request]]) -> None:
    path = finished[0].directory.path
    weights = {p: p.stat().st_mtime_ns for p in path.rglob("*.safetensors")}
    before = table(path)
    with students() as asked:
        run_all(finished[0].config, path)
    assert not any(model.requests for model in asked)
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*.safetensors")} == weights
    assert table(path) == before


def hacking(student: str, request: Request) -> str:
    """From the first round on every draw is right, and nothing that is audited."""
    learned = student != "rl-0"
    if request.sampling.temperature == 0:
        return wrong(request) if learned else right(request)
    return right(request, " Surely.") if learned or request.sample_index == 0 else wrong(request)


def test_a_student_that_pleases_the_reward_and_fails_the_audit_is_put_aside(tmp_path: Path, tiny: Path) -> None:
    with students(hacking):
        run = run_all(parse_config(configuration(tmp_path, tiny, rl={"dev_fraction": 0.5})), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("hacking", 0, 2)
    assert card(run, "student")["fingerprint"] == card(run, "rounds", "rl-0")["fingerprint"]
    assert "That student was put aside" in run.report.read_text()


def test_a_fall_on_one_audited_question_stops_nothing_and_is_told(tmp_path: Path, tiny: Path) -> None:
    def noisy(student: str, request: Request) -> str:
        later = student != "rl-0"
        if request.sampling.temperature == 0:
            return wrong(request) if later and request.example_id == lost else right(request)
        return right(request, " Surely.") if later or request.sample_index == 0 else wrong(request)

    config = parse_config(configuration(tmp_path, tiny, rl={"dev_fraction": 0.5, "rounds": 1}))
    with workspace(config, tmp_path / "run") as work:
        [method] = work.methods
        lost = dev_questions(work, method)[0].id
    with students(noisy):
        run = run_all(config, tmp_path / "run")
    told = table(run.directory.path)
    assert [row["audited"] for row in told["students"]] == [6, 5]
    assert told["students"][1]["reward"] > told["students"][0]["reward"]
    assert (told["stopped"], told["chosen"]) == ("rounds", 0)
    assert "1 of 6 audited answers fewer right" in run.report.read_text()


def test_a_student_that_says_the_teacher_s_very_words_learns_nothing_new_and_is_trained_once(
    tmp_path: Path, tiny: Path
) -> None:
    with students(lambda student, request: right(request)):
        run = run_all(parse_config(configuration(tmp_path, tiny)), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("plateau", 0, 3)
    assert [(row["kept"], row["novel"]) for row in told["students"]] == [(0, 0), (9, 0), (9, 0)]
    assert len({card(run, "rounds", f"rl-{n}")["fingerprint"] for n in range(3)}) == 1


def test_rounds_that_gain_nothing_end(tmp_path: Path, tiny: Path) -> None:
    def level(student: str, request: Request) -> str:
        drawn = request.sampling.temperature > 0
        return right(request, f" {student}") if drawn and request.sample_index == 0 else wrong(request)

    rl = {"rounds": 5, "train_from": "previous", "learn_teacher": False}
    with students(level):
        run = run_all(parse_config(configuration(tmp_path, tiny, rl=rl)), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("plateau", 0, 3)
    cards = [card(run, "rounds", f"rl-{n}") for n in range(3)]
    assert [c["examples"] for c in cards] == [9, 9, 9]
    assert cards[1]["base"] != cards[2]["base"], "each round goes on from the one before"


def test_a_student_that_is_never_right_stays_what_it_was(tmp_path: Path, tiny: Path) -> None:
    with students(lambda student, request: wrong(request)):
        run = run_all(parse_config(configuration(tmp_path, tiny)), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("nothing kept", 0, 1)


def test_without_a_teacher_the_untrained_student_begins(tmp_path: Path, tiny: Path) -> None:
    rl = {"init_from": "base", "rounds": 1}

    def script(student: str, request: Request) -> str:
        trained = student == "rl-1"
        return wrong(request) if trained or request.sample_index else right(request)

    settings = configuration(tmp_path, tiny, rl=rl, teacher={})
    with students(script):
        run = run_all(parse_config(settings), tmp_path / "run")
        before = (run.directory.path / "student" / "model.safetensors").stat().st_mtime_ns
        run_all(parse_config(settings), tmp_path / "run")
    assert (run.directory.path / "student" / "model.safetensors").stat().st_mtime_ns == before
    told = table(run.directory.path)
    assert (told["chosen"], told["students"][1]["kept"]) == (0, 9)
    assert (card(run, "student")["steps"], card(run, "student")["examples"]) == (0, 0)
    assert (run.directory.path / "student" / "model.safetensors").read_bytes() == (
        tiny / "model.safetensors"
    ).read_bytes()
    with students(lambda student, request: wrong(request)), pytest.raises(DataError, match="untrained student"):
        run_all(parse_config(settings), tmp_path / "other")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"rl": {"reward": {"critic": 0.5}}}, ConfigError, "no critic is given"),
        ({"rl": {"reward": {"kb_contradiction": 0.5}}}, ConfigError, "no graph is given"),
        ({"teacher": {}}, ConfigError, "no teacher is named"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_spent(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        price(parse_config(configuration(tmp_path, tiny, **changes)), tmp_path / "run")


@pytest.mark.parametrize(("answered", "said"), [(0, "no training question has one"), (1, "too few have an answer")])
def test_questions_without_answers_end_the_run_at_once(tmp_path: Path, tiny: Path, answered: int, said: str) -> None:
    settings = configuration(tmp_path, tiny)
    path = Path(settings["task"]["path"])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[answered:12]:
        row["answer"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=said):
        run_all(parse_config(settings), tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


@pytest.mark.slow
def test_killed_between_rounds_it_goes_on_and_asks_nothing_twice(
    tmp_path: Path, tiny: Path, finished: tuple[FinishedRun, list[Request]]
) -> None:
    program = tmp_path / "child.py"
    program.write_text(
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from reinforced import climbing, students\n"
        "from symdistill.runs.config import parse_config\n"
        "from symdistill.runs.pipeline import run_all\n"
        "place = Path(sys.argv[1])\n"
        "async def slowly(student, request):\n"
        "    with (place / 'calls').open('a') as file:\n"
        "        file.write(request.key + '\\n')\n"
        "    await asyncio.sleep(0.1)\n"
        "    return climbing(student, request)\n"
        "with students(slowly):\n"
        "    run_all(parse_config(json.loads((place / 'c.json').read_text())), place / 'run')\n"
    )
    child = [sys.executable, str(program), str(tmp_path)]
    (tmp_path / "c.json").write_text(json.dumps(configuration(tmp_path, tiny, rl=RISING)))
    calls = tmp_path / "calls"

    def made() -> list[str]:
        return calls.read_text().split() if calls.exists() else []

    process = subprocess.Popen(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while process.poll() is None and len(made()) < 30 + 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
        kept = set(store.completions(made()))
    first, trained = len(made()), (tmp_path / "run" / "rounds" / "rl-0" / "model.safetensors").stat().st_mtime_ns
    assert len(table(tmp_path / "run")["students"]) == 1
    again = subprocess.run(child, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not kept & set(made()[first:]), "a stored reply was asked for again"
    assert (tmp_path / "run" / "rounds" / "rl-0" / "model.safetensors").stat().st_mtime_ns == trained
    assert table(tmp_path / "run") == table(finished[0].directory.path), "as if nothing had happened"
