"""The inputs of a multilevel run that no round has: every student answers them once, greedily.

One half decides when the rounds end and which student is the run's; the other half decides nothing and is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdistill.curation.pairs import Pair
from symdistill.evaluation.multilevel_metrics import StudentFigures
from symdistill.methods.multilevel import MultilevelSettings
from symdistill.runs.multilevel_asking import pairs_of, student_requests
from symdistill.runs.multilevel_inputs import Sources
from symdistill.runs.multilevel_judges import Grades
from symdistill.runs.reinforcing import asking
from symdistill.runs.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Answered:
    """What a student said about the fixed inputs, and its grades; `deciding` are the ids of the inputs that decide."""

    student: int
    pairs: Sequence[Pair]
    grades: Grades
    deciding: frozenset[str]

    @property
    def figures(self) -> StudentFigures:
        """The verdicts on either half, by input."""
        said = {pair.input_id: self.grades[pair.id] for pair in self.pairs if pair.id in self.grades}
        return StudentFigures(
            self.student,
            deciding={name: right for name, right in said.items() if name in self.deciding},
            reported={name: right for name, right in said.items() if name not in self.deciding},
        )


def ask_fixed(
    work: Workspace,
    settings: MultilevelSettings,
    sources: Sources,
    student: int,
    place: Path,
    grade: Callable[[Sequence[Pair]], Grades],
) -> Answered:
    """What a student says about the fixed inputs, from the store where it was asked before. Where no reply came it said
    nothing, which is wrong: students are compared on all inputs, not on those that each could bear."""
    with asking(work, place) as (sampler, name):
        requests = student_requests(work, name, settings, sources.fixed, greedy=True)
        replies = sampler.sample([request for request, _ in requests], stage=f"student {student} audit").completions
    every = {one.id for one in sources.fixed}
    pairs = pairs_of(settings, student, requests, replies, every, prefix="fixed-", failed=True)
    return Answered(student, pairs, grade(pairs), sources.deciding)


def audit_rows(answered: Answered) -> Iterator[Mapping[str, Any]]:
    """The rows of audit.jsonl, to be labelled by people as those of the rounds are."""
    for pair in answered.pairs:
        yield {
            "id": pair.id,
            "student": answered.student,
            "slice": "deciding" if pair.input_id in answered.deciding else "reported",
            "request": pair.key,
            "label": answered.grades.get(pair.id),
            "input": pair.input,
            "output": pair.output,
        }
