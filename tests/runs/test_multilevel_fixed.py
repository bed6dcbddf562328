"""Inputs that every student of a multilevel run answers: one half decides, the other is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symdistill.errors import CallFailed
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.multilevel_inputs import read_sources
from symdistill.runs.pipeline import run_all

pytest.importorskip("torch")

from pages import Page
from reinforced import students
from rounds import improving, lineage, sum_right, sum_wrong, sums, terms
from tiny import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    place = tmp_path_factory.mktemp("sums")
    with students(improving) as asked:
        run = run_all(parse_config(sums(place, tiny)), place / "run")
    return run, [request for model in asked for request in model.requests]


def test_every_student_answers_the_same_inputs_and_one_half_of_them_decides_nothing(
    finished: tuple[FinishedRun, list[Request]],
) -> None:
    run, asked = finished
    rows = [json.loads(line) for line in (run.directory.path / "audit.jsonl").read_text().splitlines()]
    fixed = [row for row in rows if row["slice"] != "round"]
    by_student = [{row["input"]: row["slice"] for row in fixed if row["student"] == number} for number in (1, 2)]
    assert by_student[0] == by_student[1]
    assert sorted(by_student[0].values()) == ["deciding"] * 4 + ["reported"] * 4
    drawn = {row["input"] for row in lineage(run.directory.path)}
    assert not drawn & set(by_student[0]), "no round has them"
    greedy = [r for r in asked if r.sampling.temperature == 0]
    assert {r.messages[-1].content for r in greedy} == set(by_student[0])
    told = run.metrics["students"]
    for number, one in enumerate(told, 1):
        for half in ("deciding", "reported"):
            labels = [row["label"] for row in fixed if row["student"] == number and row["slice"] == half]
            assert (one[half]["right"], one[half]["n"]) == (sum(labels), 4)
    assert told[0]["beside_first"] is None
    gained = told[1]["reported"]["right"] - told[0]["reported"]["right"]
    assert told[1]["beside_first"]["difference"] == pytest.approx(gained / 4)
    assert told[1]["beside_first"]["n"] == 4
    page = Page(run.report.read_text()).text
    assert "On the 4 fixed inputs that decided nothing" in page


def test_what_is_reported_neither_chooses_a_student_nor_ends_the_rounds(tmp_path: Path, tiny: Path) -> None:
    settings = sums(tmp_path, tiny, multilevel={"rounds": 3, "per_round": 8})
    config = parse_config(settings)
    assert config.multilevel is not None
    sources = read_sources(config.multilevel, 0)
    reported = {one.text for one in sources.fixed if one.id not in sources.deciding}

    def better(student: str, request: Request) -> str:
        """Ever better where it is reported, ever the same where it decides."""
        if request.messages[-1].content in reported and student == "student-1":
            return sum_wrong(request)
        return sum_right(request)

    with students(better):
        run = run_all(config, tmp_path / "run")
    assert [one["reported"]["right"] for one in run.metrics["students"]] == [0, 4, 4]
    assert (run.metrics["stopped"], run.metrics["chosen"]) == ("plateau", 3)


def test_a_request_that_fails_is_wrong_and_not_passed_over(tmp_path: Path, tiny: Path) -> None:
    """Else a student that fails on half of the inputs would be judged on the other half alone."""

    def failing(student: str, request: Request) -> str | CallFailed:
        if student == "student-1" and request.sampling.temperature == 0 and terms(request)[0] % 2:
            return CallFailed("rejected", "too long")
        return sum_right(request)

    with students(failing):
        run = run_all(parse_config(sums(tmp_path, tiny)), tmp_path / "run")
    first, second = run.metrics["students"]
    assert [one["deciding"]["n"] + one["reported"]["n"] for one in (first, second)] == [8, 8]
    rows = [json.loads(line) for line in (run.directory.path / "audit.jsonl").read_text().splitlines()]
    silent = [row for row in rows if row.get("student") == 1 and not row["output"]]
    assert silent
    assert {row["label"] for row in silent} == {False}
    assert first["deciding"]["right"] + first["reported"]["right"] == 8 - len(silent)
    assert run.metrics["chosen"] == 2
