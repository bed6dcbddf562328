"""The last stage: the run's evidence gathered into one page, and what is needed to repeat it."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import symdistill
from symdistill.content import content_key
from symdistill.curation.files import read_dropped
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.report import write_report
from symdistill.evaluation.report_data import (
    CurationSummary,
    MethodAnswers,
    ReportData,
    TaskSummary,
    TeacherSummary,
    TrainingHistory,
)
from symdistill.runs.directory import write_json
from symdistill.runs.judging import Evidence
from symdistill.runs.knowing import makers, without_mistakes
from symdistill.runs.learning import read_card, trained_places
from symdistill.runs.measuring import calibration_summaries, knowledge_summary, notes_costs
from symdistill.runs.reading import retrieval_summaries
from symdistill.runs.reinforcing import rounds_summaries
from symdistill.runs.teaching import Pool, facts_together, held_out_requests, open_teacher, pools
from symdistill.runs.workspace import Workspace

PACKAGES = (
    *("symdistill", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy", "openai", "xllamacpp"),
    "ctranslate2",
)


def report_run(work: Workspace, evidence: Evidence, *, command: str) -> Path:
    """Write report.html and manifest.json, and return the page's path."""
    manifest = {**make_manifest(work, command), "engine": engine_of(work, evidence.rows)}
    write_json(work.directory.manifest, manifest)
    data = ReportData(
        title=work.config.task.name if work.config.task.name != "task" else work.directory.path.name,
        command=command,
        config=work.config.to_yaml(),
        student=work.config.student.model,
        created=datetime.now(UTC).date(),
        tasks=task_summaries(work),
        teacher=teacher_summary(work),
        noted=notes_costs(work),
        curation=curation_summaries(work),
        histories=histories(work),
        rows=evidence.rows,
        comparison=evidence.comparison,
        answers=[MethodAnswers(s.row.method, s.row.decoding, s.row.samples, s.predictions) for s in evidence.scored],
        examples=evidence.questions,
        teacher_rationales=teacher_rationales(work),
        knowledge=knowledge_summary(work, evidence.measured, evidence.shown),
        calibrations=calibration_summaries(evidence.measured),
        retrievals=retrieval_summaries(work),
        reinforced=rounds_summaries(work),
        symbolic=evidence.symbolic,
        provenance=provenance(manifest),
        notes=[*notes(work, evidence.rows), *(f"{m.method}: {said}" for m in evidence.measured for said in m.findings)],
    )
    write_report(data, work.directory.report)
    return work.directory.report


def make_manifest(work: Workspace, command: str) -> dict[str, Any]:
    """Versions, seeds and content keys of what went in."""
    students = {m.label: card for m in work.trained if (card := read_card(work.student_directory(m)))}
    return {
        "command": command,
        "seed": work.config.seed,
        "training_seeds": {m.label: work.training_seed(m) for m in work.trained},
        "config": work.key,
        "questions": {
            "train": content_key("q1", [[e.id, e.question, e.answer] for e in work.task.train]),
            "evaluation": content_key("q1", [[e.id, e.question, e.answer] for e in work.task.evaluation]),
        },
        "tasks": dict(Counter(e.task for e in work.task.train)),
        "teacher": teacher_costs(work),
        "students": students,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": installed_versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def engine_of(work: Workspace, rows: Sequence[MetricRow]) -> dict[str, Any]:
    """What answered for the students, and how it came to that where the run was to choose."""
    told: dict[str, Any] = {"name": ", ".join(sorted({row.engine for row in rows if row.engine}))}
    if work.config.student.engine == "auto" and work.directory.engine.exists():
        choice = work.directory.read_json(work.directory.engine)
        told |= {"reason": choice["reason"], "trials": choice["trials"]}
    return told


def teacher_costs(work: Workspace) -> dict[str, Any] | None:
    """What the replies cost that the run learned from, whoever bought them; None where no teacher was looked at.

    Those to held-out questions are left out: nothing is learned from them.
    """
    if not work.replies:
        return None
    asked = work.config.evaluation.teacher
    judged = {r.key for r in held_out_requests(work, open_teacher(work).name)} if asked else set()
    used = [cost for key, cost in work.replies.items() if key not in judged]
    return {"replies": len(used), "cost_usd": sum(usd for usd, _ in used), "tokens": sum(n for _, n in used)}


def _seeds(manifest: dict[str, Any]) -> str:
    """The run's seed, and those of the trainings where they are others."""
    trained: dict[str, int] = manifest["training_seeds"]
    other = ", ".join(f"{label} {seed}" for label, seed in trained.items() if seed != manifest["seed"])
    return f"{manifest['seed']} (trained with: {other})" if other else str(manifest["seed"])


def provenance(manifest: dict[str, Any]) -> dict[str, str]:
    """The manifest in a few lines for the page."""
    lines = {
        "symdistill": symdistill.__version__,
        "seed": _seeds(manifest),
        "configuration": manifest["config"],
        "training questions": manifest["questions"]["train"],
        "test questions": manifest["questions"]["evaluation"],
        "Python": f"{manifest['python']} on {manifest['platform']}",
        "packages": ", ".join(f"{p} {v}" for p, v in manifest["packages"].items()),
    }
    if engine := manifest["engine"]["name"]:
        lines["engine"] = f"{engine}: {reason}" if (reason := manifest["engine"].get("reason")) else engine
    for label, card in manifest["students"].items():
        lines[f"student {label}"] = f"{card['base']}, weights {card['weights_sha256']}"
    return lines


def task_summaries(work: Workspace) -> list[TaskSummary]:
    """One summary a task, with a question to show."""
    train = Counter(e.task for e in work.task.train)
    test = Counter(e.task for e in work.task.evaluation)
    unlabelled = Counter(e.task for e in work.task.evaluation if e.answer is None)
    task_of = {e.id: e.task for e in work.task.evaluation}
    removed = Counter(task_of.get(overlap.eval_id, work.task.name) for overlap in work.task.removed)
    shown = {e.task: e for e in reversed(work.task.evaluation)} or {e.task: e for e in reversed(work.task.train)}
    return [
        TaskSummary(
            name=task,
            train=train[task],
            test=test[task],
            removed=removed[task],
            unlabelled=unlabelled[task],
            question=shown[task].question if task in shown else "",
            answer=(shown[task].answer or "") if task in shown else "",
        )
        for task in sorted(train.keys() | test.keys())
    ]


def teacher_summary(work: Workspace) -> TeacherSummary | None:
    """Who was asked and what it took; None for a run without a teacher. Replies that several methods learn from count
    once, however differently they asked."""
    written = [own for own in pools(work) if own.curation.exists()]
    if not work.needs_teacher or not written:
        return None
    told = work.directory.read_json(written[0].curation)
    if len(written) > 1:
        told |= facts_together(work, told["teacher"])
    return TeacherSummary(
        model=told["teacher"],
        settings="; ".join(_asked_how(own, alone=len(written) == 1) for own in written),
        requested=told["requested"],
        replies=told["replies"],
        failures=told["failures"],
        cost_usd=told["cost_usd"],
        prompt_tokens=told["prompt_tokens"],
        generated_tokens=told["completion_tokens"],
    )


def _asked_how(own: Pool, *, alone: bool) -> str:
    """How the teacher was asked for a pool, in words."""
    teacher = own.teacher
    count = teacher.samples or 1
    settings = "1 reply a question" if count == 1 else f"{count} replies a question"
    if teacher.model != "dataset":  # the rows' own replies were drawn elsewhere, nobody says how
        settings += f", temperature {teacher.temperature:g}"
    if own.demonstrations:
        settings += f", {len(own.demonstrations)} demonstrations"
    if teacher.show_answer:
        settings += ", gold answer shown"
    return settings if alone else f"{', '.join(m.label for m in own.learners)}: {settings}"


def curation_summaries(work: Workspace) -> list[CurationSummary]:
    """What became of the teacher's replies, pool by pool."""
    found = []
    for own in pools(work) if work.needs_teacher else ():
        if not own.curation.exists():
            continue
        told = work.directory.read_json(own.curation)
        shares: defaultdict[str, list[float]] = defaultdict(list)
        for row in told["difficulty"]:
            if row["share"] is not None:
                shares[row["task"]].append(row["share"])
        found.append(
            CurationSummary(
                methods=[m.label for m in own.learners],
                kept=sum(row["kept"] for row in told["difficulty"]),
                dropped=Counter(d.reason for d in read_dropped(own.dropped)),
                shares_kept=dict(shares),
            )
        )
    return found


def histories(work: Workspace) -> list[TrainingHistory]:
    """The learning curves of the run's students, first students among them; one that several methods share is one."""
    points: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    for row in work.directory.read_rows(work.directory.training):
        curve = points[row["method"]]
        before = curve[-1] if curve else {"tokens": 0, "seconds": 0.0}
        sums = {name: before[name] + row[name] for name in ("tokens", "seconds")}  # a line is about its own step
        curve.append({**row, **sums})
    sharing: defaultdict[str, list[str]] = defaultdict(list)  # a student that several methods share was trained once
    examples: dict[str, int | None] = {}
    for place in trained_places(work):
        if card := read_card(place):
            trained_as = card.get("trained_as") or card["method"]
            sharing[trained_as].append(card["method"])
            examples[trained_as] = card["examples"]
    return [TrainingHistory(", ".join(names), points[first], examples[first]) for first, names in sharing.items()]


def teacher_rationales(work: Workspace) -> dict[str, str]:
    """The teacher's reply to held-out questions, where it was asked."""
    if not work.config.teacher.model or not (work.config.evaluation.teacher or work.config.teacher.model == "dataset"):
        return {e.id: e.rationales[0] for e in work.task.evaluation if e.rationales}
    requests = held_out_requests(work, open_teacher(work).name)
    stored = work.store.completions([r.key for r in requests])
    return {r.example_id: stored[r.key].text for r in requests if r.key in stored}


def notes(work: Workspace, rows: Sequence[MetricRow]) -> Sequence[str]:
    """What a reader should know first."""
    said = list(work.task.notes)
    said += [
        f"The students answered by {engine}: with rounded weights, not quite those that were trained."
        for engine in sorted({row.engine for row in rows if row.engine})
        if "int8" in engine
    ]
    tried = {row.method: row.knowledge_base for row in rows if row.knowledge_base}
    said += [f"{method} looks things up in {base}." for method, base in tried.items()]
    said += [faultless for maker in makers(work) if (faultless := without_mistakes(work, maker))]
    found: dict[tuple[str, ...], list[str]] = {}  # methods that share a student have its findings in common
    for method in work.trained:
        card = read_card(work.student_directory(method)) or {}
        student = (card.get("trained_as") or method.label, *card.get("smoke_check", []))
        found.setdefault(student, []).append(method.label)
    said += [f"{', '.join(labels)}: {finding}" for (_, *findings), labels in found.items() for finding in findings]
    return said


def installed_versions() -> dict[str, str]:
    """The versions of the packages that results depend on, those that are installed."""
    return {p: v for p in PACKAGES if (v := _version(p))}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
