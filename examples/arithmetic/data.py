"""Makes the questions and the worked sums of this folder: `python data.py` writes inputs.jsonl and seeds.jsonl.

Every question is a sum or difference of three numbers; a worked one takes one step after the other.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

SEEDS, INPUTS = 240, 240
FORMS = ("What is {}?", "Compute {}.", "Work out {}.")


def question(chance: random.Random) -> tuple[str, str, int]:
    """A question, its worked solution, and its answer, which is never below zero."""
    first, second, third = (chance.randint(2, 29) for _ in range(3))
    sign = chance.choice("+-") if first + second >= third else "+"
    half = first + second
    answer = half + third if sign == "+" else half - third
    text = chance.choice(FORMS).format(f"{first} + {second} {sign} {third}")
    steps = f"{first} + {second} = {half}. {half} {sign} {third} = {answer}. Therefore, the answer is {answer}."
    return text, steps, answer


def rows() -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Inputs and seeds, no sum twice."""
    chance = random.Random(20)
    made: dict[str, tuple[str, int]] = {}
    sums: set[str] = set()
    while len(made) < SEEDS + INPUTS:
        text, steps, answer = question(chance)
        if steps not in sums:
            sums.add(steps)
            made[text] = (steps, answer)
    items = list(made.items())
    seeds = [{"input": text, "output": steps, "answer": str(answer)} for text, (steps, answer) in items[:SEEDS]]
    inputs = [
        {"id": f"sum-{number:03}", "text": text, "answer": str(answer)}
        for number, (text, (_, answer)) in enumerate(items[SEEDS:])
    ]
    return inputs, seeds


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, some in zip(("inputs", "seeds"), rows(), strict=True):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
        (Path(__file__).parent / f"{name}.jsonl").write_text(lines, encoding="utf-8")
