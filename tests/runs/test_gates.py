"""Whole runs in which methods without a gate of their own have one, and the configurations that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.progress import Silent
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.bases import check_gates
from symdistill.runs.config import load_config, parse_config
from symdistill.runs.directory import RunDirectory
from symdistill.runs.grid import load_grid
from symdistill.runs.knowing import learned_from
from symdistill.runs.pipeline import price, run_all
from symdistill.runs.workspace import Workspace, workspace

pytest.importorskip("torch")

from mistakes import configuration, teacher
from tiny import save_tiny

NESYCD = {"name": "nesycd", "dev_fraction": 0.25}
CONFIDENCE = {"mode": "confidence", "dev_fraction": 0.25}
ALWAYS = {"mode": "always", "dev_fraction": 0.25}
METHODS: list[dict[str, Any]] = [
    NESYCD,
    {"name": "scotd", "label": "sure", "gate": {**CONFIDENCE, "threshold": 50}, "knowledge": "nesycd"},
    {"name": "scotd", "label": "told", "gate": ALWAYS, "knowledge": "nesycd"},
    {"name": "scotd", "label": "alone", "gate": {"mode": "never", "dev_fraction": 0.25}},
    {"name": "skintern", "examples": 0, "samples": 1, "training": {"max_steps": 4}, "gate": ALWAYS},
    {"name": "cascod", "gate": CONFIDENCE, "knowledge": "nesycd"},
    {"name": "zero-shot"},
    {"name": "zero-shot", "label": "informed", "gate": ALWAYS, "knowledge": "nesycd"},
    {"name": "few-shot", "label": "unsure", "shots": 1, "gate": CONFIDENCE, "knowledge": "nesycd"},
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    place = tmp_path_factory.mktemp("arms")
    with teacher() as model:
        finished = run_all(parse_config(configuration(place, tiny, method=None, methods=METHODS)), place / "run")
    return finished, model.requests


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_base_serves_several_gates_and_is_bought_once(arms: tuple[FinishedRun, list[Request]]) -> None:
    run, requests = arms[0].directory, arms[1]
    mistakes = [r for r in requests if "<student_reply>" in r.messages[-1].content]
    solutions = [r for r in requests if "<solution>" in r.messages[-1].content]
    assert len(requests) == len({r.key for r in requests}) == 12 + len(mistakes) + len(solutions)
    assert (len(mistakes), len(solutions)) == (9, 12)
    assert run.knowledge.exists()
    assert (run.path / "knowledge-skintern.sqlite").exists()


def test_rows_calibrations_and_predictions_are_those_of_a_gate(arms: tuple[FinishedRun, list[Request]]) -> None:
    run = arms[0].directory
    metrics = {r["method"]: r for r in arms[0].metrics if "task" not in r}
    untrained = ["zero-shot", "informed", "unsure"]
    assert list(metrics) == ["nesycd", "sure", "told", "alone", "skintern", "cascod", *untrained]
    rates = {label: row.get("retrieval_rate") for label, row in metrics.items()}
    assert (rates["told"], rates["alone"], rates["skintern"]) == (1, None, 1)
    assert all(0 <= rates[label] <= 1 for label in ("sure", "cascod"))
    assert metrics["told"]["prompt_tokens"] > metrics["alone"]["prompt_tokens"]
    assert (rates["zero-shot"], rates["informed"]) == (None, 1)
    assert metrics["informed"]["prompt_tokens"] > metrics["zero-shot"]["prompt_tokens"]
    assert 0 <= rates["unsure"] <= 1
    told = json.loads(run.calibration("sure").read_text())
    assert (told["method"], told["calibration"]["n"]) == ("sure", 3)
    assert told["threshold"] == 50
    assert not run.calibration("alone").exists()
    told = json.loads(run.calibration("cascod").read_text())
    assert (told["calibration"]["n"], 0 <= told["threshold"] <= 100) == (3, True)
    assert all(0 <= row["margin"] <= 100 and "Therefore" in row["reply_direct"] for row in told["dev"])
    rows = [row for row in rows_of(run.predictions) if row["method"] == "told"]
    assert all(len(row["knowledge"]) == 2 for row in rows)
    with KnowledgeBase(run.path / "knowledge-skintern.sqlite", create=False) as base:
        known = {item.id for item in base.items(status=None)}
    rows = [row for row in rows_of(run.predictions) if row["method"] == "skintern"]
    assert {item for row in rows for item in row["knowledge"]} <= known


def test_dev_questions_are_learned_by_no_student_and_find_no_note_about_themselves(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    run = arms[0].directory
    dev = {
        label: {row["example_id"] for row in json.loads(run.calibration(label).read_text())["dev"]}
        for label in ("nesycd", "sure", "told", "skintern", "cascod", "informed", "unsure")
    }
    assert len(dev["nesycd"]) == 3
    assert all(found == dev["nesycd"] for found in dev.values())
    with workspace(arms[0].config, run.path) as work:
        for method in (one for one in work.methods if one.gating):
            assert not {e.id for e in learned_from(work, method)} & dev["nesycd"]
    with KnowledgeBase(run.path / "knowledge-skintern.sqlite", create=False) as base:
        sources = {item.id: set(item.sources) for item in base.items(status=None)}
    shown = json.loads(run.calibration("skintern").read_text())["dev"]
    assert all(row["example_id"] not in sources[item] for row in shown for item in row["items"])


def test_a_gate_decides_how_a_student_is_asked_and_nothing_of_what_it_is(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    students = arms[0].directory.path / "students"
    assert len({(students / n / "model.safetensors").stat().st_ino for n in ("sure", "told", "alone")}) == 1
    page = arms[0].report.read_text()
    assert "sure" in page
    assert "calibrat" in page


def test_a_finished_student_answers_with_its_gate(arms: tuple[FinishedRun, list[Request]]) -> None:
    answer = arms[0].student("told").answer("What do 2 and 3 make?", answer_type="number")
    assert {item.kind for item in answer.knowledge} == {"summary", "supplementary"}
    assert arms[0].student("sure").answer("What do 2 and 3 make?", answer_type="number").confidence is not None
    assert not arms[0].student("alone").answer("What do 2 and 3 make?", answer_type="number").knowledge


def test_running_again_buys_and_trains_nothing(arms: tuple[FinishedRun, list[Request]]) -> None:
    run = arms[0].directory
    before = run.metrics.read_text()
    weights = {p: p.stat().st_mtime_ns for p in run.path.rglob("*.safetensors")}
    with teacher() as model:
        run_all(arms[0].config, run.path)
    assert model.requests == []
    assert run.metrics.read_text() == before
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*.safetensors")} == weights


def test_another_gate_is_no_other_run(arms: tuple[FinishedRun, list[Request]]) -> None:
    methods = [dict(entry) for entry in METHODS]
    methods[1] = {**methods[1], "gate": {**CONFIDENCE, "threshold": 40}, "knowledge": str(arms[0].directory.path)}
    config = parse_config(configuration(arms[0].directory.path.parent, Path("tiny"), method=None, methods=methods))
    whole = config.identity()["methods"]
    assert (
        whole
        == parse_config(
            configuration(arms[0].directory.path.parent, Path("tiny"), method=None, methods=METHODS)
        ).identity()["methods"]
    )
    methods[1]["gate"] = {**CONFIDENCE, "dev_fraction": 0.5}
    other = parse_config(configuration(arms[0].directory.path.parent, Path("tiny"), method=None, methods=methods))
    assert other.identity()["methods"] != whole, "other questions are learned"


@pytest.mark.parametrize("source", ["the base", "the run directory"])
def test_a_base_from_elsewhere_needs_no_teacher_for_notes(
    arms: tuple[FinishedRun, list[Request]], tmp_path: Path, tiny: Path, source: str
) -> None:
    path = arms[0].directory.knowledge if source == "the base" else arms[0].directory.path
    method = {"name": "std-cot", "gate": ALWAYS, "knowledge": str(path)}
    with teacher() as model:
        finished = run_all(parse_config(configuration(tmp_path, tiny, method=method)), tmp_path / "run")
    assert len(model.requests) == 12
    assert finished.metrics[0]["retrieval_rate"] == 1
    assert not finished.directory.knowledge.exists()


def test_notes_can_be_written_for_a_gate_alone(tmp_path: Path, tiny: Path) -> None:
    method = {"name": "label-only", "gate": ALWAYS, "knowledge": NESYCD}
    config = parse_config(configuration(tmp_path, tiny, method=method))
    with teacher() as model:
        priced = price(config, tmp_path / "run")
        assert priced is not None
        assert priced.about_mistakes is not None
        assert (priced.planned, priced.about_mistakes.planned) == (12, 9)
        finished = run_all(config, tmp_path / "run")
        assert len(model.requests) == 12 + 9
        run_all(config, tmp_path / "run")
        assert len(model.requests) == 12 + 9
    assert {row["method"] for row in finished.metrics} == {"label-only"}
    assert finished.metrics[0]["retrieval_rate"] == 1
    assert finished.directory.general("nesycd").is_dir()
    assert not (finished.directory.path / "students").exists()


def entries(*methods: Any) -> dict[str, Any]:
    return {"teacher": {"model": "openai:x"}, "methods": list(methods)}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (entries({"name": "std-cot", "gate": "confidence"}), "no method of this run has notes written"),
        (
            entries({"name": "std-cot", "gate": "confidence"}, "nesycd", {"name": "nesycd", "label": "other"}),
            "nesycd and other have notes written",
        ),
        (entries({"name": "tree", "gate": "always", "knowledge": "nesycd"}, "nesycd"), "tree asks none"),
        (entries({"name": "std-cot", "knowledge": "nesycd"}, "nesycd"), "has no meaning: std-cot has no gate"),
        (entries({"name": "nesycd", "knowledge": "x.sqlite"}), "asks the base of its own notes"),
        (
            entries({"name": "std-cot", "gate": "always", "knowledge": "label-only"}, "label-only"),
            "names label-only, which has no notes written",
        ),
        (entries({"name": "std-cot", "gate": "always", "knowledge": {"name": "scotd"}}), "is scotd, which has no"),
        (entries({"name": "std-cot", "gate": "always", "knowledge": {"nam": "nesycd"}}), "names no method"),
        (
            entries({"name": "std-cot", "gate": "always", "knowledge": {**NESYCD}}, "nesycd"),
            "Two methods are called `nesycd`",
        ),
        (entries({"name": "std-cot", "gate": "sometimes", "knowledge": "nesycd"}, "nesycd"), "`methods.0.gate.mode`"),
        (
            entries({"name": "std-cot", "gate": {"treshold": 3}, "knowledge": "nesycd"}, "nesycd"),
            "Did you mean `methods.0.gate.threshold`?",
        ),
        (
            entries({"name": "rl", "gate": {"dev_fraction": 0.2}, "knowledge": "nesycd"}, "nesycd"),
            "calibrated on the questions of its audit",
        ),
    ],
)
def test_a_gate_without_meaning_is_refused(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    assert says in f"{caught.value.message} {caught.value.fix}"


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize("name", ["scotd", "rl"])
def test_a_gate_and_its_notes_that_keep_other_questions_apart_are_told(tmp_path: Path, name: str) -> None:
    for share, told in ((0.25, 0), (0.5, 1)):
        own = {"dev_fraction": share} if name == "rl" else {"gate": {"dev_fraction": share}}
        method = {"name": name, "gate": "confidence", "knowledge": NESYCD, **own}
        data = configuration(tmp_path, tmp_path, method=method, teacher={"model": "openai:x"})
        notes = Notes()
        check_gates(Workspace(parse_config(data), RunDirectory(tmp_path / "run"), notes))
        assert len(notes.lines) == told
        assert all(f"{name} keeps 0.5 " in line and "nesycd" in line and "0.25" in line for line in notes.lines)


def test_what_a_gate_needs_is_looked_for_before_anything_is_bought(tmp_path: Path, tiny: Path) -> None:
    method = {"name": "std-cot", "gate": "always", "knowledge": "nowhere.sqlite"}
    with teacher() as model, pytest.raises(ConfigError, match=r"no knowledge base at .*nowhere\.sqlite"):
        run_all(parse_config(configuration(tmp_path, tiny, method=method)), tmp_path / "run")
    method = {"name": "std-cot", "gate": "confidence", "knowledge": NESYCD}
    data = configuration(tmp_path, tiny, method=method)
    rows = [
        {**row, "answer": row["answer"] if row["split"] == "test" else None} for row in rows_of(tmp_path / "q.jsonl")
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with teacher() as again, pytest.raises(DataError, match="no dev question to calibrate the gate of std-cot"):
        run_all(parse_config(data), tmp_path / "other")
    assert model.requests == again.requests == []


GRID = """\
task: {path: q.jsonl}
teacher: {model: "openai:x"}
methods:
  - {name: nesycd, lambda_ap: 0, evaluation: {max_new_tokens: 7}}
  - {name: scotd, gate: confidence}
  - {name: std-cot, gate: always, knowledge: base.sqlite}
  - {name: skintern, gate: always, training: {num_train_epochs: 4}}
  - {name: scotd, label: direct, gate: never, knowledge: nesycd}
grid: {seeds: [0]}
"""


def test_in_a_grid_every_cell_brings_the_notes_its_gate_needs(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID.replace("gate: confidence}", "gate: confidence, knowledge: nesycd}"))
    cells = {cell.method: cell.config.method for cell in load_grid(tmp_path / "grid.yaml", [], tmp_path / "out").cells}
    assert cells["scotd"] == {"name": "scotd", "gate": "confidence", "knowledge": {"name": "nesycd", "lambda_ap": 0}}
    assert cells["std-cot"] == {"name": "std-cot", "gate": "always", "knowledge": str(tmp_path / "base.sqlite")}
    assert "knowledge" not in (cells["skintern"] or {})
    assert cells["direct"] == {"name": "scotd", "label": "direct", "gate": "never"}
    (tmp_path / "grid.yaml").write_text(GRID)
    with pytest.raises(ConfigError, match="nesycd and skintern have notes written"):
        load_grid(tmp_path / "grid.yaml", [], tmp_path / "out")


@pytest.mark.parametrize("made", ["nesycd", "{name: nesycd}", "{name: nesycd, label: notes}"])
def test_a_label_is_no_path_wherever_the_file_lies(tmp_path: Path, made: str) -> None:
    label = "notes" if "label" in made else "nesycd"
    (tmp_path / "proj").mkdir()
    path = tmp_path / "proj" / "x.yaml"
    path.write_text(
        f"teacher: {{model: 'openai:x'}}\nmethods:\n  - {made}\n  - {{name: scotd, gate: always, knowledge: {label}}}\n"
    )
    entry = (load_config(path).methods or [])[1]
    assert isinstance(entry, dict)
    assert entry["knowledge"] == label
