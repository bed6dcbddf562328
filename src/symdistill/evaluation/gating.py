"""What asking for knowledge only when unsure would have done on the dev questions, for every threshold of the gate.

A reply is kept when its score is above the threshold; otherwise the question is asked again with knowledge. So a
threshold splits the cases, sorted by score, into those asked again and those kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from symdistill.evaluation.confidence import MAX_ENTROPY
from symdistill.evaluation.reliability import weighted_auroc
from symdistill.evaluation.statistics import PairedDifference, paired_difference

Score = Literal["margin", "probability", "entropy", "agreement"]
Rule = Literal["best", "cheapest"]
SCORES: tuple[Score, ...] = get_args(Score)

RESAMPLES = 1000
FOLDS = 5
REPEATS = 20
_TABLE = 2_000_000  # numbers in one table of resampled cases


@dataclass(frozen=True, slots=True)
class DevCase:
    """One dev question answered twice by the same student: directly, and with knowledge.

    The four scores are of the direct reply (`evaluation.confidence`): `margin` 0 to 100, `probability` 0 to 1,
    `entropy` 0 to ln 3 nats, `agreement` 0 to 1 or None where no samples were drawn. Prompt tokens are those of either
    prompt alone. A question that no item fits has the same verdict twice and 0 `prompt_tokens_known`: whatever the gate
    says, it is answered directly.
    """

    example_id: str
    task: str
    correct_direct: bool
    correct_known: bool
    margin: float
    probability: float
    entropy: float
    agreement: float | None
    prompt_tokens_direct: int
    prompt_tokens_known: int


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold does: `accuracy` and `retrieval_rate` are shares of the questions, `prompt_tokens` a mean a
    question over both passes: the direct prompt, and the one with knowledge for what is asked again. Where everything
    is asked with knowledge there is no gate to ask first, and no direct pass."""

    threshold: float
    accuracy: float
    retrieval_rate: float
    prompt_tokens: float


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more accurate the chosen threshold is than something else on the same questions.

    `low` and `high` are the 95% paired bootstrap interval with the threshold held: they say nothing about another
    choice. The threshold was chosen on these questions, which flatters `difference`. `corrected` is the mean difference
    on questions the threshold was not chosen on: `REPEATS` times, the questions are dealt into `FOLDS` parts, and for
    each part a threshold is chosen on the others (repeated cross-validation; Stone, JRSS B 36, 1974). None for a single
    question.
    """

    difference: float
    low: float
    high: float
    corrected: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, what it does (`point`), the range it takes in 95% of resamples, and what it gains over never and
    over always asking for knowledge."""

    threshold: float
    threshold_low: float
    threshold_high: float
    point: CurvePoint
    over_never: Gain
    over_always: Gain


def top_of(score: Score) -> float:
    """The threshold no score passes, so that everything is asked again."""
    return 100.0 if score == "margin" else 1.0


def score_of(case: DevCase, score: Score) -> float | None:
    """The score a gate compares, higher where the student is surer; entropy is turned into 1 - entropy / ln 3."""
    if score == "entropy":
        return 1.0 - case.entropy / MAX_ENTROPY
    value: float | None = getattr(case, score)
    return value


def check_cases(cases: Sequence[DevCase]) -> None:
    """Refuse cases no gate can be judged by.

    Raises:
        ValueError: there is no case, or one of them holds a number out of its range (NaN is out of every range).
    """
    if not cases:
        raise ValueError("calibration needs at least one dev question")
    for case in cases:
        limits = {"margin": 100.0, "probability": 1.0, "entropy": MAX_ENTROPY, "agreement": 1.0}
        for name, most in limits.items():
            value = getattr(case, name)
            if not (value is None and name == "agreement") and not 0 <= value <= most:
                raise ValueError(f"dev question {case.example_id}: {name} is {value}, not between 0 and {most:g}")
        for name in ("prompt_tokens_direct", "prompt_tokens_known"):
            value = getattr(case, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"dev question {case.example_id}: {name} is {value}")


class Gate:
    """One score of `cases` as a gate. Its cuts are the splits a threshold can make, from nothing asked again to
    everything; cases of equal score are never split."""

    def __init__(self, cases: Sequence[DevCase], score: Score) -> None:
        rows = [(value, c) for c in cases if (value := score_of(c, score)) is not None]
        if len(rows) < len(cases) or not rows:
            raise ValueError(f"{len(cases) - len(rows)} of {len(cases)} dev questions have no {score}")
        # The rest of the key makes resamples independent of the order the cases came in.
        rows.sort(key=lambda row: (row[0], row[1].example_id, row[1].correct_direct, row[1].correct_known))
        self.score, self.top, self.n = score, top_of(score), len(rows)
        self.scores = np.array([value for value, _ in rows])
        self.direct = np.array([c.correct_direct for _, c in rows], dtype=np.int64)
        self.known = np.array([c.correct_known for _, c in rows], dtype=np.int64)
        self._direct_tokens = np.array([c.prompt_tokens_direct for _, c in rows], dtype=np.int64)
        self._known_tokens = np.array([c.prompt_tokens_known for _, c in rows], dtype=np.int64)
        self.cuts = _cuts(self.scores)

    def curve(self) -> tuple[CurvePoint, ...]:
        """A point a cut, with the lowest threshold that makes it. The first, 0, stands for a gate switched off."""
        right, tokens = self._sums(np.ones((1, self.n), dtype=np.int64))
        lowest = np.r_[0.0, self.scores[self.cuts[1:] - 1]]
        retrieved = np.r_[0, (self._known_tokens > 0).cumsum()][self.cuts]
        return tuple(
            CurvePoint(float(at), int(r) / self.n, int(asked) / self.n, int(t) / self.n)
            for at, asked, r, t in zip(lowest, retrieved, right[0], tokens[0], strict=True)
        )

    def thresholds(self) -> list[float]:
        """For each cut the threshold to use: midway between the scores it parts, 0 for never, the top for always."""
        found = [0.0]
        for cut in self.cuts[1:-1]:
            below, above = float(self.scores[cut - 1]), float(self.scores[cut])
            middle = below + (above - below) / 2
            found.append(middle if middle < above else below)
        return [*found, self.top]

    def best(self) -> tuple[float, CurvePoint]:
        """The threshold of the highest accuracy, fewest retrievals first, and what it does."""
        curve = self.curve()
        chosen = max(range(len(curve)), key=lambda i: curve[i].accuracy)
        return self.thresholds()[chosen], curve[chosen]

    def choose(self, rule: Rule, within: float) -> Choice:
        """Choose a cut by `rule`, see `calibrate`, and say how far that can be trusted."""
        right, tokens = self._sums(np.ones((1, self.n), dtype=np.int64))
        (chosen,) = self._pick(right, tokens, rule, within)
        thresholds = self.thresholds()
        picked = [self._pick(*self._sums(weights), rule, within) for weights in self.resamples()]
        used = np.asarray(thresholds)[np.concatenate(picked)]
        unseen = self._unseen(rule, within)
        low, high = np.quantile(used, [0.025, 0.975], method="inverted_cdf")
        cut = int(self.cuts[chosen])
        gated = [*self.known[:cut].astype(bool), *self.direct[cut:].astype(bool)]
        return Choice(
            threshold=thresholds[chosen],
            threshold_low=float(low),
            threshold_high=float(high),
            point=self.curve()[chosen],
            over_never=self._gain(gated, self.direct, unseen),
            over_always=self._gain(gated, self.known, unseen),
        )

    def mean_accuracy(self) -> float:
        """The accuracy at a retrieval rate drawn at random: the area under accuracy over retrieval rate."""
        curve = self.curve()
        if not curve[-1].retrieval_rate:
            return curve[0].accuracy
        area = sum((b.retrieval_rate - a.retrieval_rate) * (a.accuracy + b.accuracy) / 2 for a, b in pairwise(curve))
        return area / curve[-1].retrieval_rate

    def auroc_interval(self) -> tuple[float, float] | None:
        """The 95% bootstrap interval of the AUROC of "the direct reply is right"; None where it has none."""
        areas = np.concatenate([weighted_auroc(self.scores, self.direct, w) for w in self.resamples()])
        areas = areas[~np.isnan(areas)]
        if not len(areas):
            return None
        low, high = np.quantile(areas, [0.025, 0.975])
        return float(low), float(high)

    def resamples(self) -> Iterator[NDArray[np.int64]]:
        """How often each case is drawn in resamples of n cases, a table at a time; always the same draws."""
        rng = np.random.default_rng(0)
        rows = max(1, _TABLE // self.n)
        for start in range(0, RESAMPLES, rows):
            yield rng.multinomial(self.n, np.full(self.n, 1 / self.n), size=min(rows, RESAMPLES - start))

    def _sums(self, weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Right answers and prompt tokens at every cut, in whole numbers, a line for each row of `weights`."""
        nothing = np.zeros((len(weights), 1), dtype=np.int64)
        gained = np.hstack([nothing, (weights * (self.known - self.direct)).cumsum(axis=1)])[:, self.cuts]
        added = np.hstack([nothing, (weights * self._known_tokens).cumsum(axis=1)])[:, self.cuts]
        read = (weights @ self._direct_tokens)[:, None] + added
        read[:, -1] = weights @ np.where(self._known_tokens > 0, self._known_tokens, self._direct_tokens)
        return (weights @ self.direct)[:, None] + gained, read

    def _pick(
        self, right: NDArray[np.int64], tokens: NDArray[np.int64], rule: Rule, within: float
    ) -> NDArray[np.int64]:
        # argmax and argmin give the first of equals, which is the one with the fewest retrievals.
        if rule == "best":
            picks: NDArray[np.int64] = right.argmax(axis=1)
        else:
            enough = right >= right.max(axis=1, keepdims=True) - within * self.n - 1e-9
            picks = np.where(enough, tokens, np.iinfo(np.int64).max).argmin(axis=1)
        return picks

    def _gain(self, gated: Sequence[bool], other: NDArray[np.int64], unseen: float | None) -> Gain:
        found: PairedDifference = paired_difference(gated, other.astype(bool).tolist())
        corrected = None if unseen is None else unseen - float(other.mean())
        return Gain(found.difference, found.low, found.high, corrected)

    def _unseen(self, rule: Rule, within: float) -> float | None:
        """The mean accuracy on questions that a threshold was not chosen on; every question counts alike."""
        folds = min(FOLDS, self.n)
        if folds < 2:
            return None
        rng = np.random.default_rng(0)
        hits = 0
        for _ in range(REPEATS):
            fold = rng.permutation(self.n) % folds
            for held in (fold == part for part in range(folds)):
                left = self._part(np.flatnonzero(~held))
                (cut,) = left._pick(*left._sums(np.ones((1, left.n), dtype=np.int64)), rule, within)
                threshold = left.thresholds()[cut]
                again = (self.scores <= threshold) & bool(threshold > 0)
                hits += int(np.where(again, self.known, self.direct)[held].sum())
        return hits / (REPEATS * self.n)

    def _part(self, rows: NDArray[np.intp]) -> Gate:
        """The gate of some of the cases, given by their places in ascending order."""
        part = copy(self)
        part.n, part.scores = len(rows), self.scores[rows]
        part.direct, part.known = self.direct[rows], self.known[rows]
        part._direct_tokens, part._known_tokens = self._direct_tokens[rows], self._known_tokens[rows]
        part.cuts = _cuts(part.scores)
        return part


def _cuts(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where sorted scores may be parted: before all of them, and after each group of equal ones."""
    found: NDArray[np.int64] = np.r_[0, np.flatnonzero(np.r_[scores[1:] != scores[:-1], True]) + 1]
    return found
