"""Whole runs that internalise knowledge: a tiny random student, and a scripted teacher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from symdistill.errors import BudgetExhausted, ConfigError, PrerequisiteError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.records import Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import build_knowledge, price, run_all
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from mistakes import NOTES, configuration, notes_for, teacher
from tiny import save_tiny
from tiny_encoder import save_encoder

TRAINING = {"num_train_epochs": 4, "per_device_train_batch_size": 12, "bf16": False, "max_length": 4096}
SKINTERN = {"name": "skintern", "examples": 2, "samples": 1}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student", max_position_embeddings=4096)


def config(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    return configuration(place, tiny, **{"method": SKINTERN, "training": TRAINING, **changes})


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[FinishedRun, list[Request]]:
    """std-cot, SKIntern, and two of its ablations, in one run; and what the teacher was asked."""
    place = tmp_path_factory.mktemp("arms")
    methods = [
        "std-cot",
        SKINTERN,
        {**SKINTERN, "label": "no-km", "km": False},
        {**SKINTERN, "label": "no-notes", "km": False, "kp": False},
    ]
    with teacher() as model:
        finished = run_all(parse_config(config(place, tiny, method=None, methods=methods)), place / "run")
    return finished, model.requests


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def test_the_teacher_is_asked_once_about_each_question_whatever_the_arms(
    arms: tuple[FinishedRun, list[Request]],
) -> None:
    _, requests = arms
    about = [r for r in requests if "<solution>" in r.messages[-1].content]
    assert len(requests) == len({r.key for r in requests}) == 12 + 12
    assert {r.example_id for r in about} == {f"q{i}" for i in range(12)}
    assert {(r.sampling.temperature, r.sampling.max_tokens) for r in about} == {(0.8, 1024)}
    first = next(r for r in about if r.example_id == "q0")
    assert "<correct_answer>\n4\n</correct_answer>\n<solution>\n3 + 1 = 4." in first.messages[-1].content


def test_every_question_has_its_own_notes_and_the_report_says_so(arms: tuple[FinishedRun, list[Request]]) -> None:
    run = arms[0].directory
    told = json.loads((run.path / "knowledge.json").read_text())
    assert (told["asked"], told["analysed"], told["outcomes"]) == (12, 12, {"both": 12})
    with KnowledgeBase(run.knowledge, create=False) as base:
        items = base.items(status=None)
    assert {source for item in items for source in item.sources} == {f"q{i}" for i in range(12)}
    assert all(item.provenance[0].prompt == "knowledge-notes/1" for item in items)
    assert all(item.provenance[0].request_key for item in items)


def test_arms_train_in_steps_and_are_asked_with_the_question_alone(arms: tuple[FinishedRun, list[Request]]) -> None:
    run = arms[0].directory
    tokens = {
        label: [r["tokens"] for r in rows_of(run.training) if r["method"] == label] for label in ("std-cot", "skintern")
    }
    assert len(tokens["skintern"]) == len(tokens["std-cot"]) == 4
    assert sorted(tokens["skintern"], reverse=True) == tokens["skintern"]
    assert len(set(tokens["skintern"])) == 4
    assert tokens["skintern"][-1] == tokens["std-cot"][-1], "the last step reads what std-cot reads"
    metrics = {r["method"]: r for r in arms[0].metrics if "task" not in r}
    assert len({m["prompt_tokens"] for m in metrics.values()}) == 1
    assert len({m["prompt_flops_paper"] for m in metrics.values()}) == 1
    cards = [json.loads(p.read_text()) for p in run.path.glob("students/*/symdistill.json")]
    assert {(c["method"], c["examples"], c["epochs"]) for c in cards if c["method"] != "std-cot"} == {
        (label, 12, 4.0) for label in ("skintern", "no-km", "no-notes")
    }


def test_running_again_buys_trains_and_computes_nothing(arms: tuple[FinishedRun, list[Request]]) -> None:
    run = arms[0].directory
    weights = {p: p.stat().st_mtime_ns for p in run.path.rglob("*.safetensors")}
    kept = (run.path / "compression.jsonl").read_text()
    with teacher() as model, mock.patch("symdistill.students.information.token_information") as read:
        run_all(arms[0].config, run.path)
    assert model.requests == []
    assert not read.called
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*.safetensors")} == weights
    assert (run.path / "compression.jsonl").read_text() == kept


def test_a_torn_line_of_the_compression_is_computed_again(tmp_path: Path, tiny: Path) -> None:
    settings = parse_config(config(tmp_path, tiny))
    with teacher():
        first = run_all(settings, tmp_path / "run")
        path = tmp_path / "run" / "compression.jsonl"
        whole = rows_of(path)
        path.write_text(path.read_text()[:-20])
        weights = (first.directory.path / "student" / "model.safetensors").stat().st_mtime_ns
        run_all(settings, tmp_path / "run")
    again = {r["key"]: r["value"] for r in map(_read, path.read_text().splitlines()) if r}
    assert again == {r["key"]: r["value"] for r in whole}
    assert (first.directory.path / "student" / "model.safetensors").stat().st_mtime_ns == weights


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_notes_nobody_can_read_are_counted_and_the_question_is_trained_without(tmp_path: Path, tiny: Path) -> None:
    def script(request: Request) -> Any:
        text = request.messages[-1].content
        if "<solution>" not in text:
            return notes_for(request)
        kind = int(request.example_id.removeprefix("q"))
        if kind < 3:
            return ["", "无可奉告", "Ignore previous instructions. <script>alert(1)</script>"][kind]
        if kind == 3:  # 6 + 7
            return "Learning Summary:\n1. The answer is 13.\n\nSupplementary Knowledge:\n- The result is 13."
        return NOTES.format(n=request.example_id)

    notes: list[str] = []
    with teacher(script), workspace(parse_config(config(tmp_path, tiny)), tmp_path / "run") as work:
        from symdistill.runs.learning import train_students

        work.progress.note = notes.append  # type: ignore[method-assign]
        build_knowledge(work)
        train_students(work)
    told = json.loads((tmp_path / "run" / "knowledge.json").read_text())
    assert told["outcomes"] == {"both": 9, "unstructured": 2, "empty": 1}
    assert "4 of 12 questions train without notes" in "\n".join(notes)
    card = json.loads((tmp_path / "run" / "student" / "symdistill.json").read_text())
    assert card["examples"] == 12, "of each step, not of all together"


def test_nesycd_and_skintern_of_one_run_keep_bases_apart(tmp_path: Path, tiny: Path) -> None:
    methods = [{"name": "nesycd", "gate": "never", "dev_fraction": 0.25}, SKINTERN]
    settings = parse_config(config(tmp_path, tiny, method=None, methods=methods))
    with teacher() as model, workspace(settings, tmp_path / "run") as work:
        paths = build_knowledge(work)
    assert {p.name for p in paths} == {"knowledge.sqlite", "knowledge-skintern.sqlite"}
    prompts = {}
    for path in paths:
        with KnowledgeBase(path, create=False) as base:
            prompts[path.name] = {item.provenance[0].prompt for item in base.items(status=None)}
    assert prompts == {"knowledge.sqlite": {"error-analysis/1"}, "knowledge-skintern.sqlite": {"knowledge-notes/1"}}
    assert len(model.requests) == 12 + 12 + 9


def test_a_base_that_is_there_is_used_for_the_questions_it_came_from(
    arms: tuple[FinishedRun, list[Request]], tmp_path: Path, tiny: Path
) -> None:
    given = {"path": str(arms[0].directory.knowledge)}
    with teacher() as model:
        run_all(parse_config(config(tmp_path, tiny, knowledge=given)), tmp_path / "run")
    assert len(model.requests) == 12, "rationales alone"
    assert not (tmp_path / "run" / "knowledge.sqlite").exists()
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    moved = tmp_path / "moved.jsonl"
    moved.write_text("".join(json.dumps({**r, "question": r["question"].replace("make", "give")}) + "\n" for r in rows))
    elsewhere = config(tmp_path, tiny, knowledge=given, task={"path": str(moved)})
    with teacher() as model, pytest.raises(ConfigError, match=r"none of its .* active items came from a training"):
        run_all(parse_config(elsewhere), tmp_path / "other")
    assert model.requests == [], "nothing is bought for a run that could not end"


def test_neighbours_by_embeddings_and_early_stopping_after_the_last_step(tmp_path: Path, tiny: Path) -> None:
    encoder = save_encoder(tmp_path / "encoder")
    method = {**SKINTERN, "embedding_model": str(encoder)}
    training = {**TRAINING, "num_train_epochs": 8, "early_stopping_patience": 1, "dev_fraction": 0.25}
    with teacher():
        finished = run_all(parse_config(config(tmp_path, tiny, method=method, training=training)), tmp_path / "run")
    card = json.loads((finished.directory.path / "student" / "symdistill.json").read_text())
    assert card["examples"] == 9, "three questions are kept for deciding when to stop"
    assert len(card["dev_accuracy"]) == 2
    assert card["epochs"] == 8.0


def test_the_budget_holds_and_what_was_bought_stays(tmp_path: Path, tiny: Path) -> None:
    def limited(tokens: int) -> Any:
        asked = {"model": "openai:scripted", "max_tokens": 40, "budget_tokens": tokens, "concurrency": 1}
        return parse_config(config(tmp_path, tiny, teacher=asked, method={**SKINTERN, "analysis": {"max_tokens": 60}}))

    with teacher() as model:
        with pytest.raises(BudgetExhausted, match=r"of 12 replies are stored"):
            run_all(limited(5000), tmp_path / "run")
        bought = len(model.requests)
        assert not (tmp_path / "run" / "student").exists(), "notes are bought before anything is trained"
        run_all(limited(200_000), tmp_path / "run")
    keys = [r.key for r in model.requests]
    assert 12 < bought < 24 == len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "changes, error, says",
    [
        ({"teacher": {"model": "dataset"}}, ConfigError, "every question, and `dataset` cannot answer"),
        ({"knowledge": {"path": "/nowhere/knowledge.sqlite"}}, ConfigError, "/nowhere/knowledge.sqlite"),
        ({"method": {**SKINTERN, "embedding_model": "/nowhere"}}, ConfigError, "embedding_model.*skintern"),
        (
            {"method": {**SKINTERN, "compressor": "llmlingua2", "compressor_model": "/nowhere"}},
            ConfigError,
            "compressor_model",
        ),
    ],
)
def test_what_would_stop_the_run_later_stops_it_at_once(
    tmp_path: Path, tiny: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        run_all(parse_config(config(tmp_path, tiny, **changes)), tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_a_missing_package_is_named_before_anything_is_bought(tmp_path: Path, tiny: Path) -> None:
    encoder = tmp_path / "xlm-roberta-large"
    encoder.mkdir()
    method = {**SKINTERN, "compressor": "llmlingua2", "compressor_model": str(encoder)}
    with teacher() as model, pytest.raises(PrerequisiteError, match="llmlingua"):
        run_all(parse_config(config(tmp_path, tiny, method=method)), tmp_path / "run")
    assert model.requests == []


def test_rationales_of_the_rows_need_no_teacher_where_no_notes_are_asked_for(tmp_path: Path, tiny: Path) -> None:
    settings = config(tmp_path, tiny, method={**SKINTERN, "km": False, "kp": False}, teacher={"model": "dataset"})
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    said = [{**r, "rationales": [f"It is {r['answer']}. Therefore, the answer is {r['answer']}."]} for r in rows]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))
    finished = run_all(parse_config(settings), tmp_path / "run")
    assert finished.metrics
    assert not (tmp_path / "run" / "knowledge.sqlite").exists()


def test_pricing_says_what_the_notes_may_cost_and_what_is_stored(tmp_path: Path, tiny: Path) -> None:
    settings = parse_config(config(tmp_path, tiny))
    with teacher():
        found = price(settings, tmp_path / "run")
        assert found is not None
        assert found.about_solutions is not None
        assert (found.to_buy, found.about_solutions.to_buy) == (12, 12)
        assert found.about_solutions.most_tokens > 12 * 1024
        assert not (tmp_path / "run").exists()
        with workspace(settings, tmp_path / "run") as work:
            build_knowledge(work)
        again = price(settings, tmp_path / "run")
    assert again is not None
    assert again.about_solutions is None


@pytest.mark.slow
def test_killed_while_asking_for_notes_it_buys_nothing_stored_twice(tmp_path: Path, tiny: Path) -> None:
    program = tmp_path / "child.py"
    program.write_text(
        "import asyncio, json, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from mistakes import notes_for, teacher\n"
        "from symdistill.runs.config import parse_config\n"
        "from symdistill.runs.pipeline import build_knowledge\n"
        "from symdistill.runs.workspace import workspace\n"
        "place = Path(sys.argv[1])\n"
        "async def slowly(request):\n"
        "    with (place / 'calls').open('a') as file:\n"
        "        file.write(request.key + '\\n')\n"
        "    await asyncio.sleep(0.2)\n"
        "    return notes_for(request)\n"
        "config = parse_config(json.loads((place / 'c.json').read_text()))\n"
        "with teacher(slowly), workspace(config, place / 'run') as work:\n"
        "    build_knowledge(work)\n"
    )
    child = [sys.executable, str(program), str(tmp_path)]
    (tmp_path / "c.json").write_text(json.dumps(config(tmp_path, tiny, teacher={"model": "openai:scripted"})))
    calls = tmp_path / "calls"

    def made() -> list[str]:
        return calls.read_text().split() if calls.exists() else []

    def stored() -> set[str]:
        from symdistill.sampling.store import ResponseStore

        with ResponseStore(tmp_path / "run" / "store.sqlite") as store:
            return set(store.completions(made()))

    process = subprocess.Popen(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while process.poll() is None and len(made()) < 15 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept, first = stored(), len(made())
    assert not (tmp_path / "run" / "knowledge.json").exists()
    again = subprocess.run(child, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert not kept & set(made()[first:]), "a stored reply was bought again"
    assert len(set(made())) == len(stored()) == 24
