"""The arms of a grid: one a method, decoding, student, share of the data and varied setting, over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from symdistill.evaluation.evidence import RunEvidence
from symdistill.evaluation.metrics import TEACHER, MetricRow, describe_decoding
from symdistill.evaluation.seeds import Pooled, Verdicts, pooled

State = Literal["finished", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class CellResult:
    """What came of one run of the grid.

    `seed` and `fraction` are None where the method does not depend on them; `vary` holds the varied settings that
    concern it. `evidence` has an entry for each decoding, and one for the teacher where it was asked. `train_tasks`
    are the tasks it learned from, None where that is not known. Seconds are those of every training that the method
    needed, `teacher_usd` and `teacher_tokens` those of the replies it learned from, whoever bought them.
    """

    name: str
    title: str
    method: str
    student: str
    fraction: float | None
    seed: int | None
    vary: Mapping[str, str] = field(default_factory=dict)
    state: State = "finished"
    error: str = ""
    evidence: Sequence[RunEvidence] = ()
    train_tasks: frozenset[str] | None = None
    train_seconds: float | None = None
    teacher_usd: float | None = None
    teacher_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """Originals that were edited, edited questions, and pairs of which both are right."""

    originals: Pooled
    edited: Pooled
    pairs: Pooled


@dataclass(frozen=True, slots=True)
class Costs:
    """What an arm takes, on average over its seeds: tokens and operations a question (see `MetricRow`), and the
    seconds, dollars and tokens of a whole run. None where it is not known."""

    prompt_tokens: float | None = None
    generated_tokens: float | None = None
    prompt_flops_paper: float | None = None
    flops: float | None = None
    evaluation_seconds: float | None = None
    train_seconds: float | None = None
    teacher_usd: float | None = None
    teacher_tokens: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One method, decoded in one way, over its seeds. What is about answers is None where no seed is finished.

    `planned` seeds were asked for; `errors` says what became of those that are not there.
    """

    method: str
    decoding: str
    samples: int
    student: str
    fraction: float | None
    vary: Mapping[str, str]
    planned: int
    seeds: tuple[int | None, ...] = ()
    errors: tuple[str, ...] = ()
    verdicts: Verdicts | None = None
    whole: Pooled | None = None
    inside: Pooled | None = None
    outside: Pooled | None = None
    by_task: Mapping[str, Pooled] = field(default_factory=dict)
    contrast: Contrast | None = None
    parse_rate: float | None = None
    costs: Costs = Costs()

    @property
    def name(self) -> str:
        """The method with its varied settings."""
        return ", ".join([self.method, *(f"{key} {value}" for key, value in self.vary.items())])

    @property
    def how(self) -> str:
        """The decoding in words; a dash where nothing was decoded."""
        return describe_decoding(self.decoding, self.samples) if self.decoding else "–"

    @property
    def label(self) -> str:
        return f"{self.name}, {self.how}" if self.decoding else self.name

    @property
    def state(self) -> State:
        if self.whole is not None:
            return "finished"
        return "failed" if self.errors else "missing"


@dataclass(frozen=True)
class ArmMaker:
    """Makes arms out of the evidence of their seeds, on the questions `shared` by all.

    `tasks` and `contrasts` are by question (see `RunEvidence`); `known` are the tasks that were learned from.
    """

    shared: Sequence[str]
    tasks: Mapping[str, str]
    contrasts: Mapping[str, str]
    known: frozenset[str] | None
    confidence: float

    def arm(self, empty: Arm, evidence: Sequence[RunEvidence], cells: Sequence[CellResult]) -> Arm:
        """`empty` with what these seeds answered."""
        verdicts = np.array([[e.verdicts[i] for i in self.shared] for e in evidence], dtype=np.bool_)
        rows = [e.row for e in evidence if e.row is not None]
        return replace(
            empty,
            seeds=tuple(cell.seed for cell in cells) or (None,),
            verdicts=verdicts,
            whole=pooled(verdicts, self.confidence),
            inside=self._domain(verdicts, inside=True),
            outside=self._domain(verdicts, inside=False),
            by_task=self._by_task(verdicts),
            contrast=self._contrast(verdicts),
            parse_rate=_mean([row.parse_rate for row in rows]),
            costs=_costs(rows, cells),
        )

    def _part(self, verdicts: Verdicts, wanted: Callable[[str], bool]) -> Pooled | None:
        """The accuracy on some of the questions; None where there is none of them."""
        columns = [at for at, i in enumerate(self.shared) if wanted(i)]
        return pooled(verdicts[:, columns], self.confidence) if columns else None

    def _by_task(self, verdicts: Verdicts) -> dict[str, Pooled]:
        parts = {}
        for task in sorted(set(self.tasks.values())):
            if part := self._part(verdicts, lambda i, task=task: self.tasks.get(i) == task):  # type: ignore[misc]
                parts[task] = part
        return parts if len(parts) > 1 else {}

    def _contrast(self, verdicts: Verdicts) -> Contrast | None:
        at = {i: column for column, i in enumerate(self.shared)}
        pairs = [(at[o], at[e]) for e, o in self.contrasts.items() if e in at and o in at]
        if not pairs:
            return None
        originals = list(dict.fromkeys(o for o, _ in pairs))
        edited = [e for _, e in pairs]
        both = verdicts[:, [o for o, _ in pairs]] & verdicts[:, edited]
        parts = (verdicts[:, originals], verdicts[:, edited], both)
        return Contrast(*(pooled(part, self.confidence) for part in parts))

    def _domain(self, verdicts: Verdicts, *, inside: bool) -> Pooled | None:
        known = self.known
        if known is None or not self.tasks:
            return None
        return self._part(verdicts, lambda i: (self.tasks.get(i, "") in known) == inside)


def arms_of(cells: Sequence[CellResult], make: ArmMaker) -> list[Arm]:
    """The arms of every group of cells that differ in the seed alone, and one of the teacher, which was asked once."""
    groups: dict[tuple[object, ...], list[CellResult]] = {}
    for cell in cells:
        key = (cell.method, cell.student, cell.fraction, tuple(cell.vary.items()))
        groups.setdefault(key, []).append(cell)
    arms: list[Arm] = []
    teacher = next((e for cell in cells for e in cell.evidence if e.method == TEACHER), None)
    if teacher is not None:
        arms.append(make.arm(Arm(TEACHER, teacher.decoding, teacher.samples, "", None, {}, 1), [teacher], []))
    for group in groups.values():
        first = group[0]
        errors = tuple(f"{cell.title}: {cell.error}" for cell in group if cell.state == "failed")
        found = [(cell, e) for cell in group for e in cell.evidence if e.method != TEACHER]
        for decoding, samples in dict.fromkeys((e.decoding, e.samples) for _, e in found) or {("", 0): None}:
            place = (first.method, decoding, samples, first.student, first.fraction, first.vary, len(group))
            arm = Arm(*place, errors=errors)
            here = [(cell, e) for cell, e in found if (e.decoding, e.samples) == (decoding, samples)]
            arms.append(make.arm(arm, [e for _, e in here], [cell for cell, _ in here]) if here else arm)
    return arms


def _costs(rows: Sequence[MetricRow], cells: Sequence[CellResult]) -> Costs:
    return Costs(
        prompt_tokens=_mean([row.prompt_tokens for row in rows]),
        generated_tokens=_mean([row.generated_tokens for row in rows]),
        prompt_flops_paper=_mean([row.prompt_flops_paper for row in rows]),
        flops=_mean([row.flops for row in rows]),
        evaluation_seconds=_mean([row.seconds for row in rows]),
        train_seconds=_mean([cell.train_seconds for cell in cells]),
        teacher_usd=_mean([cell.teacher_usd for cell in cells]),
        teacher_tokens=_mean([cell.teacher_tokens for cell in cells]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
