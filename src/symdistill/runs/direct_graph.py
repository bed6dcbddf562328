"""The graph of a `direct` run: what the teacher wrote, what of it is distinct and sound, and what the critic passes.

direct/graph.jsonl       distinct, sound triples, with the critic's probabilities as their confidence
direct/accepted.jsonl    those that pass
direct/choice.json       what was left out, and why; a later start finds all three by the key in it
graph/critic/, graph/judge/   the critic, and a second one, if the run has one (see `runs.critics`)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from symdistill.content import content_key
from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.history import Change
from symdistill.knowledge.items import KnowledgeItem, Provenance, item_id
from symdistill.knowledge.triples import Schema, Triple, canonical_hash, load_schema, read_triples, write_triples
from symdistill.knowledge.triples.duplicates import deduplicate
from symdistill.knowledge.triples.findings import CONFLICTS
from symdistill.knowledge.triples.normalise import normal
from symdistill.knowledge.triples.review import Decision, standings
from symdistill.knowledge.triples.splits import side_of
from symdistill.knowledge.triples.store import TripleStore
from symdistill.knowledge.triples.validate import validate
from symdistill.methods.direct import DirectSettings
from symdistill.runs.critics import TrainedCritic, score_triples, train_critic
from symdistill.runs.direct_reviewed import reviewed
from symdistill.runs.directory import RunDirectory, write_json
from symdistill.runs.graphs import Wanted, read_heads
from symdistill.runs.workspace import Workspace
from symdistill.training.critic_features import OF_STUDENTS
from symdistill.training.critic_labels import (
    Labelled,
    check_labels,
    labels_of_decisions,
    read_triple_labels,
    split_labels,
)
from symdistill.training.settings import CriticSettings


@dataclass(frozen=True)
class Graph:
    """A run's triples: as the teacher wrote them, distinct and sound (`triples`, scored), and what passes.

    `lost` counts what was left out, by reason. Of `triples` those in `rejected` (ids) are wrong by labels or reviewers:
    no critic lets them pass. `critic_labels` and `judge_labels` are whose labels were whose. `reviewed` are the
    critic's figures on a random slice of what was written that people have judged, where there is one: of what was
    written, since what people rejected loses to what repeats or contradicts it, and is seldom among `triples`.
    """

    schema: Schema
    written: Sequence[Triple]
    triples: Sequence[Triple]
    accepted: Sequence[Triple]
    rejected: frozenset[str]
    lost: Mapping[str, int]
    notes: Sequence[str]
    critic: TrainedCritic
    judge: TrainedCritic | None
    labels: Sequence[Labelled]
    critic_labels: Sequence[Labelled]
    judge_labels: Sequence[Labelled]
    reviewed: Mapping[str, Any] | None = None


def section_of(work: Workspace) -> DirectSettings:
    """The section of the configuration. Raises ConfigError where there is none."""
    if work.config.direct is None:
        raise ConfigError("The configuration has no `direct` section.", "Add one.")
    return work.config.direct


def schema_of(work: Workspace) -> Schema:
    """The relation schema. Raises DataError."""
    return load_schema(section_of(work).relation_schema)


def wanted_of(work: Workspace, schema: Schema) -> Wanted:
    """What the teacher is asked. Raises DataError for an unknown relation, ConfigError where there is no head."""
    settings = section_of(work)
    for name in settings.relations:
        schema.relation(name, "`direct.relations`")
    heads = read_heads(settings.heads, "direct.heads") if settings.heads else ()
    if not heads and not settings.new_heads:
        raise ConfigError(
            "There is no head to ask about.",
            "Set `direct.heads` to a file with one a line, or `direct.new_heads` to how many the teacher is to write.",
        )
    return Wanted(heads, settings.new_heads, settings.relations, settings.tails, settings.samples)


def is_learned(head: str, work: Workspace) -> bool:
    """Whether students may learn about a head: its side depends on its words and the run's seed alone, and not on the
    part that labels about it have in the critic."""
    share = section_of(work).test
    return side_of(head, {"train": 1 - share, "test": share}, seed=work.config.seed, purpose="student") == "train"


def asked_for(work: Workspace, store: TripleStore, triples: Sequence[Triple]) -> list[Triple]:
    """The triples about heads and relations that the run asks for now: a graph keeps what was asked for before."""
    relations = section_of(work).relations or store.schema.relations
    path = store.path / "heads.txt"
    heads = {normal(head) for head in read_heads(path)} if path.exists() else None
    return [t for t in triples if t.relation in relations and (heads is None or normal(t.head) in heads)]


def labels_of(work: Workspace, schema: Schema, triples: Sequence[Triple], store: TripleStore) -> list[Labelled]:
    """The labels of the file, or of the reviewers of the run's graph. Raises DataError where there are none."""
    path = section_of(work).labels
    if path is not None:
        return read_triple_labels(path, schema, "direct.labels")
    found = labels_of_decisions(triples, store.decisions(), schema)
    if not found:
        raise DataError(
            f"There are no labels: `direct.labels` names no file, and nobody has reviewed the graph in {store.path}.",
            f"`symdistill triples review {work.directory.path}` shows triples to judge; then run the same command.",
        )
    return found


def divided(work: Workspace, labels: Sequence[Labelled], schema: Schema) -> tuple[list[Labelled], list[Labelled]]:
    """The labels of the critic, and those of the judge, no head among both where they are from one file.

    Raises:
        DataError: one of the two has too few labels.
    """
    check_labels(labels)
    judge = section_of(work).judge
    if judge is None:
        return list(labels), []
    if judge.labels is not None:
        return list(labels), read_triple_labels(judge.labels, schema, "direct.judge.labels")
    shares = {"critic": 1 - judge.share, "judge": judge.share}
    sides: dict[str, list[Labelled]] = {"critic": [], "judge": []}
    for one in labels:
        sides[side_of(one.group, shares, seed=work.config.seed, purpose="critic and judge")].append(one)
    return sides["critic"], sides["judge"]


def judge_settings(settings: DirectSettings) -> CriticSettings | None:
    """How a judge is trained: as the critic is, with features of its own, and a threshold of even chances."""
    if settings.judge is None:
        return None
    return settings.critic.model_copy(update={"features": settings.judge.features, "threshold": 0.5})


def check_labels_of(work: Workspace, schema: Schema) -> str:
    """What labels there are, in words. Raises DataError where a critic cannot be trained on them."""
    settings = section_of(work)
    if settings.labels is None:
        if settings.judge is not None and settings.judge.labels is not None:
            read_triple_labels(settings.judge.labels, schema, "direct.judge.labels")
        return "labels of reviewers"
    labels = read_triple_labels(settings.labels, schema, "direct.labels")
    own, judges = divided(work, labels, schema)
    split_labels(own, settings.critic, seed=work.config.seed)
    if (apart := judge_settings(settings)) is not None:
        split_labels(judges, apart, seed=work.config.seed, name="judge")
    good = sum(one.good for one in labels)
    return f"{len(labels):,} labels ({good:,} good)"


def choose(work: Workspace, store: TripleStore) -> Graph:
    """Train the critic, leave out what repeats or cannot hold, and see what passes; or find it done.

    Raises:
        DataError: there are no labels, too few, or of one kind; nothing was generated; or nothing passes.
    """
    settings, schema = section_of(work), store.schema
    contents = store.contents()
    written = asked_for(work, store, contents.triples)
    if not written:
        raise DataError("The graph is empty: no reply of the teacher held a triple.", "See graph/asked.jsonl.")
    labels = labels_of(work, schema, written, store)
    own, judges = divided(work, labels, schema)
    critic = _trained(work, "critic", own, settings.critic)
    apart = judge_settings(settings)
    judge = _trained(work, "judge", judges, apart) if apart else None
    folder = work.directory.path / "direct"
    decided = store.decisions()
    against = rejected_facts(labels, contents.triples, decided)
    key = content_key("d2", [canonical_hash(written), settings.near, critic.report["key"], sorted(against)])
    if (found := _chosen_before(folder, key)) is not None:
        triples, lost, notes = found
    else:
        work.progress.start("graph", len(written))
        # Scored first: of triples that repeat or contradict each other the one that is more probably right stays.
        scored = [
            replace(triple, confidence=0.0) if triple.fact in against else triple
            for triple in score_triples(critic.critic, written, schema)
        ]
        kept = deduplicate(scored, near=settings.near).kept
        lost = {"repeated": len(written) - len(kept)}
        checked = validate(kept, schema, batches=contents.batches, near=None)
        faulty = {f.triples[0] for f in checked.findings if f.kind not in (*CONFLICTS, "near_duplicate")}
        sound = [t for t in kept if t.id not in faulty]
        lost["with a fault of their own"] = len(kept) - len(sound)
        if checked.consistent is not None:
            consistent = [t for t in sound if t.id in checked.consistent]
            lost["in a conflict"] = len(sound) - len(consistent)
            sound = consistent
        triples, notes = sound, list(checked.notes)
        _keep(folder, key, triples, [t for t in triples if _passes(t, critic, against)], lost, notes)
    accepted = [t for t in triples if _passes(t, critic, against)]
    rejected = frozenset(t.id for t in triples if t.fact in against)
    seed = work.config.seed
    slice_ = reviewed(written, decided, critic.critic, own, settings.critic, schema, seed=seed)
    if other := len(contents.triples) - len(written):
        notes = [*notes, f"{other:,} triples in graph/ are about heads or relations that are not asked for any more."]
    work.progress.start("critic")
    work.progress.finish(f"passed {len(accepted):,} of {len(triples):,} triples ({len(written):,} written)")
    return Graph(schema, written, triples, accepted, rejected, lost, notes, critic, judge, labels, own, judges, slice_)


def rejected_facts(
    labels: Sequence[Labelled], triples: Sequence[Triple], decisions: Sequence[Decision]
) -> set[tuple[str, str, str]]:
    """What people say is wrong, in a label or as reviewers of these triples: no critic knows better."""
    found = {label.triple.fact for label in labels if label.triple and not label.good}
    standing = standings(decisions)
    return found | {t.fact for t in triples if standing.get(t.id) == "rejected"}


def _passes(triple: Triple, critic: TrainedCritic, against: Collection[tuple[str, str, str]]) -> bool:
    return triple.fact not in against and (triple.confidence or 0.0) >= critic.critic.threshold


def keep_knowledge(work: Workspace, graph: Graph) -> int:
    """What passed, as a knowledge base that other students can look things up in; returns how many items of it are in
    use.

    What no longer passes is retired, and in use again once it passes again; a statement that a person edited stays as
    it is.
    """
    items = [item_of(triple, graph.schema) for triple in graph.accepted]
    wanted = {item.id for item in items}
    with KnowledgeBase(work.directory.knowledge, report=work.progress.note) as base:
        base.add(items, by="direct")
        changes = []
        for item in base.items(kind="triple", status=None):
            passes, retired = item.id in wanted, item.status == "retired"
            if item.edited_by == "direct" and passes == retired:
                status, why = ("active", "it passes again") if passes else ("retired", "it does not pass")
                changes.append(Change(item.id, item.version, {"status": status}, why))
        base.apply(changes, by="direct")
        return sum(item.id in wanted for item in base.items(kind="triple"))


def item_of(triple: Triple, schema: Schema) -> KnowledgeItem:
    """A triple as an item of a knowledge base: its sentence, under its head."""
    text = schema.verbalise(triple)
    source = Provenance("", schema.name, "", request_key=triple.source)
    return KnowledgeItem(
        id=item_id("triple", schema.name, text),
        kind="triple",
        title=triple.head,
        text=text if text.endswith((".", "!", "?")) else f"{text}.",
        task=schema.name,
        provenance=(source,) if triple.source else (),
    )


def _trained(work: Workspace, name: str, labels: Sequence[Labelled], settings: CriticSettings) -> TrainedCritic:
    own = work.config.student if settings.features in OF_STUDENTS else None
    work.progress.start(name, len(labels))
    found = train_critic(labels, settings, work.directory.path / "graph" / name, student=own, seed=work.config.seed)
    again = "   trained before" if found.again else ""
    work.progress.finish(f"{settings.features}   {len(labels):,} labels{again}")
    for note in found.report["notes"]:
        work.progress.note(f"            {name}: {note}")
    return found


def _chosen_before(folder: Path, key: str) -> tuple[list[Triple], dict[str, int], list[str]] | None:
    place = folder / "choice.json"
    if not place.exists():
        return None
    choice = RunDirectory(folder.parent).read_json(place)
    if choice.get("key") != key:
        return None
    return list(read_triples(folder / "graph.jsonl").triples), choice["lost"], choice["notes"]


def _keep(
    folder: Path,
    key: str,
    triples: Sequence[Triple],
    accepted: Sequence[Triple],
    lost: Mapping[str, int],
    notes: Sequence[str],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "choice.json").unlink(missing_ok=True)
    write_triples(folder / "graph.jsonl", triples, ())
    write_triples(folder / "accepted.jsonl", accepted, ())
    write_json(folder / "choice.json", {"key": key, "lost": dict(lost), "notes": list(notes)})
