"""What a `direct` run came to, as plain values: metrics.json, which its page and the terminal are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from symdistill.evaluation.direct_metrics import (
    Completed,
    Difference,
    Mean,
    differences,
    distance,
    mean_of,
    share_mean,
    shares_by,
    together,
    variety,
)
from symdistill.knowledge.agreement import cohen_kappa
from symdistill.knowledge.triples import Triple
from symdistill.knowledge.triples.normalise import normal
from symdistill.runs.direct_graph import Graph
from symdistill.runs.direct_students import TEACHER, Judged, Pair, Trained
from symdistill.training.critic_features import OF_STUDENTS
from symdistill.training.critic_labels import Labelled, text_of

_CARD = ("examples", "steps", "epochs", "final_loss", "weights_sha256", "smoke_check")


def summary(
    graph: Graph,
    students: Sequence[Trained],
    judged: Judged,
    *,
    items: int,
    seed: int,
    paid: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All figures of the run; `paid` is what the teacher cost."""
    by = judged.judges[-1]  # the judge where there is one, else the critic itself
    agreement = _agreement(graph, seed)
    labels = [student.label for student in students]
    return {
        "family": "direct",
        "graph": {
            "schema": graph.schema.name,
            "heads": len({t.fact[0] for t in graph.triples}),
            "written": len(graph.written),
            "lost": dict(graph.lost),
            "triples": len(graph.triples),
            "rejected_by_people": len(graph.rejected),
            "accepted": len(graph.accepted),
            "knowledge_items": items,
        },
        "reviewed": graph.reviewed,
        "paid": paid,
        "critic": graph.critic.report,
        "judge": graph.judge.report if graph.judge else None,
        "judged_by": by,
        "circular": bool(_circular(graph)),
        "agreement": agreement,
        "held_out": {"pairs": len(judged.pairs), "heads": len({normal(head) for head, _ in judged.pairs})},
        "reference": {"triples": len(judged.reference), "heads": len({t.fact[0] for t in judged.reference})},
        "arms": [_arm(graph, student, judged, seed) for student in students],
        "teacher": _teacher(judged, seed),
        "differences": [asdict(one) | {"shown": one.shown} for one in _differences(labels, judged, by, seed)],
        "skew": _skew(graph, judged, "filtered" if "filtered" in labels else labels[0], by),
        "notes": [*graph.notes, *_notes(graph, agreement), *_curve(students)],
    }


def _arm(graph: Graph, student: Trained, judged: Judged, seed: int) -> dict[str, Any]:
    rows = judged.completed[student.label]
    known = {label.triple.fact: label.good for label in graph.labels if label.triple}
    named = [known[fact] for row in rows if (fact := Triple(row.head, row.relation, row.tail).fact) in known]
    heads = [normal(row.head) for row in rows]
    compared = [row for row in rows if row.references]
    beside = [normal(row.head) for row in compared]
    found: dict[str, Any] = {"label": student.label, **{name: student.card.get(name) for name in _CARD}}
    found |= {
        "accepted": {name: _share([row.accepted[name] for row in rows], heads) for name in judged.judges},
        "labelled": {"n": len(named), "good": sum(named)},
        "silent": sum(not row.tail for row in rows),
        **variety([row.tail for row in rows if row.tail]),
        "rouge_l": _mean([row.rouge_l for row in compared], beside, seed),
        "exact": _share([row.exact for row in compared], beside),
        "loss": None,
    }
    if losses := judged.losses.get(student.label):
        found["loss"] = _mean(losses, [t.fact[0] for t in judged.reference], seed)
    return found


def _teacher(judged: Judged, seed: int) -> dict[str, Any]:
    """The teacher's own tails for the same heads and relations, where it was asked for them."""
    rows = [row for row in judged.completed[TEACHER] if row.tail]
    compared = [row for row in rows if row.references]
    return {
        "pairs": len(rows),
        "accepted": {
            name: _share([row.accepted[name] for row in rows], [normal(row.head) for row in rows])
            for name in judged.judges
        },
        **variety([row.tail for row in rows]),
        "rouge_l": _mean([row.rouge_l for row in compared], [normal(row.head) for row in compared], seed),
        "exact": _share([row.exact for row in compared], [normal(row.head) for row in compared]),
    }


def _differences(labels: Sequence[str], judged: Judged, by: str, seed: int) -> list[Difference]:
    """Filtered triples against as many at random, which tells the critic's effect from that of fewer triples, against
    as many of each relation, which tells it from that of choosing relations, against all of them, and against parts of
    them."""
    pairs = [("filtered", other) for other in ("random", "matched", "all")]
    pairs += [("filtered", label) for label in labels if label.startswith("filtered-")]
    rows = {label: judged.completed[label] for label in labels}
    heads = [normal(head) for head, _ in judged.pairs]
    said = {label: [float(row.accepted[by]) for row in found] for label, found in rows.items()}
    found = differences(f"accepted by the {by}", said, heads, pairs, seed)
    if judged.reference:
        compared = [place for place, row in enumerate(rows[labels[0]]) if row.references]
        overlap = {label: [one[place].rouge_l for place in compared] for label, one in rows.items()}
        found += differences("ROUGE-L", overlap, [heads[place] for place in compared], pairs, seed)
        about = [t.fact[0] for t in judged.reference]
        found += differences("loss on the reference", judged.losses, about, pairs, seed)
    return together(found)


def _skew(graph: Graph, judged: Judged, label: str, by: str) -> dict[str, Any]:
    """How relations and verdicts are spread in what the teacher wrote, in what passed and in what a student writes.

    All three are about the heads and relations that students were asked about and the teacher wrote about too, with one
    tail each; where nothing passed there is none, and a student that is silent there is not accepted.
    """
    places = [place for place, row in enumerate(judged.completed[TEACHER]) if row.tail]
    passed: dict[Pair, Triple] = {}
    for triple in graph.accepted:
        passed.setdefault((normal(triple.head), triple.relation), triple)
    asked = [(normal(judged.pairs[place][0]), judged.pairs[place][1]) for place in places]
    kept = [passed[pair] for pair in asked if pair in passed]
    judge = (graph.judge if by == "judge" and graph.judge else graph.critic).critic
    verdicts = judge.accepts([text_of(triple, graph.schema) for triple in kept])
    said = {
        "teacher": [(row.relation, row.accepted[by]) for row in (judged.completed[TEACHER][at] for at in places)],
        "graph": [(t.relation, bool(good)) for t, good in zip(kept, verdicts, strict=True)],
        "student": [(row.relation, row.accepted[by]) for row in (judged.completed[label][at] for at in places)],
    }
    spread = {name: shares_by([relation for relation, good in rows if good]) for name, rows in said.items()}
    good = {name: _good_by(rows) for name, rows in said.items()}
    relations = sorted({relation for _, relation in asked}, key=list(graph.schema.relations).index)
    return {
        "student": label,
        "pairs": len(places),
        "relations": [
            {
                "relation": relation,
                **{f"share_{name}": spread[name].get(relation, 0.0) for name in spread},
                **{f"good_{name}": good[name].get(relation) for name in good},
            }
            for relation in relations
        ],
        "teacher_to_graph": distance(spread["teacher"], spread["graph"]),
        "graph_to_student": distance(spread["graph"], spread["student"]),
        "teacher_to_student": distance(spread["teacher"], spread["student"]),
    }


def _good_by(verdicts: Sequence[tuple[str, bool]]) -> dict[str, float]:
    total = Counter(relation for relation, _ in verdicts)
    good = Counter(relation for relation, verdict in verdicts if verdict)
    return {relation: good[relation] / count for relation, count in total.items()}


def _circular(graph: Graph) -> str:
    """Why the verdicts on students are no independent ones, or nothing."""
    if graph.judge is None:
        return (
            "The critic that chose the triples also judges what students write, which is circular: the share it "
            "accepts flatters the student of the filtered triples. `direct.judge` names a second one."
        )
    own, other = graph.critic.critic.features, graph.judge.critic.features
    found = []
    if own == other:
        found.append(f"the same features (`{own}`)")
    elif {own, other} <= set(OF_STUDENTS):
        found.append(f"features of the same model (`{own}`, `{other}`)")
    if shared := len(_facts(graph.critic_labels) & _facts(graph.judge_labels)):
        found.append(f"{shared:,} labels in common")
    if not found:
        return ""
    return (
        f"Critic and judge have {' and '.join(found)}, so that what chose the triples nearly judges the students too, "
        "which is circular: it flatters the student of the filtered triples. What a reference says does not depend on "
        "it."
    )


def _agreement(graph: Graph, seed: int) -> dict[str, Any] | None:
    """How far critic and judge agree on triples that neither has a label of, or nothing."""
    known = _facts(graph.critic_labels) | _facts(graph.judge_labels)
    texts = [text_of(t, graph.schema) for t in graph.triples if t.fact not in known]
    if graph.judge is None or not texts:
        return None
    verdicts = [[bool(said) for said in one.critic.accepts(texts)] for one in (graph.critic, graph.judge)]
    return asdict(cohen_kappa(verdicts[0], verdicts[1], seed=seed))


def _facts(labels: Sequence[Labelled]) -> set[tuple[str, str, str]]:
    return {label.triple.fact for label in labels if label.triple}


def _notes(graph: Graph, agreement: Mapping[str, Any] | None) -> list[str]:
    found = [why] if (why := _circular(graph)) else []
    if agreement is not None and agreement["kappa"] is not None:
        found.append(
            f"Critic and judge agree on {100 * agreement['observed']:.1f}% of {agreement['n']:,} triples that neither "
            f"has a label of (Cohen's kappa {agreement['kappa']:.2f})."
        )
    if graph.rejected:
        found.append(
            f"{len(graph.rejected):,} triples are wrong by the labels or by reviewers: none of them "
            "passes, whatever the critic thinks."
        )
    labelled, written = _facts(graph.labels), {t.fact for t in graph.written}
    if len(labelled & written) < len(labelled):
        others = "none" if not labelled & written else f"only {len(labelled & written):,}"
        found.append(
            f"Of {len(labelled):,} labels {others} are about triples that the teacher wrote: the share of good ones "
            "before and after the critic is that of the label file, not that of the graph."
        )
    if graph.reviewed is None:
        found.append(
            "Nobody has judged triples of the graph that were drawn at random, which would say how good the teacher's "
            "triples are before and after the critic: `symdistill triples review RUN --audit 1` shows some."
        )
    for name, critic in (("critic", graph.critic), ("judge", graph.judge)):
        found += [f"The {name}: {note}" for note in critic.report["notes"]] if critic else []
    return found


def _curve(students: Sequence[Trained]) -> list[str]:
    """What the learning curve confounds, where the students of more and of fewer triples took as many steps."""
    sized = [s for s in students if s.label.startswith("filtered")]
    if len(sized) < 2 or len({s.card.get("steps") for s in sized}) > 1:
        return []
    shown = ", ".join(f"{s.label} {s.card['epochs']:.3g}" for s in sized if s.card.get("epochs") is not None)
    return [
        "All students took the same number of steps, so fewer triples were seen more often (epochs: "
        f"{shown}): the curve is one of repetition as much as of size. With `training.num_train_epochs` in place of "
        "`max_steps` each triple is seen as often, and fewer triples mean fewer steps."
    ]


def _mean(values: Sequence[float], heads: Sequence[str], seed: int) -> dict[str, Any] | None:
    found: Mean | None = mean_of(values, heads, seed)
    return asdict(found) if found else None


def _share(verdicts: Sequence[bool], heads: Sequence[str]) -> dict[str, Any] | None:
    found = share_mean(verdicts, heads)
    return asdict(found) if found else None


def rows_to_show(completed: Mapping[str, Sequence[Completed]], most: int) -> list[dict[str, Any]]:
    """Some heads and relations with what everybody wrote, evenly spread."""
    count = len(next(iter(completed.values()), ()))
    places = sorted({round(step * (count - 1) / max(most - 1, 1)) for step in range(min(most, count))})
    return [
        {
            "head": completed[TEACHER][place].head,
            "relation": completed[TEACHER][place].relation,
            "references": list(completed[TEACHER][place].references)[:3],
            "tails": [(label, rows[place].tail, dict(rows[place].accepted)) for label, rows in completed.items()],
        }
        for place in places
    ]
