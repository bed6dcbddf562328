"""Triples as RDF, and back. Imported on use: it needs pyoxigraph.

A triple is an edge between two nodes in the graph of its batch, and a statement about that edge in the same graph:

    GRAPH batch:b1 {
      node:personx_misses_the_last_train rel:xWant node:to_call_a_taxi .
      triple:t_1b2c… rdf:subject node:personx_misses_the_last_train ; rdf:predicate rel:xWant ;
        rdf:object node:to_call_a_taxi ;
        sd:headText "PersonX misses the last train" ; sd:tailText "to call a taxi" ;
        sd:confidence 0.9e0 ; prov:wasDerivedFrom source:r1_5d… .
    }

A node is named by the normal form of its texts, so triples that write it differently meet in it; what was written is
in `sd:headText` and `sd:tailText`. Every text becomes a literal or the percent-encoded end of an IRI: none can break
out of its place. Turtle knows no graphs, so there the statement carries its batch as `sd:batch`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from symdistill.errors import DataError
from symdistill.knowledge.triples.normalise import local_name, normal, phrase_name, phrase_of_name, text_of_name
from symdistill.knowledge.triples.oxigraph import ox
from symdistill.knowledge.triples.records import Triple

BASE = "urn:symdistill:"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
XSD = "http://www.w3.org/2001/XMLSchema#"
PROV = "http://www.w3.org/ns/prov#"
PREFIXES = {
    **{name: f"{BASE}{name}:" for name in ("node", "batch", "triple", "source", "activity")},
    "rel": f"{BASE}relation:",
    "sd": f"{BASE}term:",
    "rdf": RDF,
    "rdfs": RDFS,
    "xsd": XSD,
    "prov": PROV,
}
"""What queries and written files may abbreviate."""

Node = ox.NamedNode | ox.BlankNode
Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple

SUBJECT, PREDICATE, OBJECT, TYPE = (ox.NamedNode(RDF + name) for name in ("subject", "predicate", "object", "type"))
LABEL = ox.NamedNode(RDFS + "label")
HEAD_TEXT, TAIL_TEXT, CONFIDENCE, BATCH = (
    ox.NamedNode(PREFIXES["sd"] + name) for name in ("headText", "tailText", "confidence", "batch")
)
DERIVED = ox.NamedNode(PROV + "wasDerivedFrom")
DOUBLE = ox.NamedNode(XSD + "double")
_STATEMENT = {SUBJECT, PREDICATE, OBJECT, HEAD_TEXT, TAIL_TEXT, CONFIDENCE, BATCH, DERIVED}
_NO_RELATIONS = (RDF, RDFS, PROV, PREFIXES["sd"], "http://www.w3.org/2002/07/owl#")


@lru_cache(maxsize=4096)
def iri(kind: str, text: str) -> ox.NamedNode:
    """The IRI of a `kind` of `PREFIXES` for a text; no two texts share one."""
    return ox.NamedNode(PREFIXES[kind] + local_name(text))


def text_of(term: Term, kind: str) -> str:
    """The text an IRI was made of; of an IRI from elsewhere the whole of it."""
    value = _value(term)
    if not value.startswith(PREFIXES[kind]):
        return value
    read = phrase_of_name if kind == "node" else text_of_name
    return read(value.removeprefix(PREFIXES[kind]))


def node(text: str) -> ox.NamedNode:
    """The node a head or tail stands for."""
    return ox.NamedNode(PREFIXES["node"] + phrase_name(normal(text)))


def graph_of(batch: str) -> ox.NamedNode | ox.DefaultGraph:
    """The graph of a batch; triples without one are in the default graph."""
    return iri("batch", batch) if batch else ox.DefaultGraph()


def statement(triple: Triple) -> ox.NamedNode:
    """The resource that stands for the triple itself."""
    return iri("triple", triple.id)


def quads_of(triple: Triple) -> Iterator[ox.Quad]:
    """A triple as quads: the edge, and the statement about it."""
    graph, about = graph_of(triple.batch), statement(triple)
    head, relation, tail = node(triple.head), iri("rel", triple.relation), node(triple.tail)
    yield ox.Quad(head, relation, tail, graph)
    yield ox.Quad(about, SUBJECT, head, graph)
    yield ox.Quad(about, PREDICATE, relation, graph)
    yield ox.Quad(about, OBJECT, tail, graph)
    yield ox.Quad(about, HEAD_TEXT, ox.Literal(triple.head), graph)
    yield ox.Quad(about, TAIL_TEXT, ox.Literal(triple.tail), graph)
    if triple.confidence is not None:
        yield ox.Quad(about, CONFIDENCE, ox.Literal(repr(float(triple.confidence)), datatype=DOUBLE), graph)
    if triple.source:
        yield ox.Quad(about, DERIVED, iri("source", triple.source), graph)


def without_graphs(triples: Iterable[Triple]) -> Iterator[ox.Triple]:
    """Triples for a format without graphs: the statements name their batches."""
    for triple in triples:
        for quad in quads_of(triple):
            yield quad.triple
        if triple.batch:
            yield ox.Triple(statement(triple), BATCH, ox.Literal(triple.batch))


def triple_of(about: Node, facts: Mapping[ox.NamedNode, Term], graph: Term | ox.DefaultGraph, place: str) -> Triple:
    """The triple of a statement from its properties. Raises DataError where one is missing."""
    lacking = [p.value.removeprefix(RDF) for p in (SUBJECT, PREDICATE, OBJECT) if p not in facts]
    if lacking:
        raise DataError(f"{place}: the statement {about} has no rdf:{lacking[0]}.", "Write the file again.")
    try:
        confidence = number(facts[CONFIDENCE]) if CONFIDENCE in facts else None
    except ValueError:
        raise DataError(f"{place}: the confidence of {about} is no number.", "It is between 0 and 1.") from None
    named = "" if isinstance(graph, ox.DefaultGraph) else text_of(graph, "batch")
    return Triple(
        head=_value(facts[HEAD_TEXT]) if HEAD_TEXT in facts else text_of(facts[SUBJECT], "node"),
        relation=text_of(facts[PREDICATE], "rel"),
        tail=_value(facts[TAIL_TEXT]) if TAIL_TEXT in facts else text_of(facts[OBJECT], "node"),
        confidence=confidence,
        batch=named or (_value(facts[BATCH]) if BATCH in facts else ""),
        source=text_of(facts[DERIVED], "source") if DERIVED in facts else "",
    )


def number(term: Term) -> float:
    """The number a literal stands for. Raises ValueError."""
    return float(_value(term))


def triples_of(quads: Iterable[ox.Quad], place: str) -> list[Triple]:
    """The triples of a file: those its statements describe, and its other edges.

    An edge nobody describes, as other programs write them, is a triple as well; its texts are the `rdfs:label`s of its
    nodes, or the ends of their IRIs. Types, labels and provenance are no edges. Raises DataError.
    """
    described: defaultdict[tuple[Node, Node | ox.DefaultGraph], dict[ox.NamedNode, Term]] = defaultdict(dict)
    edges: dict[tuple[Node, ox.NamedNode, Term, Node | ox.DefaultGraph], None] = {}
    labels: dict[Term, str] = {}
    for quad in quads:
        subject = quad.subject
        if isinstance(subject, ox.Triple):
            raise DataError(f"{place}: a statement about a quoted triple.", "Write the triple plainly.")
        if quad.predicate in _STATEMENT:
            described[subject, quad.graph_name][quad.predicate] = quad.object
        elif quad.predicate == LABEL:
            labels.setdefault(subject, _value(quad.object))
        elif not quad.predicate.value.startswith(_NO_RELATIONS):
            edges[subject, quad.predicate, quad.object, quad.graph_name] = None
    found = []
    for (about, graph), facts in described.items():
        if facts.keys() <= {DERIVED}:  # provenance of something that is no triple
            continue
        found.append(triple_of(about, facts, graph, place))
        edges.pop((facts[SUBJECT], facts[PREDICATE], facts[OBJECT], graph), None)  # type: ignore[arg-type]
    reader = _label_reader(labels, place)
    for subject, predicate, value, graph in edges:
        batch = "" if isinstance(graph, ox.DefaultGraph) else text_of(graph, "batch")
        found.append(Triple(reader(subject), _relation_name(predicate), reader(value), batch=batch))
    return found


def _label_reader(labels: Mapping[Term, str], place: str) -> Callable[[Term], str]:
    def read(term: Term) -> str:
        if isinstance(term, ox.Literal):
            return term.value
        if term in labels:
            return labels[term]
        if isinstance(term, ox.NamedNode):
            known = text_of(term, "node")
            return known if known != term.value else phrase_of_name(_last_part(term.value))
        raise DataError(f"{place}: the blank node {term} has no rdfs:label.", "Give it one, or an IRI.")

    return read


def _relation_name(predicate: ox.NamedNode) -> str:
    known = text_of(predicate, "rel")
    return known if known != predicate.value else text_of_name(_last_part(predicate.value))


def _last_part(value: str) -> str:
    for mark in "#/:":
        if last := value.rpartition(mark)[2] if mark in value else "":
            return last
    return value


def _value(term: Term) -> str:
    return str(getattr(term, "value", term))
