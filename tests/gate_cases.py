"""Dev questions to calibrate a gate on."""

from __future__ import annotations

import random
from collections.abc import Sequence

from symdistill.evaluation.calibration import DevCase


def case(
    margin: float, direct: bool, known: bool, name: str = "q", tokens: tuple[int, int] = (10, 30), **more: object
) -> DevCase:
    """A case whose other scores follow its margin."""
    values = {
        "example_id": name,
        "task": "t",
        "correct_direct": direct,
        "correct_known": known,
        "margin": margin,
        "probability": margin / 100,
        "entropy": 1 - margin / 100,
        "agreement": None,
        "prompt_tokens_direct": tokens[0],
        "prompt_tokens_known": tokens[1],
    }
    return DevCase(**(values | more))


def cases_of(rows: Sequence[tuple[float, bool, bool]]) -> list[DevCase]:
    return [case(*row, name=f"q{i}") for i, row in enumerate(rows)]


def a_dev_split(n: int, seed: int = 0) -> list[DevCase]:
    """Questions where a low margin often means a wrong reply, and knowledge often helps."""
    rng = random.Random(seed)
    found = []
    for i in range(n):
        hard = rng.random()
        direct = rng.random() < 0.95 - 0.7 * hard
        found.append(
            case(
                100 - 40 * hard * rng.random(),
                direct,
                rng.random() < (0.9 if direct else 0.4),
                name=f"q{i}",
                tokens=(rng.randint(60, 120), rng.randint(200, 400)),
                entropy=hard * rng.random(),
                agreement=rng.randint(1, 5) / 5,
            )
        )
    return found
