"""The students of a `direct` run: trained on the arms' triples, and judged on heads that none of them learned about.

students/ARM/             a student, as in any run
direct/losses-ARM.json    how probable it holds each reference triple; found again by the key in it
predictions.jsonl         every tail that was written, and who accepts it
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symdistill.content import content_key
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.direct_metrics import Completed
from symdistill.knowledge.triples import Schema, Triple, read_triples
from symdistill.knowledge.triples.normalise import normal, says_nothing
from symdistill.knowledge.triples.splits import head_key
from symdistill.methods import Material
from symdistill.methods.direct import Direct, arm, arms_of, question, questions
from symdistill.records import Completion, Request, Sampling
from symdistill.runs.beforehand import shortest_above
from symdistill.runs.critics import TrainedCritic
from symdistill.runs.direct_graph import Graph, is_learned, section_of
from symdistill.runs.directory import write_json, write_rows
from symdistill.runs.learning import read_card, train_student
from symdistill.runs.workspace import Workspace
from symdistill.sampling.prices import FREE
from symdistill.sampling.sampler import Sampler
from symdistill.students.answering import open_for_answering
from symdistill.students.settings import StudentSettings
from symdistill.training.critic_labels import text_of

Pair = tuple[str, str]
"""A head and a relation."""

TEACHER = "teacher"
_SHORTEST = "a"
"""No head is shorter."""


@dataclass(frozen=True)
class Trained:
    """A student of an arm: what it learned from, where it lies and what that says of it."""

    label: str
    method: Direct
    place: Path
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What the students of a run came to, by label; the teacher's tails for the same heads and relations beside them.

    `losses` are of `reference`, one each. `judges` names who accepted.
    """

    pairs: Sequence[Pair]
    completed: Mapping[str, Sequence[Completed]]
    reference: Sequence[Triple]
    losses: Mapping[str, Sequence[float]]
    judges: Sequence[str]


def train_arms(work: Workspace, graph: Graph) -> list[Trained]:
    """Train each arm's student, or find it trained.

    Raises:
        DataError: an arm has nothing to learn from. TrainingError, Interrupted: as `train_student`.
    """
    settings = section_of(work)
    everything = [t for t in graph.triples if is_learned(t.head, work)]
    passed = {t.id for t in graph.accepted}
    accepted = [t for t in everything if t.id in passed]
    if not accepted:
        raise DataError(
            f"The critic passes none of the {len(everything):,} triples to learn from.",
            "Raise `direct.critic.recall`, or look at graph/critic/report.json.",
        )
    arms = arms_of(settings, everything, accepted, seed=work.config.seed)
    for size in settings.sizes:
        if size >= len(accepted):
            work.progress.note(f" arms       there are {len(accepted):,} filtered triples: no student on {size:,}")
    found = []
    for label, triples in arms.items():
        method = arm(label, work.config.student.instruction)
        examples = questions(triples, graph.schema)
        material = Material(examples, seed=work.config.seed)
        place = work.directory.student(label, alone=False)
        train_student(work, method, material, method.training_examples(material), target=place)
        found.append(Trained(label, method, place, read_card(place) or {}))
    return found


def check_lengths(work: Workspace, schema: Schema, heads: Sequence[str]) -> None:
    """Raises ConfigError where no question about `heads` that students learn about, or about heads to come, fits into
    `training.max_length` with a tail behind it."""
    settings, limit = section_of(work), work.config.training.max_length
    method = arm("direct", work.config.student.instruction)
    learned = sorted((head for head in heads if is_learned(head, work)), key=len)
    if settings.new_heads:
        learned.insert(0, _SHORTEST)
    relations = settings.relations or tuple(schema.relations)
    prompts = ((method.prompt(question(head, name, schema)), "") for head in learned for name in relations)
    if (shortest := shortest_above(work.config.student, prompts, limit)) is not None:
        raise ConfigError(
            f"No question about a head fits into `training.max_length`, {limit:,} tokens: the shortest takes "
            f"{shortest:,} before what is learned begins.",
            "Raise it; 256 is enough for most triples.",
        )


def reference_of(work: Workspace, schema: Schema, heads: Iterable[str]) -> list[Triple]:
    """The reference triples but those about `heads` that students learn about, at most so many as are asked for, drawn
    at random.

    Raises:
        DataError: a row is no triple of the schema, or all heads are learned from.
    """
    settings = section_of(work)
    if settings.reference is None:
        return []
    read = read_triples(settings.reference)
    for triple, place in zip(read.triples, read.places, strict=True):
        schema.relation(triple.relation, f"{settings.reference}, {place}" if place else str(settings.reference))
    learned = {head_key(head) for head in heads if is_learned(head, work)}
    found = [t for t in read.triples if not says_nothing(t.tail)]
    if settings.relations:
        found = [t for t in found if t.relation in settings.relations]
    kept = list({t.fact: t for t in found if head_key(t.head) not in learned}.values())
    if not kept:
        raise DataError(
            f"{settings.reference} has no triple in a wanted relation about a head that students do not learn about.",
            "Add rows about other heads, or raise `direct.test`.",
        )
    if settings.reference_rows is not None and len(kept) > settings.reference_rows:
        places = random.Random(f"{work.config.seed} reference").sample(range(len(kept)), settings.reference_rows)
        kept = [kept[place] for place in sorted(places)]
    return kept


def judge_arms(work: Workspace, graph: Graph, students: Sequence[Trained]) -> Judged:
    """Have every student complete the held-out heads and relations, and judge what it writes; write predictions.jsonl.

    Raises:
        DataError: no head is held out. Interrupted: Ctrl-C; the answers so far are stored.
    """
    reference = reference_of(work, graph.schema, {t.head for t in graph.triples})
    pairs = held_out_pairs(work, graph, reference)
    told = _references(graph, reference)
    tails: dict[str, list[str]] = {TEACHER: _teachers_tails(graph, pairs)}
    losses: dict[str, list[float]] = {}
    for student in students:
        tails[student.label] = _write(work, graph, student, pairs)
        if reference:
            losses[student.label] = _losses(work, graph, student, reference)
    judges = {"critic": graph.critic} | ({"judge": graph.judge} if graph.judge else {})
    completed = {label: _judged(graph, judges, pairs, found, told) for label, found in tails.items()}
    write_rows(
        work.directory.predictions,
        (
            {
                "method": label,
                "head": one.head,
                "relation": one.relation,
                "tail": one.tail,
                "accepted": dict(one.accepted),
                "references": list(one.references),
                "rouge_l": one.rouge_l,
                "exact": one.exact,
            }
            for label, row in completed.items()
            for one in row
        ),
    )
    return Judged(pairs, completed, reference, losses, list(judges))


def held_out_pairs(work: Workspace, graph: Graph, reference: Sequence[Triple]) -> list[Pair]:
    """The heads and relations that students are asked about: those of the graph that none learned about, and those of
    the reference; `evaluation.limit` of them at most, drawn at random.

    Raises:
        DataError: there is none.
    """
    own = [t for t in graph.triples if not is_learned(t.head, work)]
    found = list({(normal(t.head), t.relation): (t.head, t.relation) for t in [*own, *reference]}.values())
    if not found:
        raise DataError(
            "No head is held out: students would be judged on what they learned.", "Raise `direct.test`, or add heads."
        )
    limit = work.config.evaluation.limit
    if limit is not None and limit < len(found):
        places = random.Random(f"{work.config.seed} held out").sample(range(len(found)), limit)
        found = [found[place] for place in sorted(places)]
    return found


def _write(work: Workspace, graph: Graph, student: Trained, pairs: Sequence[Pair]) -> list[str]:
    """The student's greedy tail of each pair, from the store where it was asked before; "" where there is none."""
    model = open_for_answering(work.config.student, student.place, work.engine, trained=True)
    asked = [question(head, relation, graph.schema) for head, relation in pairs]
    sampling = Sampling(max_tokens=work.config.evaluation.max_new_tokens, seed=work.config.seed)
    with Sampler(work.store, model, run=f"{work.key}:student", price=FREE, progress=work.progress) as sampler:

        def ask(requests: Sequence[Request]) -> Mapping[str, Completion]:
            return sampler.sample(requests, stage=f"evaluate {student.label}").completions

        replies = student.method.predict(ask, model.name, asked, sampling)
    return [_first_line(row[0].text) if row else "" for row in replies]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:1000]


def _losses(work: Workspace, graph: Graph, student: Trained, reference: Sequence[Triple]) -> list[float]:
    """-ln p of each reference tail under a student, in the mean over its tokens; or found."""
    from symdistill.students.likelihood import completion_losses
    from symdistill.students.loading import load_student

    method = student.method
    asked = method.training_examples(Material(questions(reference, graph.schema)))
    facts = [[[m.content for m in e.prompt], e.completion] for e in asked]
    key = content_key("l1", [student.card["weights_sha256"], facts])
    path = work.directory.path / "direct" / f"losses-{student.label}.json"
    if path.exists() and (kept := work.directory.read_json(path)).get("key") == key:
        return list(kept["losses"])
    work.progress.start("reference", len(asked))
    settings = work.config.student.model_dump() | {"model": str(student.place)}
    loaded = load_student(StudentSettings(**settings), for_training=False)
    found = completion_losses(loaded, asked)
    del loaded
    gc.collect()
    write_json(path, {"key": key, "losses": found})
    work.progress.finish(f"{student.label}   {sum(found) / len(found):.3f} nats a token of {len(found):,} tails")
    return found


def _judged(
    graph: Graph,
    judges: Mapping[str, TrainedCritic],
    pairs: Sequence[Pair],
    tails: Sequence[str],
    references: Mapping[Pair, Sequence[str]],
) -> list[Completed]:
    """What each judge says of each tail; one that is empty, or says that there is none, is not accepted."""
    written = [Triple(head, relation, tail) for (head, relation), tail in zip(pairs, tails, strict=True)]
    said = [place for place, triple in enumerate(written) if triple.tail and not says_nothing(triple.tail)]
    texts = [text_of(written[place], graph.schema) for place in said]
    accepted: list[dict[str, bool]] = [dict.fromkeys(judges, False) for _ in written]
    for name, judge in judges.items():
        for place, passes in zip(said, judge.critic.accepts(texts), strict=True):
            accepted[place][name] = bool(passes)
    return [
        Completed(t.head, t.relation, t.tail, verdicts, references.get((normal(t.head), t.relation), ()))
        for t, verdicts in zip(written, accepted, strict=True)
    ]


def _teachers_tails(graph: Graph, pairs: Sequence[Pair]) -> list[str]:
    """The first tail the teacher wrote for each pair; "" where it was not asked."""
    first: dict[Pair, str] = {}
    for triple in graph.triples:
        first.setdefault((normal(triple.head), triple.relation), triple.tail)
    return [first.get((normal(head), relation), "") for head, relation in pairs]


def _references(graph: Graph, reference: Sequence[Triple]) -> dict[Pair, list[str]]:
    found: dict[Pair, list[str]] = {}
    for triple in reference:
        found.setdefault((normal(triple.head), triple.relation), []).append(triple.tail)
    return found
