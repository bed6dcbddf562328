"""A curriculum by loss in whole runs: measured once, followed step by step, and refused where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from symdistill.errors import ConfigError
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.learning import build_examples, material_for
from symdistill.runs.pacing import paced, untrained_losses
from symdistill.runs.pipeline import run_all
from symdistill.runs.teaching import pool
from symdistill.runs.workspace import workspace

pytest.importorskip("torch")

from mistakes import configuration, teacher
from tiny import save_tiny

TRAINING = {"num_train_epochs": 4, "per_device_train_batch_size": 12, "bf16": False}
LOSS = {"curriculum": "loss", "curriculum_steps": 4}
METHODS: list[dict[str, Any]] = [
    {"name": "std-cot"},
    {"name": "std-cot", "label": "paced", "training": LOSS},
    {"name": "mt-cot", "training": LOSS},
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> FinishedRun:
    place = tmp_path_factory.mktemp("paced")
    data = configuration(place, tiny, method=None, methods=METHODS, training=TRAINING)
    with teacher():
        return run_all(parse_config(data), place / "run")


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_step_adds_harder_examples_of_each_group(arms: FinishedRun) -> None:
    with workspace(arms.config, arms.directory.path) as work:
        for method in work.methods[1:]:
            examples = build_examples(method, material_for(work, method, pool(work)))
            steps = paced(work, method, examples)
            losses = dict(
                zip(((e.prompt, e.completion) for e in examples), untrained_losses(work, examples), strict=True)
            )
            for group in {e.group for e in examples}:
                mine = sorted(losses[e.prompt, e.completion] for e in examples if e.group == group)
                for step in range(4):
                    there = sorted(losses[e.prompt, e.completion] for e in steps if (e.group, e.phase) == (group, step))
                    assert there == mine[: 3 * (step + 1)]


def test_training_follows_the_steps_and_ends_with_all_examples(arms: FinishedRun) -> None:
    tokens = {
        label: [row["tokens"] for row in rows_of(arms.directory.training) if row["method"] == label]
        for label in ("std-cot", "paced")
    }
    assert len(tokens["paced"]) == len(tokens["std-cot"]) == 4
    assert tokens["paced"] == sorted(set(tokens["paced"]))
    assert tokens["paced"][-1] == tokens["std-cot"][-1]


def test_losses_are_measured_once_and_a_torn_line_again(arms: FinishedRun) -> None:
    path = arms.directory.path / "difficulty.jsonl"
    kept = path.read_text()
    assert len({row["key"] for row in rows_of(path)}) == len(rows_of(path))
    weights = {p: p.stat().st_mtime_ns for p in arms.directory.path.rglob("*.safetensors")}
    with teacher(), mock.patch("symdistill.students.likelihood.completion_losses") as measured:
        run_all(arms.config, arms.directory.path)
    measured.assert_not_called()
    path.write_text(kept[:-20])
    with teacher():
        run_all(arms.config, arms.directory.path)
    assert set(kept.splitlines()) <= set(path.read_text().splitlines()), "what was lost is measured to the same value"
    assert {p: p.stat().st_mtime_ns for p in arms.directory.path.rglob("*.safetensors")} == weights


def test_a_configuration_without_a_curriculum_is_what_it_was() -> None:
    data = {"teacher": {"model": "openai:x"}, "method": "std-cot"}
    training = parse_config(data).identity()["training"]
    assert not {"curriculum", "curriculum_steps"} & training.keys()
    assert parse_config({**data, "training": {"curriculum": "loss"}}).identity()["training"]["curriculum_steps"] == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method": {"name": "skintern", "training": {"num_train_epochs": 12}}}, "`training: {curriculum: none}`"),
        ({"method": "rl"}, "learns in rounds"),
        ({"training": {"curriculum": "loss", "num_train_epochs": 2}}, "Set `training.num_train_epochs` to 3 or more"),
        ({"training": {"curriculum": "loss", "max_steps": 2}}, "Set `training.max_steps` to 3 or more"),
        ({"training": {"curriculum": "loss", "num_train_epochs": 4.5}}, "Set `training.num_train_epochs` to 4,"),
        (
            {"method": {"name": "nesycd", "general": {"num_train_epochs": 1}}},
            "Set `method.general.num_train_epochs` to 3 or more",
        ),
        ({"training": {"curriculum": "hard"}}, "training.curriculum"),
        ({"method": None, "direct": {}}, "has no meaning in a run of `direct`"),
    ],
)
def test_a_curriculum_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    data = {"teacher": {"model": "openai:x"}, "method": "std-cot", "training": {"curriculum": "loss"}, **changes}
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    assert says in f"{caught.value.message} {caught.value.fix}"


def test_methods_that_do_not_train_take_no_notice() -> None:
    methods = ["zero-shot", {"name": "skintern", "training": {"num_train_epochs": 12, "curriculum": "none"}}]
    assert parse_config(
        {"teacher": {"model": "openai:x"}, "methods": methods, "training": {"curriculum": "loss"}}
    ).build_methods()
