"""Where the knowledge base behind a gate lies."""

from __future__ import annotations

from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.skintern import Skintern
from symdistill.runs.internalising import notes_path
from symdistill.runs.knowing import base_path, dev_questions
from symdistill.runs.workspace import Workspace, base_at


def check_gates(work: Workspace) -> None:
    """Raises DataError where too few training questions have an answer to calibrate a gate on."""
    for method in work.methods:
        gate = method.gating
        if gate and gate.mode == "confidence" and gate.threshold == "calibrated" and not dev_questions(work, method):
            raise DataError(
                f"There is no dev question to calibrate the gate of {method.label} on: too few training questions have "
                "an answer.",
                "Set `threshold` to a number, or give more labelled questions.",
            )


def gate_base(work: Workspace, method: Method) -> Path:
    """The base that the gate of a method looks into: its own, that of another method's notes, or one from elsewhere."""
    if isinstance(method, Nesycd):
        return base_path(work, method)
    source = work.behind_gate(method)
    if isinstance(source, Path):
        return base_at(source)
    for maker in work.involved:
        if maker.label == source and isinstance(maker, Nesycd):
            return base_path(work, maker)
        if maker.label == source and isinstance(maker, Skintern):
            return notes_path(work, maker)
    raise ConfigError(f"Nothing stands behind the gate of {method.label}.", "Add `knowledge:` to its entry.")
