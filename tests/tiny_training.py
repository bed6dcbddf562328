"""Small trainings of the tiny student, and someone who watches them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import torch

from symdistill.progress import Silent
from symdistill.records import Message, TrainingExample
from symdistill.students.loading import Student
from symdistill.training import TrainingResult, train
from symdistill.training.settings import TrainingSettings
from tiny import tiny_student

SETTINGS = {
    "learning_rate": 5e-3,
    "max_steps": 8,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "save_steps": 3,
    "bf16": False,
}


def examples(count: int = 22) -> list[TrainingExample]:
    return [
        TrainingExample(
            f"q{i}",
            (Message("system", "Add."), Message("user", f"{i}+{i}?")),
            f"{i} and {i} make {2 * i}." * (1 + i % 3),
            weight=1.0 + i % 2,
            group="rationale" if i % 3 else "answer",
        )
        for i in range(count)
    ]


def run(place: Path, student: Student | None = None, **changes: Any) -> tuple[TrainingResult, Student]:
    student = student or tiny_student()
    given: dict[str, Any] = {
        "output_dir": place / "student",
        "checkpoint_dir": place / "checkpoints",
        "log_path": place / "training.jsonl",
        "seed": 5,
        "group_weights": {"answer": 0.3},
        "label": "std-cot",
    }
    settings = SETTINGS | changes.pop("settings", {})
    training = changes.pop("examples", None) or examples()
    return train(student, training, TrainingSettings(**settings), **(given | changes)), student


def weights(student: Student) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in student.model.named_parameters()}


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "training.jsonl").read_text().splitlines()]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[n], b[n], rtol=0, atol=1e-6) for n in a)


class Watch(Silent):
    """Calls `then` after `step` steps, and keeps what was shown."""

    def __init__(self, step: int = 0, then: Any = None) -> None:
        self.left, self.then = step, then
        self.notes: list[str] = []
        self.facts: list[dict[str, str]] = []
        self.begun: list[tuple[str, int | None, int]] = []
        self.summary = ""

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        self.begun.append((stage, total, done))

    def advance(self, count: int = 1, **facts: str) -> None:
        self.facts.append(facts)
        self.left -= 1
        if self.left == 0:
            self.then()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self, summary: str = "") -> None:
        self.summary = summary


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)
