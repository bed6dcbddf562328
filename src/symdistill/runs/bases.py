"""Where the knowledge base behind a gate lies."""

from __future__ import annotations

from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.skintern import Skintern
from symdistill.runs.gates import looks_up
from symdistill.runs.internalising import notes_path
from symdistill.runs.knowing import base_path, dev_questions, dev_share
from symdistill.runs.workspace import Workspace, base_at


def check_gates(work: Workspace) -> None:
    """Raises DataError where too few training questions have an answer to calibrate a gate on; says where a gate and
    the notes behind it do not keep the same questions apart."""
    for method in work.methods:
        gate = method.gating
        if gate and gate.mode == "confidence" and gate.threshold == "calibrated" and not dev_questions(work, method):
            raise DataError(
                f"There is no dev question to calibrate the gate of {method.label} on: too few training questions have "
                "an answer.",
                "Set `threshold` to a number, or give more labelled questions.",
            )
        if not looks_up(method) or isinstance(method, Nesycd):
            continue
        source, own = work.behind_gate(method), dev_share(method)
        maker = next((m for m in work.involved if isinstance(m, Nesycd) and m.label == source), None)
        if maker is not None and own is not None and own != maker.settings.dev_fraction:
            work.progress.note(
                f" gate       {method.label} keeps {own:g} of the labelled questions apart, and {maker.label}, whose "
                f"notes it is asked with, {maker.settings.dev_fraction:g}: notes may be about questions that the gate "
                "is calibrated on"
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
