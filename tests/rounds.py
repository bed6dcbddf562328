"""Multilevel runs small enough for a test: a tiny student is trained, and what it writes in between is scripted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from symdistill.models.scripted import ScriptedModel
from symdistill.records import Request

_SUM = re.compile(r"Add (\d+) and (\d+)\.")


def terms(request: Request) -> tuple[int, int]:
    """The numbers a request is about."""
    found = _SUM.findall(request.messages[-1].content)[-1]
    return int(found[0]), int(found[1])


def sum_right(request: Request) -> str:
    a, b = terms(request)
    return f"{a} + {b} = {a + b}. Therefore, the answer is {a + b}."


def sum_wrong(request: Request) -> str:
    a, b = terms(request)
    return f"{a} + {b} = {a + b + 1}. Therefore, the answer is {a + b + 1}."


def fluke(request: Request) -> str:
    """Steps that hold, and an answer that is not right."""
    a, b = terms(request)
    return f"{a} + {b + 1} = {a + b + 1}. Therefore, the answer is {a + b + 1}."


def improving(student: str, request: Request) -> str:
    """Student 1 is wrong about every third sum, student 2 about every sixth; all have a fluke now and then."""
    a, _ = terms(request)
    every = {"student-1": 3, "student-2": 6}.get(student, 3)
    if a % every == 0:
        return sum_wrong(request)
    return fluke(request) if a % 7 == 0 else sum_right(request)


def question(n: int) -> dict[str, Any]:
    return {"id": f"q{n}", "text": f"Add {n} and {2 * n}.", "answer": str(3 * n)}


def pair_row(n: int) -> dict[str, Any]:
    one = question(n)
    output = f"{n} + {2 * n} = {3 * n}. Therefore, the answer is {3 * n}."
    return {"input": one["text"], "output": output, "answer": one["answer"]}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sums(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    """Two rounds of sums after ten worked ones, kept where their steps hold and audited by their answers."""
    section = {
        "inputs": str(write_rows(place / "inputs.jsonl", [question(n) for n in range(100, 140)])),
        "seeds": str(write_rows(place / "seeds.jsonl", [pair_row(n) for n in range(10, 20)])),
        "rounds": 2,
        "max_tokens": 24,
        "filters": ["steps"],
        "audit": {"by": "gold", "fraction": 0.25},
        "stop": {"min_novelty": 0.0, "max_diversity_loss": 1.0},
        **changes.pop("multilevel", {}),
    }
    return {
        "multilevel": {key: value for key, value in section.items() if value is not None},
        "student": {"model": str(tiny), "batch_size": 8, "instruction": "Add."},
        "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        **changes,
    }


def lineage(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "lineage.jsonl").read_text().splitlines()]


def teacher(script: Any, monkeypatch: pytest.MonkeyPatch) -> ScriptedModel:
    """Whoever writes round 0 or grades is this script; what it was asked is kept."""
    model = ScriptedModel(script, name="scripted")
    monkeypatch.setattr("symdistill.runs.multilevel.load_teacher", lambda settings, **_: model)
    monkeypatch.setattr("symdistill.runs.multilevel_judges.load_teacher", lambda settings, **_: model)
    return model
