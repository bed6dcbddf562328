"""Runs of rounds, small enough for a test: a tiny student is trained, and what it says in between is scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from counting import write_questions
from symdistill.models.scripted import ScriptedModel
from symdistill.records import Request

Script = Callable[[str, Request], Any]
"""The name of the student's directory, and what it is asked."""


def number_of(request: Request) -> int:
    """Of "Count 7 and one more thing …": the answer is one more."""
    return int(request.messages[-1].content.split("Count ")[1].split()[0])


def right(request: Request, extra: str = "") -> str:
    n = number_of(request)
    return f"{n} + 1 = {n + 1}.{extra} Therefore, the answer is {n + 1}."


def wrong(request: Request) -> str:
    return f"Many things, {request.sample_index}. Therefore, the answer is 0."


def climbing(student: str, request: Request) -> str:
    """Student 0 gets nothing right that is audited, 1 half of it, 2 all. Of the draws each gets one more right
    than the one before, all but the first with a step that does not hold."""
    round_ = int(student.rpartition("-")[2])
    if request.sampling.temperature == 0:
        return right(request) if number_of(request) < 6 * round_ else wrong(request)
    if request.sample_index > round_:
        return wrong(request)
    return right(request, f" Way {student}, {request.sample_index}." + " 1 + 1 = 3." * request.sample_index)


@contextmanager
def students(script: Script = climbing) -> Iterator[list[ScriptedModel]]:
    """Every student that is asked between trainings answers by the script; the ones that were opened."""
    opened: list[ScriptedModel] = []

    def opening(settings: Any, where: Path, *rest: Any, **named: Any) -> ScriptedModel:
        from symdistill.models.weights import model_name

        model = ScriptedModel(lambda request: script(where.name, request), name=model_name(where, where))
        opened.append(model)
        return model

    with mock.patch("symdistill.runs.reinforcing.open_for_answering", opening):
        yield opened


def configuration(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    method = {"name": "rl", "rounds": 2, "samples": 3, "dev_fraction": 0.25, **changes.pop("rl", {})}
    return {
        "task": {"path": str(write_questions(place / "q.jsonl", train=12, test=4))},
        "teacher": {"model": "dataset"},
        "method": method,
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        **changes,
    }


def table(run: Path) -> dict[str, Any]:
    """What rounds-rl.json says."""
    told: dict[str, Any] = json.loads((run / "rounds-rl.json").read_text())
    return told
