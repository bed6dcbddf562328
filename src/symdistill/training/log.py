"""RUN/training.jsonl: one line a step, for every method of a run, without doubles after a resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class TrainingLog:
    """The lines of one training, told from others in the same file by `method`.

    A line: {step, loss, learning_rate, tokens, seconds, method}. `tokens` are those of prompts and completions the
    step read, without padding; `seconds` is the step's own wall time. Where steps are logged several at a time, loss
    is their mean, tokens and seconds their sums. A training on preferences or rewards adds what else it measured.
    """

    def __init__(self, path: Path, label: str) -> None:
        self._path = path
        self._label = label

    def truncate(self, step: int) -> None:
        """Forget this training's lines after `step`, and a last line that was torn by a kill. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            return
        kept = [r for r in self._read() if r.get("method") != self._label or r.get("step", 0) <= step]
        scratch = self._path.with_name(f".{self._path.name}.partial")
        scratch.write_text("".join(f"{json.dumps(record)}\n" for record in kept), encoding="utf-8")
        os.replace(scratch, self._path)

    def append(
        self, step: int, loss: float, learning_rate: float, tokens: int, seconds: float, **measured: float
    ) -> None:
        """Write one line. Raises OSError."""
        record = {
            "step": step,
            "loss": round(loss, 6),
            "learning_rate": learning_rate,
            "tokens": tokens,
            "seconds": round(seconds, 4),
            **{name: round(value, 6) for name, value in measured.items()},
            "method": self._label,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(record)}\n")

    def records(self) -> list[dict[str, Any]]:
        """This training's lines, in order. Raises OSError."""
        return [r for r in self._read() if r.get("method") == self._label] if self._path.exists() else []

    def _read(self) -> list[dict[str, Any]]:
        records = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # torn by a kill while it was written: its step is trained again
            if isinstance(record, dict):
                records.append(record)
        return records
