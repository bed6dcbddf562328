"""A run with knowledge, small enough for a test: a tiny random student, whose every answer is wrong, and a teacher
from a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from symdistill.models.scripted import ScriptedModel
from symdistill.records import Request

NOTES = """Learning Summary:
1. Read both numbers before adding, case {n}.
2. Count on from the larger one.

Supplementary Knowledge:
- Adding zero changes nothing; the order of adding does not matter in case {n}."""


def write_questions(path: Path, train: int = 12, test: int = 4) -> Path:
    rows = []
    for i in range(train + test):
        a, b = i + 3, 2 * i + 1
        rows.append(
            {
                "id": f"q{i}",
                "question": f"What do {a} and {b} make?",
                "answer": str(a + b),
                "answer_type": "number",
                "task": "sums",
                "split": "train" if i < train else "test",
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def notes_for(request: Request) -> str:
    """The teacher's rationale, or its two notes about a mistake; no two of them alike."""
    text = request.messages[-1].content
    if "<student_reply>" in text or "<solution>" in text:
        return NOTES.format(n=request.example_id)
    a, b = (int(word) for word in text.replace("?", "").split() if word.isdigit())
    return f"{a} + {b} = {a + b}. Therefore, the answer is {a + b}."


@contextmanager
def teacher(script: Callable[[Request], Any] = notes_for) -> Iterator[ScriptedModel]:
    """Every teacher of the configuration is this one."""
    model = ScriptedModel(script, name="openai:scripted")
    with (
        mock.patch("symdistill.runs.teaching.load_teacher", return_value=model),
        mock.patch("symdistill.runs.knowing.load_teacher", return_value=model),
        mock.patch("symdistill.runs.internalising.load_teacher", return_value=model),
        mock.patch("symdistill.runs.pricing.load_teacher", return_value=model),
    ):
        yield model


def configuration(tmp_path: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"path": str(write_questions(tmp_path / "q.jsonl"))},
        "teacher": {"model": "openai:scripted"},
        "method": {"name": "nesycd", "gate": "always", "dev_fraction": 0.25},
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 2, "per_device_train_batch_size": 8, "bf16": False},
        "evaluation": {"max_new_tokens": 6},
        **changes,
    }
