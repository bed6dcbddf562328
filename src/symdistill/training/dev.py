"""Dev accuracy after each epoch: the best weights are kept, and training may stop early."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from symdistill.students.loading import for_inference


class DevWatch:
    """Measures a model in training and remembers its best weights in `directory`, across kills and resumes.

    `accuracy` is given the model in the dtype for inference. After `patience` epochs without a better result `measure`
    says to stop; None never does. The first of equal results is the best.
    """

    def __init__(self, accuracy: Callable[[Any], float], patience: int | None, directory: Path) -> None:
        self._accuracy = accuracy
        self._patience = patience
        self._scores = directory / "dev.json"
        self._weights = directory / "best.safetensors"

    def measure(self, model: Any, step: int) -> bool:
        """Measure the model after `step`; whether training should stop. The random state stays as it was."""
        with torch.random.fork_rng():
            score = float(self._accuracy(for_inference(model)))
        history = [entry for entry in self.history() if entry["step"] < step]
        if all(score > entry["accuracy"] for entry in history):
            scratch = self._weights.with_suffix(".partial")
            save_file({name: p.detach().cpu().contiguous() for name, p in _trained(model)}, scratch)
            os.replace(scratch, self._weights)
        history.append({"step": step, "accuracy": score})
        scratch = self._scores.with_suffix(".partial")
        scratch.write_text(json.dumps(history), encoding="utf-8")
        os.replace(scratch, self._scores)
        return self.stopped_at() == step

    def stopped_at(self) -> int | None:
        """The step after whose measurement patience was used up."""
        history = self.history()
        best = max(range(len(history)), key=lambda i: (history[i]["accuracy"], -i), default=0)
        used_up = self._patience is not None and history and len(history) - 1 - best >= self._patience
        return int(history[-1]["step"]) if used_up else None

    def history(self) -> list[dict[str, Any]]:
        """{step, accuracy} of every measurement so far."""
        if not self._scores.exists():
            return []
        entries: list[dict[str, Any]] = json.loads(self._scores.read_text(encoding="utf-8"))
        return entries

    def restore_best(self, model: Any) -> None:
        """Put the best weights back into the model, if there are any."""
        if not self._weights.exists():
            return
        best = load_file(self._weights)
        with torch.no_grad():
            for name, parameter in _trained(model):
                parameter.copy_(best[name])


def _trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
