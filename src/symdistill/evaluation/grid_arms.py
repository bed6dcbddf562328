"""The arms of a grid: one a method, decoding, student, share of the data and varied setting, over its seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from symdistill.evaluation.evidence import RunEvidence
from symdistill.evaluation.metrics import TEACHER, MetricRow, describe_decoding
from symdistill.evaluation.seeds import Luck, Pooled, SeedDifference, Verdicts, luck_of, pooled, seed_difference

State = Literal["finished", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class CellResult:
    """What came of one run of the grid.

    `seed` and `fraction` are None where the method does not depend on them; `vary` holds the varied settings that
    concern it, by their dotted keys. `evidence` has an entry for each decoding, and one for the teacher where it was
    asked. `train_tasks` are the tasks it learned from, None where that is not known. Seconds are those of every
    training that the method needed, `teacher_usd` and `teacher_tokens` those of the replies it learned from, whoever
    bought them. `recipe` is the content key of all its settings but the seeds, `weights` the hash of the
    student's weights; None where that is not known.
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
    recipe: str | None = None
    weights: str | None = None

    @property
    def setting(self) -> tuple[object, ...]:
        """Where it stands on every axis but the seed; the order of what is varied says nothing."""
        return (self.method, self.student, self.fraction, tuple(sorted(self.vary.items())))


@dataclass(frozen=True, slots=True)
class Contrast:
    """Originals that were edited, edited questions, and pairs of which both are right.

    `change` is the accuracy on edited questions minus that on their originals, paired. Its interval takes the luck of
    training for that of two students where it is one's, so with several seeds it errs on the side of caution.
    """

    originals: Pooled
    edited: Pooled
    pairs: Pooled
    change: SeedDifference


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
class Answers:
    """Right or wrong on some of the questions, `[seeds, questions]`, and what the seeds of others show there."""

    verdicts: Verdicts
    luck: Luck | None


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One method, decoded in one way, over its seeds. What is about answers is None where no seed is finished.

    `planned` seeds were asked for; `errors` says what became of those that are not there. `known` are the tasks that it
    learned from, None where that is not known. `luck` is what the seeds of the other arms of its panel show, where one
    seed of its own is all there is. `answers_inside` and `answers_outside` are what `inside` and `outside` sum up.
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
    answers_inside: Answers | None = None
    answers_outside: Answers | None = None
    by_task: Mapping[str, Pooled] = field(default_factory=dict)
    contrast: Contrast | None = None
    parse_rate: float | None = None
    costs: Costs = Costs()
    known: frozenset[str] | None = None
    luck: Luck | None = None

    @property
    def name(self) -> str:
        """The method with its varied settings."""
        return ", ".join([self.method, *described(self.vary)])

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


def tails(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key as people name it: by its last word, or by all of it where two end alike."""
    last = {key: key.rpartition(".")[2] for key in keys}
    times = Counter(last.values())
    return {key: tail if times[tail] == 1 else key for key, tail in last.items()}


def described(vary: Mapping[str, str]) -> list[str]:
    """Varied settings for people."""
    return [f"{tail} {vary[key]}" for key, tail in tails(vary).items()]


@dataclass(frozen=True)
class ArmMaker:
    """Makes arms out of the evidence of their seeds, on the questions `shared` by all.

    `tasks` and `contrasts` are by question (see `RunEvidence`).
    """

    shared: Sequence[str]
    tasks: Mapping[str, str]
    contrasts: Mapping[str, str]
    confidence: float

    def verdicts(self, evidence: Sequence[RunEvidence]) -> Verdicts:
        """Right or wrong, a row for each of `evidence`."""
        return np.array([[e.verdicts[i] for i in self.shared] for e in evidence], dtype=np.bool_)

    def arm(
        self,
        empty: Arm,
        evidence: Sequence[RunEvidence],
        cells: Sequence[CellResult],
        others: Sequence[Sequence[Verdicts]] = (),
    ) -> Arm:
        """`empty` with what these seeds answered; one seed alone takes from `others` how much another may change."""
        seeds = tuple(cell.seed for cell in cells) or (None,)
        alone = len(seeds) == 1 and seeds[0] is not None
        part = _Part(self.verdicts(evidence), others if alone else (), self.confidence)
        rows = [e.row for e in evidence if e.row is not None]
        learned = [cell.train_tasks for cell in cells if cell.train_tasks is not None]
        known = frozenset[str]().union(*learned) if learned else empty.known
        inside, outside = (self._domain(known, inside=inside) for inside in (True, False))
        return replace(
            empty,
            seeds=seeds,
            verdicts=part.verdicts,
            whole=part.pooled(),
            inside=part.pooled(inside) if inside else None,
            outside=part.pooled(outside) if outside else None,
            answers_inside=part.answers(inside) if inside else None,
            answers_outside=part.answers(outside) if outside else None,
            by_task=self._by_task(part),
            contrast=self._contrast(part),
            parse_rate=_mean([row.parse_rate for row in rows]),
            costs=_costs(rows, cells),
            known=known,
            luck=part.luck(),
        )

    def _some(self, wanted: Callable[[str], bool]) -> Callable[[Verdicts], Verdicts] | None:
        """What takes some of the questions out of all; None where there is none of them."""
        columns = [at for at, i in enumerate(self.shared) if wanted(i)]
        return (lambda v: v[:, columns]) if columns else None

    def _by_task(self, part: _Part) -> dict[str, Pooled]:
        parts = {}
        for task in sorted(set(self.tasks.values())):
            if some := self._some(lambda i, task=task: self.tasks.get(i) == task):  # type: ignore[misc]
                parts[task] = part.pooled(some)
        return parts if len(parts) > 1 else {}

    def _contrast(self, part: _Part) -> Contrast | None:
        at = {i: column for column, i in enumerate(self.shared)}
        pairs = [(at[o], at[e]) for e, o in self.contrasts.items() if e in at and o in at]
        if not pairs:
            return None
        of_pair, edited = [o for o, _ in pairs], [e for _, e in pairs]
        originals = list(dict.fromkeys(of_pair))
        return Contrast(
            part.pooled(lambda v: v[:, originals]),
            part.pooled(lambda v: v[:, edited]),
            part.pooled(lambda v: v[:, of_pair] & v[:, edited]),
            seed_difference(part.verdicts[:, edited], part.verdicts[:, of_pair], part.confidence),
        )

    def _domain(self, known: frozenset[str] | None, *, inside: bool) -> Callable[[Verdicts], Verdicts] | None:
        if known is None or not self.tasks:
            return None
        return self._some(lambda i: (self.tasks.get(i, "") in known) == inside)


@dataclass(frozen=True)
class _Part:
    """The verdicts of an arm, and those of the others that show what seeds do, by their students."""

    verdicts: Verdicts
    others: Sequence[Sequence[Verdicts]]
    confidence: float

    def pooled(self, some: Callable[[Verdicts], Verdicts] = lambda v: v) -> Pooled:
        """The accuracy on `some` of the questions."""
        return pooled(some(self.verdicts), self.confidence, self.luck(some))

    def answers(self, some: Callable[[Verdicts], Verdicts]) -> Answers:
        """The verdicts on `some` of the questions."""
        return Answers(some(self.verdicts), self.luck(some))

    def luck(self, some: Callable[[Verdicts], Verdicts] = lambda v: v) -> Luck | None:
        """What the others show, on `some` of the questions."""
        return luck_of([[some(asked) for asked in alike] for alike in self.others])


def arms_of(cells: Sequence[CellResult], make: ArmMaker) -> list[Arm]:
    """The arms of every group of cells that differ in the seed alone, and one of the teacher, which was asked once."""
    groups: dict[tuple[object, ...], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(cell.setting, []).append(cell)
    arms: list[Arm] = []
    teacher = next((e for cell in cells for e in cell.evidence if e.method == TEACHER), None)
    if teacher is not None:
        empty = Arm(TEACHER, teacher.decoding, teacher.samples, "", None, {}, 1, known=one_domain(cells))
        arms.append(make.arm(empty, [teacher], []))
    drafts: list[tuple[Arm, list[tuple[CellResult, RunEvidence]]]] = []
    for group in groups.values():
        first = group[0]
        errors = tuple(f"{cell.title}: {cell.error}" for cell in group if cell.state == "failed")
        found = [(cell, e) for cell in group for e in cell.evidence if e.method != TEACHER]
        for decoding, samples in dict.fromkeys((e.decoding, e.samples) for _, e in found) or {("", 0): None}:
            place = (first.method, decoding, samples, first.student, first.fraction, first.vary, len(group))
            here = [(cell, e) for cell, e in found if (e.decoding, e.samples) == (decoding, samples)]
            drafts.append((Arm(*place, errors=errors), here))
    several: dict[tuple[object, ...], dict[object, list[Verdicts]]] = {}
    for arm, here in drafts:
        if len(here) > 1:
            students = frozenset(cell.weights or (cell.name, cell.method) for cell, _ in here)
            panel = several.setdefault((arm.student, arm.fraction), {})
            panel.setdefault(students, []).append(make.verdicts([e for _, e in here]))
    for arm, here in drafts:
        others = list(several.get((arm.student, arm.fraction), {}).values())
        arms.append(make.arm(arm, [e for _, e in here], [cell for cell, _ in here], others) if here else arm)
    return arms


def one_domain(cells: Sequence[CellResult]) -> frozenset[str] | None:
    """The tasks that all finished cells learned from; None where that is not known, or not the same for all."""
    found = {cell.train_tasks for cell in cells if cell.train_tasks is not None and cell.evidence}
    return found.pop() if len(found) == 1 else None


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
