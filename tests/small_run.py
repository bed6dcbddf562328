"""A run of eight questions and a tiny student in the working directory, for commands that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from counting import write_questions
from tiny import save_tiny


def with_teacher(file: Path, teacher: str, method: str = "method: std-cot") -> Path:
    """A configuration of that run."""
    file.write_text(f"task: {{path: q.jsonl}}\nteacher: {teacher}\n{method}\nstudent: {{model: ./tiny}}\n")
    return file


def small_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files in `place`, which becomes the working directory, and no key in the environment; the configuration."""
    monkeypatch.chdir(place)
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    write_questions(place / "q.jsonl", train=6, test=2)
    save_tiny(place / "tiny")
    return with_teacher(place / "c.yaml", "{model: dataset}")
