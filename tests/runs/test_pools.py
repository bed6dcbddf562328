"""Methods that ask the teacher differently, in one run: each learns from its own replies, and none is bought twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import BudgetExhausted, ConfigError
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.grid import load_grid
from symdistill.runs.grid_checks import check_grid, price_grid
from symdistill.runs.pipeline import price, run_all
from symdistill.runs.teaching import kept_for, pool, sample_teacher
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from mistakes import configuration, notes_for, teacher
from tiny import save_tiny

METHODS: list[dict[str, Any]] = [
    {"name": "scotd", "teacher": {"samples": 3, "temperature": 1.0}},
    {"name": "scotd", "label": "few", "teacher": {"samples": 1, "temperature": 1.0}},
    {"name": "std-cot", "label": "conditioned", "teacher": {"show_answer": True}},
]


def different(request: Request) -> str:
    """Rationales that curation does not take for the same."""
    return f"Draw {request.sample_index} at {request.sampling.temperature}: {notes_for(request)}"


def shown(request: Request) -> bool:
    return "correct answer" in request.messages[-1].content.lower()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    place = tmp_path_factory.mktemp("pools")
    with teacher(different) as model:
        finished = run_all(parse_config(configuration(place, tiny, method=None, methods=METHODS)), place / "run")
    return finished, model.requests


def test_each_method_learns_from_what_it_asked_for_and_shared_replies_are_bought_once(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    finished, requests = arms
    assert len(requests) == len({r.key for r in requests}) == 12 * 3 + 12, "one draw of three is the first of them"
    assert sum(shown(r) for r in requests) == 12
    with workspace(finished.config, finished.directory.path) as work:
        kept = {m.label: kept_for(work, m, pool(work)) for m in work.methods}
    assert {label: len(found) for label, found in kept.items()} == {"scotd": 36, "few": 12, "conditioned": 12}
    hidden = {r.key for r in requests if not shown(r)}
    assert {r.key for r in kept["scotd"]} == hidden
    assert {r.key for r in kept["few"]} < hidden
    assert not {r.key for r in kept["conditioned"]} & hidden


def test_every_pool_has_its_files_and_the_report_counts_a_reply_once(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    run = arms[0].directory
    rows = {name: len((run.path / name).read_text().splitlines()) for name in ("rationales.jsonl", "dropped.jsonl")}
    assert rows == {"rationales.jsonl": 36, "dropped.jsonl": 0}
    assert len((run.path / "rationales-few.jsonl").read_text().splitlines()) == 12
    assert json.loads((run.path / "curation-conditioned.json").read_text())["requested"] == 12
    page = run.report.read_text()
    assert "scotd: 3 replies a question, temperature 1; few: 1 reply a question" in page
    assert "gold answer shown" in page
    manifest = json.loads(run.manifest.read_text())
    assert manifest["teacher"]["replies"] == 48


def test_running_again_buys_nothing_and_keeps_what_was_edited_by_hand(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    path = arms[0].directory.path / "rationales-few.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["rationale"] = f"By hand: {rows[0]['rationale']}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with teacher(different) as model:
        run_all(arms[0].config, arms[0].directory.path)
    assert model.requests == []
    with workspace(arms[0].config, arms[0].directory.path) as work:
        kept = kept_for(work, work.methods[1], pool(work))
        assert sum(r.text.startswith("By hand: ") for r in kept) == 1
        assert not any(r.text.startswith("By hand: ") for r in kept_for(work, work.methods[0], pool(work)))


def test_the_price_counts_shared_replies_once(tmp_path: Path, tiny: Path) -> None:
    config = parse_config(configuration(tmp_path, tiny, method=None, methods=METHODS))
    with teacher(different):
        whole = price(config, tmp_path / "run")
    assert whole is not None
    assert (whole.planned, whole.stored, whole.to_buy) == (48, 0, 48)


def test_a_stopped_purchase_goes_on_where_it_was(tmp_path: Path, tiny: Path) -> None:
    data = configuration(tmp_path, tiny, method=None, methods=METHODS)
    teaching = {"model": "openai:scripted", "max_tokens": 64, "concurrency": 1}
    stopped, whole = (parse_config({**data, "teacher": {**teaching, "budget_tokens": b}}) for b in (2000, None))
    with teacher(different) as model, workspace(stopped, tmp_path / "run") as work, pytest.raises(BudgetExhausted):
        sample_teacher(work)
    bought = len(model.requests)
    assert 0 < bought < 48
    with teacher(different) as model, workspace(whole, tmp_path / "run") as work:
        sample_teacher(work)
    assert bought + len(model.requests) == 48


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"name": "scotd", "teacher": {"model": "openai:y"}}, "Set `teacher.model` for the whole run"),
        ({"name": "scotd", "teacher": {"budget_usd": 1}}, "Set `teacher.budget_usd` for the whole run"),
        ({"name": "scotd", "teacher": {"sample": 1}}, "Did you mean `methods.0.teacher.samples`?"),
        ({"name": "scotd", "teacher": {"samples": 0}}, "methods.0.teacher.samples"),
        ({"name": "label-only", "teacher": {"samples": 3}}, "label-only does not learn from a teacher's replies"),
    ],
)
def test_what_belongs_to_the_run_or_to_nobody_is_refused(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"teacher": {"model": "openai:x"}, "methods": [entry]})
    assert says in f"{caught.value.message} {caught.value.fix}"


GRID = """\
task: {path: q.jsonl}
teacher: {model: "openai:scripted"}
methods:
  - {name: scotd, teacher: {samples: 3, temperature: 1.0}}
  - {name: scotd, label: few, teacher: {samples: 1, temperature: 1.0}}
  - {name: std-cot, teacher: {show_answer: true}}
  - {name: nesycd, teacher: {show_answer: true}}
  - {name: scotd, label: gated, teacher: {samples: 3, temperature: 1.0}, gate: always, knowledge: nesycd}
student: {model: STUDENT}
grid: {seeds: [0, 1]}
"""


def test_a_grid_prices_the_replies_of_all_its_methods_once(tmp_path: Path, tiny: Path) -> None:
    configuration(tmp_path, tiny)
    (tmp_path / "grid.yaml").write_text(GRID.replace("STUDENT", str(tiny)))
    grid = load_grid(tmp_path / "grid.yaml", [], tmp_path / "out")
    with teacher(different):
        whole = price_grid(check_grid(grid))
    assert whole is not None
    assert whole.planned == 36 + 12
    assert whole.about_mistakes is not None
    assert whole.about_mistakes.planned == 2 * 11, "two seeds, and the notes of nesycd once for each"
