"""Methods against each other on the same questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from symdistill.errors import DataError
from symdistill.evaluation.evidence import RunEvidence
from symdistill.evaluation.metrics import TEACHER, MetricRow
from symdistill.evaluation.statistics import holm, mcnemar, paired_difference, wilson

BASELINE_METHOD = "label-only"


@dataclass(frozen=True, slots=True)
class Standing:
    """One method on the questions all of them answered.

    `label` is unique in the comparison. `questions` is how many this run answered in all; `row` describes those.
    """

    label: str
    run: str
    method: str
    decoding: str
    samples: int
    n: int
    correct: int
    accuracy: float
    low: float
    high: float
    questions: int
    row: MetricRow | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two methods on the same questions; `difference` is the first's accuracy minus the second's.

    `low` and `high` are the paired bootstrap's. `p` is McNemar's exact p, `p_mid` its mid-p variant, `p_holm` the
    exact p corrected for the number of comparisons in the list it stands in.
    """

    first: str
    second: str
    n: int
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float
    p_mid: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every method on the same `n` questions, each against the baseline, and each against each.

    `notes` say, in sentences, where the runs were not about the same questions.
    """

    n: int
    confidence: float
    baseline: str
    standings: tuple[Standing, ...]
    against_baseline: tuple[Pairing, ...]
    pairs: tuple[Pairing, ...]
    notes: tuple[str, ...] = ()

    def standing(self, label: str) -> Standing:
        return next(s for s in self.standings if s.label == label)

    def versus_baseline(self, label: str) -> Pairing | None:
        return next((p for p in self.against_baseline if p.first == label), None)


def compare(
    runs: Sequence[RunEvidence],
    *,
    baseline: str | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare methods question by question.

    Only questions that all of them answered, with the same gold answer, are counted. `baseline` is a label or a
    method's name; None: `label-only` where there is one, else the first that is not the teacher.

    Raises:
        DataError: there is nothing to compare, no question is common to all, or `baseline` is not among them.
    """
    if not runs:
        raise DataError("There is nothing to compare.", "Name at least one finished run.")
    labels = _labels(runs)
    shared, notes = _shared_questions(runs, labels)
    verdicts = {label: [run.verdicts[i] for i in shared] for label, run in zip(labels, runs, strict=True)}
    standings = []
    for label, run in zip(labels, runs, strict=True):
        right = sum(verdicts[label])
        interval = wilson(right, len(shared), confidence)
        standings.append(
            Standing(
                label=label,
                run=run.run,
                method=run.method,
                decoding=run.decoding,
                samples=run.samples,
                n=len(shared),
                correct=right,
                accuracy=right / len(shared),
                low=interval.low,
                high=interval.high,
                questions=len(run.verdicts),
                row=run.row,
            )
        )
    notes += _engines(runs)
    base = _baseline(standings, baseline)

    def pairing(first: str, second: str) -> Pairing:
        difference = paired_difference(
            verdicts[first], verdicts[second], confidence=confidence, resamples=resamples, seed=seed
        )
        test = mcnemar(verdicts[first], verdicts[second])
        return Pairing(
            first=first,
            second=second,
            n=len(shared),
            difference=difference.difference,
            low=difference.low,
            high=difference.high,
            only_first=test.only_first,
            only_second=test.only_second,
            p=test.p,
            p_mid=test.p_mid,
            p_holm=test.p,
        )

    return Comparison(
        n=len(shared),
        confidence=confidence,
        baseline=base,
        standings=tuple(standings),
        against_baseline=_corrected([pairing(label, base) for label in labels if label != base]),
        pairs=_corrected([pairing(second, first) for first, second in combinations(labels, 2)]),
        notes=tuple(notes),
    )


def _corrected(pairings: Sequence[Pairing]) -> tuple[Pairing, ...]:
    adjusted = holm([p.p for p in pairings])
    return tuple(replace(p, p_holm=value) for p, value in zip(pairings, adjusted, strict=True))


def _labels(runs: Sequence[RunEvidence]) -> list[str]:
    """A name for each that no other has: method and decoding, then the run where that is not enough."""
    plain = Counter(run.label for run in runs)
    labels = [run.label if plain[run.label] == 1 else f"{run.label} ({run.run})" for run in runs]
    if len(set(labels)) < len(labels):
        twice = next(label for label, count in Counter(labels).items() if count > 1)
        raise DataError(f"{twice} is given twice.", "Name each run once.")
    return labels


def _shared_questions(runs: Sequence[RunEvidence], labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids of the questions every run answered, sorted, and what to say about the others."""
    common = set(runs[0].verdicts).intersection(*(run.verdicts for run in runs[1:]))
    same = {i for i in common if len({run.golds.get(i) for run in runs}) == 1}
    notes = []
    if any(len(run.verdicts) != len(common) for run in runs):
        counts = "; ".join(f"{label}: {len(run.verdicts)}" for label, run in zip(labels, runs, strict=True))
        notes.append(
            f"The runs were not asked the same questions ({counts}); compared are the {len(common)} common to all."
        )
    if len(same) < len(common):
        notes.append(
            f"{len(common) - len(same)} questions have the same id but not the same gold answer in every run; "
            "they are left out."
        )
    if not same:
        raise DataError(
            f"No question was answered by all of {', '.join(labels)}.",
            "Compare runs that were evaluated on the same questions.",
        )
    return sorted(same), notes


def _engines(runs: Sequence[RunEvidence]) -> list[str]:
    """What to say where rounding alone may make students differ."""
    engines = sorted({run.row.engine for run in runs if run.row and run.row.engine})
    if len(engines) < 2:
        return []
    return [f"Not one engine answered for all students ({', '.join(engines)}): a small difference may be its doing."]


def _baseline(standings: Sequence[Standing], wanted: str | None) -> str:
    name = wanted or BASELINE_METHOD
    named = [s for s in standings if name in (s.label, s.method)]
    if named:
        return next((s.label for s in named if s.label == name or s.decoding == "greedy"), named[0].label)
    if wanted is None:
        return next((s.label for s in standings if s.method != TEACHER), standings[0].label)
    known = ", ".join(s.label for s in standings)
    raise DataError(f"There is no `{wanted}` among the runs.", f"The baseline can be one of: {known}.")
