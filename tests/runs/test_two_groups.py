"""Whole runs of methods with two groups: trained, asked in one stretch or in two, judged and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import symdistill as sd
from symdistill.errors import DataError
from symdistill.records import Completion
from symdistill.runs.config import parse_config
from symdistill.runs.pipeline import run_all
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from counting import write_questions
from tiny import save_tiny

METHODS = [
    "label-only",
    "mt-cot",
    "step-by-step",
    {"name": "cascod", "evaluation": {"self_consistency": 2, "max_new_tokens": 36}},
]
CUE = "\nTherefore, the answer is"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def settings(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"path": str(write_questions(place / "q.jsonl", train=8, test=4))},
        "teacher": {"model": "dataset"},
        "methods": METHODS,
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 3, "per_device_train_batch_size": 4, "bf16": False},
        "evaluation": {"max_new_tokens": 24},
        **changes,
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> sd.FinishedRun:
    place = tmp_path_factory.mktemp("whole")
    return run_all(parse_config(settings(place, tiny)), place / "run")


def predictions(run: sd.FinishedRun) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.directory.predictions.read_text().splitlines()]


def test_every_method_is_trained_on_both_groups_and_judged(finished: sd.FinishedRun) -> None:
    rows = {(row["method"], row["decoding"]): row for row in finished.metrics}
    assert set(rows) == {
        *((name, "greedy") for name in ("label-only", "mt-cot", "step-by-step", "cascod")),
        ("cascod", "vote"),
    }
    students = json.loads(finished.directory.manifest.read_text())["students"]
    assert {name: card["examples"] for name, card in students.items()} == {
        "label-only": 8,
        "mt-cot": 16,
        "step-by-step": 16,
        "cascod": 16,
    }


def test_two_passes_read_twice_in_the_paper_s_figure_and_once_in_ours(finished: sd.FinishedRun) -> None:
    rows = {(row["method"], row["decoding"]): row for row in finished.metrics}
    cascod, plain = rows["cascod", "greedy"], rows["label-only", "greedy"]
    assert cascod["prompt_flops_paper"] > 2 * plain["prompt_flops_paper"]
    assert cascod["prompt_tokens"] - cascod["cached_prompt_tokens"] == pytest.approx(
        plain["prompt_tokens"] - plain["cached_prompt_tokens"] + len(CUE)
    )
    assert rows["mt-cot", "greedy"]["prompt_flops_paper"] < cascod["prompt_flops_paper"]


def test_predictions_show_rationale_cue_and_answer(finished: sd.FinishedRun) -> None:
    for row in predictions(finished):
        for sample in row["samples"]:
            assert (CUE in sample) == (row["method"] == "cascod")


def test_both_stretches_are_in_the_store_and_nothing_is_decoded_again(finished: sd.FinishedRun) -> None:
    with ResponseStore(finished.directory.store) as store:
        before = store.stats().replies
        two = [(r, c) for r, c in store.entries() if isinstance(c, Completion) and c.first is not None]
    assert {r.sampling.then for r, _ in two} == {CUE}
    assert len(two) == 4 * 3
    run_all(finished.config, finished.directory.path)
    with ResponseStore(finished.directory.store) as store:
        assert store.stats().replies == before


def test_a_finished_cascod_student_answers_with_its_rationale(finished: sd.FinishedRun) -> None:
    answer = finished.student("cascod").answer("Count 9 and one more thing on table number 63.", answer_type="number")
    [judged] = [
        row
        for row in predictions(finished)
        if (row["id"], row["method"], row["decoding"]) == ("q9", "cascod", "greedy")
    ]
    assert (answer.text, answer.answer) == (judged["samples"][0], judged["answer"])
    assert judged["generated_tokens"] > 24, "it is asked with the limit of its method, not of the run"


def test_the_smoke_check_asks_in_two_stretches_too(finished: sd.FinishedRun) -> None:
    card = json.loads((finished.directory.student("cascod", alone=False) / "symdistill.json").read_text())
    assert all("36 tokens" in f or "answer" in f or "repeat" in f for f in card["smoke_check"])


@pytest.mark.parametrize("name", ["mt-cot", "step-by-step", "cascod"])
def test_a_run_without_answers_stops_before_anything_is_spent(tmp_path: Path, tiny: Path, name: str) -> None:
    config = settings(tmp_path, tiny, methods=[name])
    rows = [json.loads(line) for line in Path(config["task"]["path"]).read_text().splitlines()]
    unlabelled = [{**row, "answer": row["answer"] if row["split"] == "test" else None} for row in rows]
    Path(config["task"]["path"]).write_text("".join(json.dumps(row) + "\n" for row in unlabelled))
    with pytest.raises(DataError, match=f"{name} learns from answers"):
        run_all(parse_config(config), tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_early_stopping_measures_two_stretches(tmp_path: Path, tiny: Path) -> None:
    training = {"num_train_epochs": 1, "per_device_train_batch_size": 8, "bf16": False}
    training |= {"early_stopping_patience": 1, "dev_fraction": 0.25}
    run = run_all(parse_config(settings(tmp_path, tiny, methods=["cascod"], training=training)), tmp_path / "run")
    card = json.loads((run.directory.student("cascod", alone=True) / "symdistill.json").read_text())
    assert len(card["dev_accuracy"]) == 1
    assert "Therefore, the answer is" in run.report.read_text(), "the report shows what was said before the answer too"
