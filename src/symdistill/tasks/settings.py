"""The `task` section."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from symdistill.records import AnswerType
from symdistill.settings import Settings


class TaskSettings(Settings):
    """Where the questions come from, and which of them are held out. One of `path`, `hub` and a generator's `name` is
    needed."""

    name: str = "task"
    """The task of rows that name none. `reasoning-gym:NAME` (or NAME,NAME,…) makes `size` seeded questions instead of
    reading any."""
    path: Path | None = None
    """JSONL, JSONL.gz, CSV, Parquet or a Hugging Face dataset directory."""
    hub: str | None = None
    """A dataset on the Hugging Face hub: its id, or `ID:CONFIG`."""
    eval_path: Path | None = None
    """A file of held-out questions. None: the rows' own `split` says which are held out, else `eval_fraction`."""
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Our name → the column's name, where the names alone do not tell. A dot descends: `answer: target.text`."""
    answer_type: AnswerType | None = None
    """None: inferred from the answers, for each task."""
    instruction: str | None = None
    """What to do, said before every question; it takes the place of the rows' own."""
    limit: PositiveInt | None = None
    """At most so many training questions (a seeded draw)."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """The share of each task's training questions that is learned from, seeded: a smaller share is part of a larger."""
    eval_limit: PositiveInt | None = None
    """At most so many held-out questions (a seeded draw)."""
    size: PositiveInt = 500
    """Generated questions in all, the held-out ones among them."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """The generator's options; with several generators also under their names."""
    eval_options: Mapping[str, Any] = Field(default_factory=dict)
    """Options that differ for the evaluation questions, for a test outside the training distribution."""
    tasks: tuple[str, ...] = ()
    """Keep only rows whose `task` is one of these."""
    held_out: tuple[str, ...] = ()
    """Tasks that are judged on and never learned from: out of domain."""
    eval_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the labelled questions that is held out, seeded, where neither `eval_path` nor a row's `split` says
    which."""
    decontaminate: bool = True
    """Leave out training questions that equal a held-out one, or share too many of its 8-grams."""
