"""The family `direct`: a graph from the teacher, a critic over it, and students that complete its triples.

Stages, each of which finds what it did before: the teacher's replies (`graphs`), the critic and what passes
(`direct_graph`), students and what they write (`direct_students`), the page. What passes is also a knowledge base,
knowledge.sqlite, which students of other runs can look things up in (`symdistill evaluate --knowledge`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from symdistill.content import content_key, file_sha256
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.report_direct import direct_text, write_direct_report
from symdistill.evaluation.settings import EvaluationSettings
from symdistill.knowledge.triples import Schema, Triple, canonical_hash
from symdistill.models.settings import TeacherSettings
from symdistill.runs.critics import check_features
from symdistill.runs.direct_graph import (
    Graph,
    check_labels_of,
    choose,
    is_learned,
    keep_knowledge,
    schema_of,
    section_of,
    wanted_of,
)
from symdistill.runs.direct_students import check_lengths, judge_arms, reference_of, train_arms
from symdistill.runs.direct_summary import rows_to_show, summary
from symdistill.runs.directory import write_json
from symdistill.runs.graphs import generate, graph_of, price_generation
from symdistill.runs.manifest import family_manifest, paid_sentence
from symdistill.runs.quoting import Quote
from symdistill.runs.workspace import Workspace

_CASES = 30
_NOT_ASKED = ("samples", "demonstrations", "show_answer", "instruction", "logprobs")
"""Keys of a teacher that say nothing about questions for triples."""


def check_direct(work: Workspace) -> str:
    """What is there, in a line.

    Raises:
        ConfigError, DataError, PrerequisiteError: what would stop the run later.
    """
    settings, schema = section_of(work), schema_of(work)
    wanted = wanted_of(work, schema)
    _check_keys(work)
    labels = check_labels_of(work, schema)
    reference = reference_of(work, schema, wanted.heads)
    if not wanted.new_heads:
        _check_sides(work, wanted.heads, reference)
    _check_models(work)
    check_lengths(work, schema, wanted.heads)
    new = f" and {wanted.new_heads:,} new ones" if wanted.new_heads else ""
    compared = f" · {len(reference):,} reference triples" if reference else ""
    relations = len(settings.relations or schema.relations)
    return f"{len(wanted.heads):,} heads{new} · {relations} relations of {schema.name} · {labels}{compared}"


def price_direct(work: Workspace) -> Quote:
    """What the triples may cost at most."""
    schema = schema_of(work)
    return price_generation(work, schema, wanted_of(work, schema))


def run_direct(work: Workspace) -> str:
    """Every stage; what the terminal shows.

    Raises:
        SymdistillError: whatever stops a stage; what was done is kept.
    """
    from symdistill.students.loading import locate_student

    locate_student(work.config.student)
    schema = schema_of(work)
    wanted = wanted_of(work, schema)
    check_lengths(work, schema, wanted.heads)  # again: the tokenizer may have come with the student
    store = graph_of(work, schema)
    generate(work, store, wanted)
    graph = choose(work, store)
    items = keep_knowledge(work, graph)
    students = train_arms(work, graph)
    judged = judge_arms(work, graph, students)
    cards = {student.label: dict(student.card) for student in students}
    manifest = family_manifest(work, _inputs(work, schema, graph), cards)
    found = summary(graph, students, judged, items=items, seed=work.config.seed, paid=manifest["teacher"])
    write_json(work.directory.metrics, found)
    write_json(work.directory.manifest, manifest)
    write_direct_report(
        work.directory.report,
        found,
        title=work.directory.path.name,
        created=datetime.now(UTC).date().isoformat(),
        command=work.directory.command,
        config=work.config.to_yaml(),
        provenance=_provenance(manifest),
        cases=rows_to_show(judged.completed, _CASES),
    )
    return f"{direct_text(found)}\n\n{paid_sentence(manifest['teacher'])}"


def _check_keys(work: Workspace) -> None:
    usual = TeacherSettings()
    for name in _NOT_ASKED:
        if getattr(work.config.teacher, name) != getattr(usual, name):
            fix = "Set `direct.samples`." if name == "samples" else "Take it out."
            raise ConfigError(f"`teacher.{name}` says nothing about triples.", fix)
    said = work.config.evaluation
    for name in ("greedy", "self_consistency", "teacher"):
        if getattr(said, name) != getattr(EvaluationSettings(), name):
            raise ConfigError(f"`evaluation.{name}` has no meaning in a run of `direct`.", "Take it out.")
    if work.config.training.early_stopping_patience is not None:
        raise ConfigError(
            "`training.early_stopping_patience` needs right answers, and a tail has none.", "Take it out."
        )
    if work.config.teacher.model in (None, "dataset"):
        raise ConfigError(
            "No teacher is named that can write triples.", "Set `teacher.model`, for example openai:gpt-4o-mini."
        )


def _check_sides(work: Workspace, heads: Sequence[str], reference: Sequence[Triple]) -> None:
    """Raises DataError where no head is left to learn from, or to be asked about."""
    learned = sum(is_learned(head, work) for head in heads)
    if not learned:
        raise DataError(
            f"None of the {len(heads):,} heads is one that students learn about.", "Add heads, or lower `direct.test`."
        )
    if learned == len(heads) and not reference:
        raise DataError(
            f"None of the {len(heads):,} heads is held out: students would be judged on what they learned.",
            "Add heads, raise `direct.test`, or name a `direct.reference`.",
        )


def _check_models(work: Workspace) -> None:
    """Raises ConfigError, PrerequisiteError or UnusableModel where a model or a package is missing."""
    from symdistill.students.loading import check_student
    from symdistill.training.critic import check_installed

    settings = section_of(work)
    check_student(work.config.student)
    check_installed()
    check_features(settings.critic.features, "direct.critic.features")
    if settings.judge is not None:
        check_features(settings.judge.features, "direct.judge.features")


def _inputs(work: Workspace, schema: Schema, graph: Graph) -> dict[str, str]:
    settings = section_of(work)
    files = {"heads": settings.heads, "labels": settings.labels, "reference": settings.reference}
    return {
        "schema": content_key("s1", schema.text),
        "graph": canonical_hash(graph.written),
        **{name: file_sha256(path) for name, path in files.items() if path is not None},
    }


def _provenance(manifest: dict[str, Any]) -> dict[str, str]:
    lines = {
        "paid": paid_sentence(manifest["teacher"]),
        "symdistill": manifest["packages"].get("symdistill", ""),
        "seed": str(manifest["seed"]),
        "configuration": manifest["config"],
        **{name: str(key) for name, key in manifest["inputs"].items()},
        "Python": f"{manifest['python']} on {manifest['platform']}",
        "packages": ", ".join(f"{name} {version}" for name, version in manifest["packages"].items()),
    }
    for label, card in manifest["students"].items():
        lines[f"student {label}"] = f"{card.get('base')}, weights {card.get('weights_sha256')}"
    return lines
