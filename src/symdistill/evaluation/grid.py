"""A grid of runs put together: the arms of one student and one share of the data beside each other, each against the
baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from symdistill.errors import DataError
from symdistill.evaluation.comparison import BASELINE_METHOD
from symdistill.evaluation.grid_arms import Answers, Arm, ArmMaker, CellResult, arms_of, one_domain
from symdistill.evaluation.metrics import TEACHER
from symdistill.evaluation.seeds import SeedDifference, seed_difference
from symdistill.evaluation.statistics import holm


@dataclass(frozen=True, slots=True)
class ArmDifference:
    """An arm against another one of its panel; `p_holm` is corrected for all the comparisons of that list."""

    first: Arm
    second: Arm
    found: SeedDifference
    p_holm: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Arms compared on some of the questions: with the baseline's, and each with each. Each list is a family of tests
    of its own."""

    against: tuple[ArmDifference, ...] = ()
    pairs: tuple[ArmDifference, ...] = ()

    def versus(self, arm: Arm) -> ArmDifference | None:
        """The arm's comparison with the baseline."""
        return next((a for a in self.against if a.first is arm), None)


@dataclass(frozen=True, slots=True)
class Panel:
    """What one student reached with one share of the data: the arms beside each other.

    `against` are the arms against the baseline's, `pairs` each arm against each, both on all questions; `inside` and
    `outside` are the same comparisons on the questions in domain and out of domain, and empty where the grid has no two
    domains. `fraction` is None where nothing in the grid depends on it.
    """

    student: str
    fraction: float | None
    arms: tuple[Arm, ...]
    baselines: tuple[Arm, ...]
    against: tuple[ArmDifference, ...]
    pairs: tuple[ArmDifference, ...]
    inside: Compared = Compared()
    outside: Compared = Compared()

    def name(self, arm: Arm) -> str:
        """The shortest name that no other arm of the panel has."""
        return arm.name if sum(other.name == arm.name for other in self.arms) == 1 else arm.label

    def versus(self, arm: Arm) -> ArmDifference | None:
        """The arm's comparison with the baseline."""
        return next((a for a in self.against if a.first is arm), None)


@dataclass(frozen=True, slots=True)
class GridResult:
    """The whole grid. All arms are about the same `n` questions; `panels` begin with the largest share of the data."""

    cells: tuple[CellResult, ...]
    arms: tuple[Arm, ...]
    panels: tuple[Panel, ...]
    n: int
    baseline: str
    confidence: float
    domains: tuple[tuple[str, ...], tuple[str, ...]]
    """The tasks in domain and out of domain; both empty where it is not known what was learned from, or where the arms
    learned from different ones."""
    notes: tuple[str, ...] = ()

    @property
    def students(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(panel.student for panel in self.panels))

    @property
    def main(self) -> tuple[Panel, ...]:
        """One panel a student: that of the largest share of the data."""
        first = {panel.student: panel for panel in reversed(self.panels)}
        return tuple(first[student] for student in self.students)

    @property
    def seeds(self) -> int:
        """The most seeds of an arm."""
        return max((len(arm.seeds) for arm in self.arms), default=0)


def gather(cells: Sequence[CellResult], *, baseline: str | None = None, confidence: float = 0.95) -> GridResult:
    """Put cells together. Arms keep the order of their first cells.

    Only questions that every finished cell answered, in the same words and with the same gold answer, are counted.
    `baseline` is a method; None: `label-only` where there is one, else the first that is finished.

    Raises:
        DataError: no question is common to all finished cells, or there is no method `baseline`.
    """
    shared, notes = _shared(cells)
    tasks = _tasks(cells, shared)
    make = ArmMaker(shared, tasks, _contrasts(cells), confidence)
    arms = arms_of(cells, make)
    base = _baseline(arms, baseline)
    present = sorted(set(tasks.values()))
    domains: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if (known := one_domain(cells)) is not None:
        domains = (tuple(t for t in present if t in known), tuple(t for t in present if t not in known))
    elif any(arm.inside and arm.outside for arm in arms):
        notes.append(
            "The methods did not learn from the same tasks, so there are no columns in and out of domain; "
            "comparison.csv has them for each line on its own."
        )
    panels = tuple(
        _panel(student, fraction, arms, base, confidence, apart=all(domains))
        for student in dict.fromkeys(arm.student for arm in arms if arm.method != TEACHER)
        for fraction in _fractions(arms)
    )
    return GridResult(tuple(cells), tuple(arms), panels, len(shared), base, confidence, domains, tuple(notes))


def _fractions(arms: Sequence[Arm]) -> list[float | None]:
    found = sorted({arm.fraction for arm in arms if arm.fraction is not None}, reverse=True)
    return list(found) or [None]


def _panel(
    student: str, fraction: float | None, arms: Sequence[Arm], baseline: str, confidence: float, *, apart: bool
) -> Panel:
    here = [
        arm for arm in arms if arm.method == TEACHER or (arm.student == student and arm.fraction in (None, fraction))
    ]
    contenders = [arm for arm in here if arm.verdicts is not None and arm.method != TEACHER]
    bases = [arm for arm in contenders if arm.method == baseline]
    matched = [(arm, _match(arm, bases)) for arm in contenders if bases]
    to_base = [(arm, base) for arm, base in matched if arm is not base]
    to_each = [(second, first) for first, second in combinations(contenders, 2)]

    def compared(part: Callable[[Arm], Answers | None]) -> Compared:
        return Compared(_corrected(to_base, part, confidence), _corrected(to_each, part, confidence))

    whole = compared(lambda arm: None if arm.verdicts is None else Answers(arm.verdicts, arm.luck))
    inside = compared(lambda arm: arm.answers_inside) if apart else Compared()
    outside = compared(lambda arm: arm.answers_outside) if apart else Compared()
    used = tuple(dict.fromkeys(base for _, base in matched))
    return Panel(student, fraction, tuple(here), used, whole.against, whole.pairs, inside, outside)


def _match(arm: Arm, bases: Sequence[Arm]) -> Arm:
    """The arm of the baseline that differs least from `arm` in what is varied; greedy decoding before a vote."""

    def likeness(base: Arm) -> tuple[bool, int, bool]:
        same = sum(arm.vary.get(key) == value for key, value in base.vary.items())
        return (base is arm, same, base.decoding == "greedy")

    return max(bases, key=likeness)


def _corrected(
    pairs: Sequence[tuple[Arm, Arm]], part: Callable[[Arm], Answers | None], confidence: float
) -> tuple[ArmDifference, ...]:
    """Each pair's difference on that part of the questions, where both have it."""
    both, found = [], []
    for first, second in pairs:
        one, other = part(first), part(second)
        if one is not None and other is not None:
            both.append((first, second))
            found.append(seed_difference(one.verdicts, other.verdicts, confidence, (one.luck, other.luck)))
    adjusted = holm([one.p for one in found])
    return tuple(ArmDifference(a, b, one, p) for (a, b), one, p in zip(both, found, adjusted, strict=True))


def _baseline(arms: Sequence[Arm], wanted: str | None) -> str:
    methods = [arm.method for arm in arms if arm.method != TEACHER]
    if wanted is not None and wanted not in methods:
        known = ", ".join(dict.fromkeys(methods))
        raise DataError(f"There is no `{wanted}` among the methods.", f"The baseline can be one of: {known}.")
    done = [arm.method for arm in arms if arm.method != TEACHER and arm.whole is not None]
    return wanted or (BASELINE_METHOD if BASELINE_METHOD in done else next(iter(done), methods[0] if methods else ""))


def _shared(cells: Sequence[CellResult]) -> tuple[list[str], list[str]]:
    """Ids of the questions that every finished cell answered, sorted, and what to say about the others."""
    found = [e for cell in cells for e in cell.evidence]
    if not found:
        return [], []
    common = set(found[0].verdicts).intersection(*(e.verdicts for e in found))
    alike = [i for i in common if len({e.golds.get(i) for e in found}) == 1]
    same = sorted(i for i in alike if len({e.asked[i] for e in found if i in e.asked}) <= 1)
    counts = {len(e.verdicts) for e in found}
    notes = []
    if counts != {len(same)}:
        notes.append(
            f"The runs were not asked the same questions ({min(counts):,} to {max(counts):,} each); compared are the "
            f"{len(same):,} that all answered, with the same gold answer."
        )
    if len(same) < len(alike):
        notes.append(f"{len(alike) - len(same):,} ids belong to different questions in different runs: left out.")
    if not same:
        raise DataError(
            "No question was answered by all finished runs"
            + (", though ids are the same: they belong to different questions." if alike else "."),
            "Compare runs that were evaluated on the same questions.",
        )
    return same, notes


def _tasks(cells: Sequence[CellResult], shared: Sequence[str]) -> dict[str, str]:
    found = {i: task for cell in cells for e in cell.evidence for i, task in e.tasks.items()}
    return {i: found[i] for i in shared if i in found}


def _contrasts(cells: Sequence[CellResult]) -> dict[str, str]:
    return {i: original for cell in cells for e in cell.evidence for i, original in e.contrasts.items()}
