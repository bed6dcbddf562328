"""What people are asked about first, and what they decided.

The queue puts uncertain triples on which much depends before others: its score is uncertainty × impact. Beside it goes
a random slice of everything, so that the share of good triples can be told of the whole graph and not only of its
doubtful part. A graph has one random order, whoever reviews it: what was judged of its beginning is a fair sample.
Decisions are appended to a file, one line each, with the reviewer's name; nothing is written over.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from symdistill.errors import DataError
from symdistill.knowledge.agreement import Agreement, cohen_kappa, krippendorff_alpha
from symdistill.knowledge.triples.records import Triple
from symdistill.tasks.files import read_rows

Verdict = Literal["accept", "reject", "unsure"]
Slice = Literal["queue", "audit"]
Standing = Literal["accepted", "rejected", "disputed", "unsure"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one reviewer thinks of one triple (its id). `slice` says why it was asked about; `at` is UTC, ISO 8601."""

    triple: str
    verdict: Verdict
    reviewer: str
    at: str = ""
    note: str = ""
    slice: Slice = "queue"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A triple that waits for a reviewer: `uncertainty` between 0 and 1, `impact` from 1, and its slice."""

    triple: Triple
    uncertainty: float
    impact: float
    slice: Slice
    conflicts: int = 0

    @property
    def score(self) -> float:
        return self.uncertainty * self.impact


@dataclass(frozen=True, slots=True)
class Raters:
    """How far reviewers agree: Cohen's kappa of each two who judged the same triples, and Krippendorff's alpha of all.

    Undecided ("unsure") judgements are labels like the others. `alpha` is None where nobody judged what another did.
    """

    pairs: Mapping[tuple[str, str], Agreement]
    alpha: float | None


def now() -> str:
    """The time as decisions and batches write it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def uncertainty(confidence: float | None) -> float:
    """1 - |2p - 1|: 0 for what is surely true or surely false, 1 for p = 0.5 and where nobody has said."""
    return 1.0 if confidence is None else 1 - abs(2 * confidence - 1)


def review_queue(
    triples: Sequence[Triple],
    decisions: Iterable[Decision] = (),
    *,
    reviewer: str,
    conflicts: Mapping[str, int] | None = None,
    size: int = 20,
    audit_share: float = 0.2,
) -> list[Waiting]:
    """The next `size` triples for `reviewer`, the audit slice first, then by score; what they judged already is out.

    Impact is log2(1 + k) for k triples, its own included, that share a node with it, plus the triples it is in conflict
    with (`conflicts`, by id); what is in conflict is wholly uncertain. The audit slice follows one random order of all
    triples, the same for every reviewer (see `audit_sample`).
    """
    done = {d.triple for d in decisions if d.reviewer == reviewer}
    against = conflicts or {}
    facts = {triple.id: triple.fact for triple in triples}
    degree = Counter(side for head, _, tail in facts.values() for side in {head, tail})
    waiting = {}
    for triple in triples:
        key = triple.id
        if key in done or key in waiting:
            continue
        head, _, tail = facts[key]
        count = against.get(key, 0)
        near = degree[head] + (degree[tail] - 1 if head != tail else 0)
        waiting[key] = Waiting(
            triple, 1.0 if count else uncertainty(triple.confidence), math.log2(1 + near) + count, "queue", count
        )
    order = sorted(waiting, key=_rank)[: round(audit_share * size)]
    audit = [_audited(waiting.pop(key)) for key in order]
    rest = sorted(waiting.values(), key=lambda w: (-w.score, w.triple.id))
    return [*audit, *rest[: size - len(audit)]]


def _audited(found: Waiting) -> Waiting:
    return Waiting(found.triple, found.uncertainty, found.impact, "audit", found.conflicts)


def _rank(key: str) -> bytes:
    """A triple's place in the graph's random order, which decisions that were written down rely on."""
    return hashlib.sha256(f"0\naudit\n{key}".encode()).digest()


def audit_sample(triples: Iterable[Triple], decisions: Sequence[Decision]) -> dict[str, Standing]:
    """The judged triples that are a fair sample of all: those within the part of the random order that the audit has
    reached, whichever slice they were judged in. What was skipped there is missing."""
    reached = [_rank(d.triple) for d in decisions if d.slice == "audit"]
    if not reached:
        return {}
    judged, last = standings(decisions), max(reached)
    return {t.id: judged[t.id] for t in triples if t.id in judged and _rank(t.id) <= last}


def latest(decisions: Iterable[Decision]) -> dict[str, dict[str, Decision]]:
    """Each triple's decisions by reviewer; of two by one reviewer the later one counts."""
    found: defaultdict[str, dict[str, Decision]] = defaultdict(dict)
    for decision in decisions:
        found[decision.triple][decision.reviewer] = decision
    return dict(found)


def standings(decisions: Iterable[Decision]) -> dict[str, Standing]:
    """What became of each judged triple: all who have a view accept or reject it, they differ, or nobody is sure."""
    found: dict[str, Standing] = {}
    for key, by_reviewer in latest(decisions).items():
        views = {d.verdict for d in by_reviewer.values()} - {"unsure"}
        found[key] = "disputed" if len(views) > 1 else "accepted" if "accept" in views else "rejected"
        if not views:
            found[key] = "unsure"
    return found


def raters(decisions: Iterable[Decision]) -> Raters:
    """The agreement of everyone who judged the same triples."""
    by_triple = latest(decisions)
    names = sorted({name for judged in by_triple.values() for name in judged})
    pairs = {}
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            both = [judged for judged in by_triple.values() if one in judged and other in judged]
            if both:
                pairs[one, other] = cohen_kappa(
                    [judged[one].verdict for judged in both], [judged[other].verdict for judged in both]
                )
    table = [[judged[name].verdict if name in judged else None for name in names] for judged in by_triple.values()]
    return Raters(pairs, krippendorff_alpha(table))


def read_decisions(path: Path) -> list[Decision]:
    """The decisions of a file in their order; none where there is no file.

    Raises:
        DataError: a line is no decision; the message names file and line.
    """
    return [_decision(row, place) for place, row in read_rows(path)] if path.exists() else []


def append_decisions(path: Path, decisions: Iterable[Decision]) -> None:
    """Write decisions at the end of a file, each on a line, whole or not at all. Raises DataError."""
    lines = "".join(json.dumps(asdict(d), ensure_ascii=False, separators=(",", ":")) + "\n" for d in decisions)
    try:
        with path.open("ab+") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) is not None and file.read(1) != b"\n":
                lines = "\n" + lines  # a line that was cut must not spoil the next one
            file.write(lines.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(
            f"Cannot write {path}: {error.strerror or error}.", "Choose a place you can write to; nothing was decided."
        ) from error


def _decision(row: Mapping[str, Any], place: str) -> Decision:
    fix = 'A line looks like {"triple": "t_…", "verdict": "accept", "reviewer": "ann"}.'
    known = {field.name for field in fields(Decision)}
    values = {name: value for name, value in row.items() if name in known}
    lacking = {"triple", "verdict", "reviewer"} - values.keys()
    if lacking or not all(isinstance(value, str) for value in values.values()):
        raise DataError(f"{place}: not a decision.", fix)
    for name, choices in (("verdict", get_args(Verdict)), ("slice", get_args(Slice))):
        if name in values and values[name] not in choices:
            raise DataError(f"{place}: unknown {name} {values[name][:40]!r}.", f"Known: {', '.join(choices)}.")
    return Decision(**values)
