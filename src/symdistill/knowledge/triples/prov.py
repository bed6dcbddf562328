"""Provenance in the words of W3C PROV-O: where batches came from, and what reviewers decided. Needs pyoxigraph.

    batch:b1     a prov:Entity ; prov:wasGeneratedBy activity:b1 .
    activity:b1  a prov:Activity ; sd:origin "teacher" ; prov:wasAssociatedWith model:… ; prov:used prompt:…, file:… ;
                 prov:wasInformedBy run:… ; prov:endedAtTime "…"^^xsd:dateTime .

A whole export (`provenance`) also says of every triple which batch and source it comes from, and of every decision who
made it when; a triple that stands as rejected is `prov:wasInvalidatedBy` the last decision of each who rejects it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import cast, get_args

from symdistill.errors import DataError
from symdistill.knowledge.triples.normalise import local_name, text_of_name
from symdistill.knowledge.triples.oxigraph import ox
from symdistill.knowledge.triples.rdf import BASE, DERIVED, PREFIXES, PROV, TYPE, XSD, Term, iri, statement
from symdistill.knowledge.triples.records import Batch, Origin, Triple
from symdistill.knowledge.triples.review import Decision, latest, standings

ENTITY, ACTIVITY, SOFTWARE, PERSON, PLAN = (
    ox.NamedNode(PROV + name) for name in ("Entity", "Activity", "SoftwareAgent", "Person", "Plan")
)
GENERATED, ASSOCIATED, USED, INFORMED, ENDED, INVALIDATED = (
    ox.NamedNode(PROV + name)
    for name in ("wasGeneratedBy", "wasAssociatedWith", "used", "wasInformedBy", "endedAtTime", "wasInvalidatedBy")
)
ORIGIN, VERDICT, NOTE, SLICE = (ox.NamedNode(PREFIXES["sd"] + n) for n in ("origin", "verdict", "note", "slice"))
_TIME = ox.NamedNode(XSD + "dateTime")


def batch_quads(batch: Batch) -> Iterator[ox.Quad]:
    """A batch, the activity that made it, and what took part in it; in the default graph."""
    entity, activity = iri("batch", batch.id), iri("activity", batch.id)
    yield ox.Quad(entity, TYPE, ENTITY)
    yield ox.Quad(entity, GENERATED, activity)
    yield ox.Quad(activity, TYPE, ACTIVITY)
    yield ox.Quad(activity, ORIGIN, ox.Literal(batch.origin))
    for kind, name, role, of_type in (
        ("model", batch.model, ASSOCIATED, SOFTWARE),
        ("prompt", batch.prompt, USED, PLAN),
        ("file", batch.used, USED, ENTITY),
        ("run", batch.run, INFORMED, ACTIVITY),
    ):
        if name:
            yield ox.Quad(activity, role, _resource(kind, name))
            yield ox.Quad(_resource(kind, name), TYPE, of_type)
    if batch.at:
        yield ox.Quad(activity, ENDED, ox.Literal(batch.at, datatype=_TIME))


def batches_of(quads: Iterable[ox.Quad], place: str) -> list[Batch]:
    """The batches that quads describe, by id. Raises DataError for an origin that is none."""
    generated: dict[ox.NamedNode, ox.NamedNode] = {}
    facts: defaultdict[Term, defaultdict[ox.NamedNode, list[Term]]] = defaultdict(lambda: defaultdict(list))
    for quad in quads:
        if quad.predicate == GENERATED and isinstance(quad.object, ox.NamedNode):
            if isinstance(quad.subject, ox.NamedNode) and quad.subject.value.startswith(PREFIXES["batch"]):
                generated[quad.subject] = quad.object
        elif quad.predicate in (ORIGIN, ASSOCIATED, USED, INFORMED, ENDED):
            facts[quad.subject][quad.predicate].append(quad.object)
    found = []
    for entity, activity in generated.items():
        known = facts[activity]
        name = text_of_name(entity.value.removeprefix(PREFIXES["batch"]))
        origin = _value(known[ORIGIN]) or "import"
        if origin not in get_args(Origin):
            raise DataError(
                f"{place}: the batch {name!r} has the unknown origin {origin!r}.",
                f"Known: {', '.join(get_args(Origin))}.",
            )
        found.append(
            Batch(
                id=name,
                origin=cast(Origin, origin),
                model=_named("model", known[ASSOCIATED]),
                prompt=_named("prompt", known[USED]),
                used=_named("file", known[USED]),
                run=_named("run", known[INFORMED]),
                at=_value(known[ENDED]),
            )
        )
    return sorted(found, key=lambda batch: batch.id)


def provenance(
    triples: Iterable[Triple], batches: Iterable[Batch], decisions: Iterable[Decision]
) -> Iterator[ox.Triple]:
    """Everything that is known about where triples came from and who judged them."""
    for batch in batches:
        for quad in batch_quads(batch):
            yield quad.triple
    ids = set()
    for triple in triples:
        about = statement(triple)
        ids.add(triple.id)
        yield ox.Triple(about, TYPE, ENTITY)
        if triple.batch:
            yield ox.Triple(about, GENERATED, iri("activity", triple.batch))
        if triple.source:
            yield ox.Triple(about, DERIVED, iri("source", triple.source))
    made = list(decisions)
    standing, last = standings(made), latest(made)
    for number, decision in enumerate(made, 1):
        if decision.triple in ids:
            yield from _decision(decision, number)
            # A reject that its reviewer took back, or that others dispute, invalidates nothing.
            current = last[decision.triple][decision.reviewer] is decision
            if current and decision.verdict == "reject" and standing[decision.triple] == "rejected":
                yield ox.Triple(iri("triple", decision.triple), INVALIDATED, _review(number))


def _decision(decision: Decision, number: int) -> Iterator[ox.Triple]:
    about = iri("triple", decision.triple)
    review, person = _review(number), _resource("person", decision.reviewer)
    yield ox.Triple(review, TYPE, ACTIVITY)
    yield ox.Triple(review, USED, about)
    yield ox.Triple(review, ASSOCIATED, person)
    yield ox.Triple(person, TYPE, PERSON)
    yield ox.Triple(review, VERDICT, ox.Literal(decision.verdict))
    yield ox.Triple(review, SLICE, ox.Literal(decision.slice))
    if decision.at:
        yield ox.Triple(review, ENDED, ox.Literal(decision.at, datatype=_TIME))
    if decision.note:
        yield ox.Triple(review, NOTE, ox.Literal(decision.note))


def _review(number: int) -> ox.NamedNode:
    return _resource("review", str(number))


def _resource(kind: str, name: str) -> ox.NamedNode:
    return ox.NamedNode(f"{BASE}{kind}:{local_name(name)}")


def _value(terms: Sequence[Term]) -> str:
    return str(getattr(terms[0], "value", "")) if terms else ""


def _named(kind: str, terms: Iterable[Term]) -> str:
    start = f"{BASE}{kind}:"
    values = (str(getattr(term, "value", "")) for term in terms)
    return next((text_of_name(value.removeprefix(start)) for value in values if value.startswith(start)), "")
