"""What the rounds of a multilevel run wrote, in figures."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from symdistill.curation.words import ngrams, squeezed, words
from symdistill.evaluation.graph_metrics import distinct_n, vendi
from symdistill.evaluation.statistics import Interval, mcnemar, paired_difference, wilson

NGRAM = 3
"""Words of a run that novelty counts."""
FEWEST = 10
"""Outputs below which a round says nothing about diversity."""
MOST = 200
"""Outputs of a round that diversity is computed from."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """Of the different word 3-grams of a round, and of its outputs, how many no earlier round had."""

    new_ngrams: int
    ngrams: int
    new_outputs: int
    outputs: int

    @property
    def share(self) -> float | None:
        return self.new_ngrams / self.ngrams if self.ngrams else None


@dataclass(frozen=True, slots=True)
class Diversity:
    """Of a sample of `of` outputs: distinct-1, distinct-2, and the Vendi score (see `graph_metrics`)."""

    distinct_1: float
    distinct_2: float
    vendi: float
    of: int


@dataclass(frozen=True, slots=True)
class RoundFigures:
    """One round. `generated` outputs were written for `inputs` by `writer`; `dropped` counts them by reason, `kept`
    passed, of which `learned` are outside the audited slice. `failed` requests brought no reply.

    Of the slice, `graded_before` outputs got a grade, `right_before` of them a good one; `graded` and `right` count
    those that passed the filters. `novelty` is None where nothing was written before, `diversity` where too little was
    kept. `score` is the mean of what the filter `scored_by` was given, dropped or not. `tokens` were written.
    `intervals` are of 95% and hold, by the name of a share (`yield`, `precision`, `accuracy`), what takes outputs about
    one input as alike; where one is missing, every input has one output.
    """

    number: int
    writer: str
    inputs: int
    generated: int
    kept: int
    learned: int
    failed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    right: int = 0
    graded: int = 0
    right_before: int = 0
    graded_before: int = 0
    novelty: Novelty | None = None
    diversity: Diversity | None = None
    score: float | None = None
    scored_by: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def interval(self, name: str) -> Interval:
        """The interval of a share, by its name."""
        parts = {
            "yield": (self.kept, self.generated),
            "precision": (self.right, self.graded),
            "accuracy": (self.right_before, self.graded_before),
        }
        return self.intervals.get(name) or wilson(*parts[name])

    @property
    def precision(self) -> float | None:
        """The share of right ones among what was kept and graded."""
        return self.right / self.graded if self.graded else None

    @property
    def accuracy(self) -> float | None:
        """The share of right ones among all that was graded, before the filters."""
        return self.right_before / self.graded_before if self.graded_before else None


@dataclass(frozen=True, slots=True)
class StudentFigures:
    """A student's greedy outputs to the inputs that every student is asked about: whether each is right, by input, on
    the half that decides and on the half that is reported. Inputs nobody graded are absent."""

    student: int
    deciding: Mapping[str, bool]
    reported: Mapping[str, bool]

    @property
    def accuracy(self) -> float | None:
        """On the half that decides."""
        return sum(self.deciding.values()) / len(self.deciding) if self.deciding else None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two students on the `n` reported inputs that were graded for both: the share right of `student` minus that of
    `against`, with its 95% interval, and McNemar's exact p."""

    student: int
    against: int
    difference: float
    low: float
    high: float
    p: float
    n: int


def compared(student: StudentFigures, against: StudentFigures, seed: int = 0) -> Compared | None:
    """Two students on the half that decided nothing; None where no input was graded for both."""
    both = [name for name in student.reported if name in against.reported]
    if not both:
        return None
    first, second = ([one.reported[name] for name in both] for one in (student, against))
    gap = paired_difference(first, second, seed=seed)
    p = mcnemar(first, second).p
    return Compared(student.student, against.student, gap.difference, gap.low, gap.high, p, len(both))


def novelties(rounds: Sequence[Sequence[str]], known: Sequence[str] = ()) -> list[Novelty | None]:
    """Of each round's outputs, how much neither `known` nor an earlier round had; None for a first round with nothing
    known before it, and for a round without outputs."""
    grams = {gram for text in known for gram in ngrams(words(text), NGRAM)}
    texts = {squeezed(text) for text in known}
    found: list[Novelty | None] = []
    for outputs in rounds:
        own = {gram for text in outputs for gram in ngrams(words(text), NGRAM)}
        said = {squeezed(text) for text in outputs}
        before = bool(texts)
        found.append(Novelty(len(own - grams), len(own), len(said - texts), len(said)) if before and said else None)
        grams |= own
        texts |= said
    return found


def diversities(rounds: Sequence[Sequence[str]], seed: int = 0) -> list[Diversity | None]:
    """The diversity of each round's outputs, on samples of one size: the smallest round's, `MOST` at most. Rounds with
    fewer than `FEWEST` outputs are left out, and have None."""
    sizes = [len(outputs) for outputs in rounds if len(outputs) >= FEWEST]
    if not sizes:
        return [None] * len(rounds)
    size = min(*sizes, MOST)
    found: list[Diversity | None] = []
    for outputs in rounds:
        if len(outputs) < FEWEST:
            found.append(None)
            continue
        drawn = random.Random(seed).sample(list(outputs), size)
        found.append(Diversity(distinct_n(drawn, 1), distinct_n(drawn, 2), vendi(drawn, most=size)[0], size))
    return found
