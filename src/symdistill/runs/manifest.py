"""What repeats a run of a family: versions, seeds and content keys of what went in."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from symdistill.evaluation.figures import dollars
from symdistill.runs.reporting import PACKAGES, teacher_costs
from symdistill.runs.workspace import Workspace


def family_manifest(
    work: Workspace, inputs: Mapping[str, str], students: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The manifest of a run of a family. `inputs` are content keys by what they are of, `students` their cards."""
    return {
        "command": work.directory.command,
        "family": work.config.family,
        "seed": work.config.seed,
        "config": work.key,
        "inputs": dict(inputs),
        "teacher": teacher_costs(work),
        "students": {label: dict(card) for label, card in students.items()},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def paid_sentence(paid: Mapping[str, Any] | None) -> str:
    """What the replies of paid models cost, for people."""
    if not paid:
        return "No reply was paid for: nobody but the student was asked."
    return f"Paid for: {paid['replies']:,} replies, {paid['tokens']:,} tokens, {dollars(paid['cost_usd'])}."


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
