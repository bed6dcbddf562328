"""What a multilevel run writes down: its rounds in figures, where every output comes from, and the report."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from symdistill.content import content_key, file_sha256
from symdistill.curation.pairs import Pair, Verdict
from symdistill.errors import RunDirectoryError
from symdistill.evaluation.multilevel_metrics import RoundFigures, StudentFigures, compared, diversities, novelties
from symdistill.evaluation.report_multilevel import MultilevelReport, Shown, write_multilevel_report
from symdistill.evaluation.statistics import wilson, wilson_of_groups
from symdistill.methods.multilevel import Input, MultilevelSettings, Stop
from symdistill.runs.directory import write_json, write_rows
from symdistill.runs.manifest import family_manifest, paid_sentence
from symdistill.runs.multilevel_fixed import Answered, audit_rows
from symdistill.runs.multilevel_judges import Grades
from symdistill.runs.workspace import Workspace

_SHOWN = 4
"""Outputs of a round, kept and dropped, that the report shows."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round: what was written about what by whom, and what became of it. `verdicts` are in the order of `pairs`."""

    number: int
    writer: str
    inputs: tuple[Input, ...]
    pairs: tuple[Pair, ...]
    verdicts: tuple[Verdict, ...] = ()
    grades: Grades = field(default_factory=dict)
    failed: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    @property
    def learned(self) -> list[Pair]:
        """What was kept and may be learned from."""
        return [pair for pair, verdict in self.judged if verdict.kept and not pair.audit]

    @property
    def judged(self) -> list[tuple[Pair, Verdict]]:
        return list(zip(self.pairs, self.verdicts, strict=True))


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds that are over: what they wrote, what their students said about the fixed inputs, why there were no more,
    and the number of the student that is the run's."""

    outcomes: Sequence[Outcome]
    figures: Sequence[RoundFigures]
    answered: Sequence[Answered]
    stopped: Stop
    chosen: int

    @property
    def students(self) -> list[StudentFigures]:
        return [one.figures for one in self.answered]


def check_cut(work: Workspace, settings: MultilevelSettings) -> None:
    """Refuse to go on with rounds of a version that kept no inputs apart for the students: its rounds had others, and
    they would all be bought anew. Raises RunDirectoryError."""
    place = work.directory.path / "rounds.json"
    if settings.audit is None or not place.exists() or "students" in work.directory.read_json(place):
        return
    raise RunDirectoryError(
        f"The rounds in {work.directory.path} are of an earlier version, which cut the inputs into others.",
        "Choose another --run-dir, or delete rounds.json there to begin anew: other inputs are asked about and bought.",
    )


def figures_of(work: Workspace, outcomes: Sequence[Outcome], known: Sequence[tuple[str, str]]) -> list[RoundFigures]:
    """The rounds in figures; `known` are texts that nobody wrote in a round."""
    outputs = [[pair.output for pair in outcome.learned] for outcome in outcomes]
    novel = novelties(outputs, [text for _, text in known])
    varied = diversities(outputs, work.config.seed)
    return [
        dataclasses.replace(_figures(outcome), novelty=new, diversity=diversity)
        for outcome, new, diversity in zip(outcomes, novel, varied, strict=True)
    ]


def _figures(outcome: Outcome) -> RoundFigures:
    kept = [(pair, verdict) for pair, verdict in outcome.judged if verdict.kept]
    scored_by = next((name for verdict in outcome.verdicts for name in verdict.scores), "")
    scores = [verdict.scores[scored_by] for verdict in outcome.verdicts if scored_by in verdict.scores]
    grades = [outcome.grades[pair.id] for pair, _ in kept if pair.id in outcome.grades]
    shares = {
        "yield": [(verdict.kept, pair) for pair, verdict in outcome.judged],
        "precision": [(outcome.grades[pair.id], pair) for pair, _ in kept if pair.id in outcome.grades],
        "accuracy": [(outcome.grades[pair.id], pair) for pair, _ in outcome.judged if pair.id in outcome.grades],
    }
    return RoundFigures(
        number=outcome.number,
        writer=outcome.writer,
        inputs=len(outcome.inputs),
        generated=len(outcome.pairs),
        kept=len(kept),
        learned=len(outcome.learned),
        failed=outcome.failed,
        dropped=dict(Counter(v.reason for v in outcome.verdicts if not v.kept).most_common()),
        right=sum(grades),
        graded=len(grades),
        right_before=sum(outcome.grades.values()),
        graded_before=len(outcome.grades),
        score=sum(scores) / len(scores) if scores else None,
        scored_by=scored_by,
        tokens=outcome.tokens,
        cost_usd=outcome.cost_usd,
        intervals={
            name: wilson_of_groups([said for said, _ in rows], [pair.input_id for _, pair in rows])
            for name, rows in shares.items()
            if rows
        },
    )


def write_rounds(
    work: Workspace,
    outcomes: Sequence[Outcome],
    figures: Sequence[RoundFigures],
    answered: Sequence[Answered],
    stopped: Stop | None = None,
    chosen: int | None = None,
) -> None:
    """The files of the rounds; without `stopped` while there are rounds to come. Raises RunDirectoryError."""
    place = work.directory.path
    write_rows(place / "lineage.jsonl", (row for outcome in outcomes for row in _lineage(outcome)))
    write_rows(
        place / "kept.jsonl",
        (
            {"id": pair.id, "round": pair.round, "input": pair.input, "output": pair.output, "answer": pair.answer}
            for outcome in outcomes
            for pair in outcome.learned
        ),
    )
    graded = [_audited(outcome) for outcome in outcomes] + [audit_rows(one) for one in answered]
    write_rows(place / "audit.jsonl", itertools.chain.from_iterable(graded))
    told = {"stopped": stopped, "chosen": chosen, "rounds": [as_json(one) for one in figures]}
    write_json(place / "rounds.json", told | {"students": students_json(answered, work.config.seed)})


def as_json(one: RoundFigures) -> dict[str, Any]:
    """A round's figures with the shares they come to."""
    shares = {"precision": one.precision, "accuracy": one.accuracy}
    shares["novelty_share"] = one.novelty.share if one.novelty else None
    return {**dataclasses.asdict(one), "yield": one.kept / one.generated if one.generated else None, **shares}


def students_json(answered: Sequence[Answered], seed: int) -> list[dict[str, Any]]:
    """Each student on either half of the fixed inputs, and beside the first student on the half that is reported."""
    students = [one.figures for one in answered]
    found = []
    for one in students:
        halves = {}
        for name, verdicts in (("deciding", one.deciding), ("reported", one.reported)):
            right, n = sum(verdicts.values()), len(verdicts)
            interval = dataclasses.asdict(wilson(right, n)) if n else {"low": None, "high": None}
            halves[name] = {"right": right, "n": n, **interval}
        beside = compared(one, students[0], seed) if one is not students[0] else None
        found.append({"student": one.student, **halves, "beside_first": dataclasses.asdict(beside) if beside else None})
    return found


def _lineage(outcome: Outcome) -> Iterator[Mapping[str, Any]]:
    for pair, verdict in outcome.judged:
        yield {
            "id": pair.id,
            "round": pair.round,
            "writer": outcome.writer,
            "model": pair.model,
            "request": pair.key,
            "input_id": pair.input_id,
            "shown": list(pair.shown),
            "slice": "audit" if pair.audit else "learn",
            "kept": verdict.kept,
            "reason": verdict.reason,
            "detail": verdict.detail,
            "scores": {name: round(score, 6) for name, score in verdict.scores.items()},
            "right": outcome.grades.get(pair.id),
            "input": pair.input,
            "output": pair.output,
        }


def _audited(outcome: Outcome) -> Iterator[Mapping[str, Any]]:
    for pair, verdict in outcome.judged:
        if pair.audit:
            label = outcome.grades.get(pair.id)
            row = {"id": pair.id, "round": pair.round, "slice": "round", "kept": verdict.kept, "label": label}
            yield {**row, "input": pair.input, "output": pair.output}


def report_rounds(
    work: Workspace,
    settings: MultilevelSettings,
    found: Rounds,
    audited_by: str,
    students: Mapping[str, Mapping[str, Any]],
) -> MultilevelReport:
    """Write metrics.json, manifest.json and report.html beside the files of the rounds, and return what they say.
    `students` are the cards of those that were trained."""
    write_rounds(work, found.outcomes, found.figures, found.answered, found.stopped, found.chosen)
    manifest = family_manifest(work, _inputs(settings, found.outcomes), students)
    facts = {
        "family": "multilevel",
        "stopped": found.stopped,
        "chosen": found.chosen,
        "audited_by": audited_by or None,
        "learn": settings.learn,
        "train_from": settings.train_from,
        "rounds": [as_json(one) for one in found.figures],
        "students": students_json(found.answered, work.config.seed),
        "paid": manifest["teacher"],
    }
    write_json(work.directory.metrics, facts)
    write_json(work.directory.manifest, manifest)
    report = MultilevelReport(
        title=work.directory.path.name,
        student=work.config.student.model,
        figures=found.figures,
        students=found.students,
        stopped=found.stopped,
        chosen=found.chosen,
        audited_by=audited_by,
        learn=settings.learn,
        train_from=settings.train_from,
        filters=[_described(entry) for entry in settings.filters],
        shown=[_shown(outcome) for outcome in found.outcomes],
        paid=paid_sentence(manifest["teacher"]),
        seed=work.config.seed,
        created=datetime.now(UTC).date(),
        command=work.directory.command,
        config=work.config.to_yaml(),
        provenance={
            "configuration": work.key,
            "inputs": str(manifest["inputs"]["rounds"]),
            "Python": f"{manifest['python']} on {manifest['platform']}",
            "packages": ", ".join(f"{name} {version}" for name, version in manifest["packages"].items()),
        },
    )
    write_multilevel_report(report, work.directory.report)
    return report


def _inputs(settings: MultilevelSettings, outcomes: Sequence[Outcome]) -> dict[str, str]:
    """What went in: the inputs of the rounds, and the files there are."""
    texts = [[one.id, one.text, one.answer] for outcome in outcomes for one in outcome.inputs]
    files = {
        "inputs": settings.inputs,
        "seeds": settings.invent.seeds if settings.invent else settings.seeds,
        "demonstrations": settings.demonstrations,
        "labels": settings.audit.labels if settings.audit else None,
    }
    found = {name: file_sha256(path) for name, path in files.items() if path is not None and path.exists()}
    return {"rounds": content_key("i1", texts), **found}


def _described(entry: Mapping[str, Any]) -> str:
    keys = ", ".join(f"{key} {value}" for key, value in entry.items() if key != "name")
    return f"{entry.get('name')} ({keys})" if keys else str(entry.get("name"))


def _shown(outcome: Outcome) -> list[Shown]:
    """A few outputs of a round, the first of each kind: kept, and dropped for each reason."""
    found: list[Shown] = []
    counts: Counter[str] = Counter()
    for pair, verdict in outcome.judged:
        if counts[verdict.reason] < (_SHOWN if verdict.kept else 1):
            counts[verdict.reason] += 1
            said = f"{verdict.reason}: {verdict.detail}" if verdict.reason else ""
            found.append(Shown(pair.input, pair.output, said, outcome.grades.get(pair.id)))
    return sorted(found, key=lambda one: bool(one.reason))
