"""A teacher that labels short reviews with a reason, answers questions about them, and is sometimes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from feature_teacher import reply_to, write_reviews
from symdistill.content import sample_seed
from symdistill.models.scripted import ScriptedModel
from symdistill.records import Request

WRONG, MIXED = "Film 7:", "Film 11:"


def say(request: Request) -> str:
    """Reasons and a label for a plain question; for anything with tags what `feature_teacher` says."""
    prompt = request.messages[-1].content
    if "<" in prompt:
        return reply_to(prompt, sample_seed(request.key))
    positive = "fine acting" in prompt and "boring" not in prompt
    label = "positive" if positive != (WRONG in prompt) else "negative"
    if MIXED in prompt:
        label = "mixed"
    film = re.search(r"Film (\d+)", prompt)
    return f"Review {film[1] if film else '?'} is about acting. Therefore, the answer is {label}."


@contextmanager
def taught(script: Any = say) -> Iterator[ScriptedModel]:
    """Every teacher that a run opens inside the block is this script."""
    model = ScriptedModel(script, name="openai:m")
    with ExitStack() as stack:
        for place in ("teaching", "featuring"):
            stack.enter_context(mock.patch(f"symdistill.runs.{place}.load_teacher", return_value=model))
        yield model


METHODS: list[Any] = [
    {"name": "label-only"},
    {"name": "label-only", "label": "teacher-labels", "labels": "teacher"},
    {"name": "std-cot", "curation": {"verify": False}},
    {"name": "tree", "folds": 0, "max_depth": 2, "min_leaf": 2},
    {"name": "rules"},
    {"name": "kb-student", "source": {"folds": 0, "max_depth": 2, "min_leaf": 2}},
    {"name": "kb-student", "label": "kb-flipped", "source": {"folds": 0, "max_depth": 2, "min_leaf": 2}, "flip": 1},
]


def configuration(place: Path, tiny: Path, **changes: Any) -> dict[str, Any]:
    place.mkdir(parents=True, exist_ok=True)
    path = place / "reviews.jsonl"
    return {
        "task": {"path": str(path if path.exists() else write_reviews(path)), "name": "reviews"},
        "teacher": {"model": "openai:m", "temperature": 0.0, "parameters": 1.5e9},
        "features": {"again": 20, "requests": 1},
        "methods": METHODS,
        "student": {"model": str(tiny), "batch_size": 8},
        "training": {"max_steps": 1, "per_device_train_batch_size": 4, "bf16": False},
        "evaluation": {"max_new_tokens": 6, "teacher": True},
        **changes,
    }
