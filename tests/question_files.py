"""Files of questions for the tests of loading."""

from __future__ import annotations

import gzip
import json
import random

from symdistill.tasks import Task, load_task
from symdistill.tasks.settings import TaskSettings

WORDS = ["lantern", "river", "carpet", "saddle", "violin", "marble", "engine", "pepper", "ladder", "window", "garden"]


def question(number: int) -> str:
    """A question that shares no eight words with another."""
    draw = random.Random(number)
    return f"Number {number}: how many {' '.join(draw.choice(WORDS) for _ in range(9))} are there?"


def rows(count: int, start: int = 0, **more) -> list[dict]:
    return [{"id": f"q{n}", "question": question(n), "answer": str(n), **more} for n in range(start, start + count)]


def write(path, content):
    text = "".join(json.dumps(row) + "\n" for row in content)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")
    return path


def load(path, seed=0, **settings) -> Task:
    return load_task(TaskSettings(path=path, **settings), seed)


def everything(task: Task):
    return sorted((*task.train, *task.evaluation), key=lambda example: example.id)


def load_row(path, row, **settings):
    """The one example that a row becomes, marked as one of the train split."""
    task = load(write(path, [{**row, "split": "train"}]), **settings)
    assert len(task.train) == 1
    return task.train[0]
