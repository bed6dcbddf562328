"""What intervals and p-values of several seeds promise, against simulated experiments whose truth is known.

    python benchmarks/intervals.py [--experiments 2000] [--questions 300] [--accuracy 0.45] [--spread 0.03] [--seed 0]

A question has a difficulty (normal, deviation 2 on the logit scale), the same for both methods; training with another
seed moves a method on that scale by so much that its accuracy has the standard deviation `spread`; every answer falls
by its own coin. Three shares of the experiments are printed for each number of seeds: in which two equal methods
differ at p < .05 (5% would be right), in which a true lead of 10 points is found at p < .05, and in which the 95%
interval of an accuracy holds the true one, over all questions and seeds.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from symdistill.evaluation.seeds import pooled, seed_difference

DIFFICULTY = 2.0
LEAD = 0.10
Numbers = npt.NDArray[np.float64]


def chance(logits: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-logits)))


def ability(accuracy: float, deviation: float) -> float:
    """Where a method stands on the logit scale so that over all questions (and seeds) it has this accuracy."""
    grid = deviation * np.random.default_rng(0).standard_normal(100_000)
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle + grid).mean() < accuracy else (low, middle)
    return low


def seed_deviation(accuracy: float, spread: float) -> float:
    """How far a seed moves a method on the logit scale where its accuracy then has the deviation `spread`."""
    step = 0.01
    slope = (ability(accuracy + step, DIFFICULTY) - ability(accuracy - step, DIFFICULTY)) / (2 * step)
    return spread * slope


def answers(
    where: float, moved: float, seeds: int, difficulty: Numbers, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Right or wrong, [seeds, questions]."""
    logits = where + moved * rng.standard_normal((seeds, 1)) + difficulty
    return np.asarray(rng.random(logits.shape) < chance(logits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--accuracy", type=float, default=0.45)
    parser.add_argument("--spread", type=float, default=0.03, help="standard deviation of a seed's accuracy")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    moved = seed_deviation(given.accuracy, given.spread)
    whole = float(np.hypot(DIFFICULTY, moved))  # seeds are part of what an accuracy is the mean over
    equal, better = ability(given.accuracy, whole), ability(given.accuracy + LEAD, whole)
    print(
        "| seeds | two equal methods differ at p < .05 in | a lead of 10 points found in | the interval holds it in |"
    )
    print("|---|---|---|---|")
    for seeds in (1, 3, 5):
        rng = np.random.default_rng([given.seed, seeds])
        false = found = held = 0
        for _ in range(given.experiments):
            difficulty = DIFFICULTY * rng.standard_normal(given.questions)
            first, second, third = (answers(w, moved, seeds, difficulty, rng) for w in (equal, equal, better))
            false += seed_difference(first, second).p < 0.05
            lead = seed_difference(third, first)
            found += lead.p < 0.05 and lead.difference > 0
            own = pooled(first)
            held += own.low <= given.accuracy <= own.high
        shares = [f"{100 * count / given.experiments:.0f}%" for count in (false, found, held)]
        print(f"| {seeds} | " + " | ".join(shares) + " |", flush=True)


if __name__ == "__main__":
    main()
