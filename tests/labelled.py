"""Labelled triples that a classifier can learn: what is good is decided by the words of the tail."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

GOOD = ("to sleep", "to eat a good meal", "to thank a friend", "to go home", "to sing a song")
BAD = ("purple mathematics", "the of and", "a triangle of soup", "to to to", "PersonX PersonX")
ACTS = ("bakes", "sells", "paints", "carries", "finds", "washes", "loses", "lends", "hides", "mends")
THINGS = ("bread", "a bike", "a wall", "the plants", "an umbrella", "a letter", "shoes", "a lamp")


def heads(count: int = 60) -> list[str]:
    """Different heads, always the same ones."""
    found = [f"PersonX {act} {thing}" for act in ACTS for thing in THINGS]
    random.Random(0).shuffle(found)
    return found[:count]


def rows(count: int = 60, *, noise: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    """Two good and two bad triples of each head; of a share `noise` the label is turned round."""
    rng = random.Random(seed)
    found = []
    for head in heads(count):
        for tails, good in ((GOOD, True), (BAD, False)):
            for tail in rng.sample(tails, 2):
                label = good != (rng.random() < noise)
                found.append({"head": head, "relation": "xWant", "tail": tail, "label": label})
    return found


def write_rows(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
