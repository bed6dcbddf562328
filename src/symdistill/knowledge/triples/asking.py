"""What a teacher is asked so that it writes triples, and the triples its replies become.

Three kinds of requests: more heads like some; tails of a head in a relation; triples out of a text, such as a passage
or a rationale. Nothing here asks a model: requests go out, replies come in, and sampling stands between.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from symdistill import content
from symdistill.curation.words import words
from symdistill.errors import DataError
from symdistill.knowledge.polarity import stem
from symdistill.knowledge.triples.normalise import content_words, normal
from symdistill.knowledge.triples.parsing import Dropped, Form, parse_list, parse_triples
from symdistill.knowledge.triples.records import Batch, Triple
from symdistill.knowledge.triples.schema import Relation, Schema
from symdistill.prompts.triples import (
    TRIPLE_EXTRACTION,
    TRIPLE_HEADS,
    TRIPLE_TAILS,
    extraction_messages,
    head_messages,
    tail_messages,
)
from symdistill.records import Completion, Failure, Request, Sampling

SHOWN_HEADS = 6
"""Examples a teacher sees when it is asked for heads."""
SHOWN_TAILS = 3
"""Worked exchanges before a question for tails."""
_GROUNDED = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what it is about: a head and a relation, or a text (`source`, its id)."""

    request: Request
    head: str = ""
    relation: str = ""
    source: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one request: how many triples or heads came of it, and what of the reply did not.

    `outcome` is the form of the reply (see `parsing.Form`), "failed" where the call failed, "unanswered" where it was
    not made yet.
    """

    request_key: str
    about: str
    outcome: Form | str
    kept: int = 0
    dropped: tuple[Dropped, ...] = ()
    truncated: bool = False
    detail: str = ""


def count_outcomes(answered: Iterable[Answered]) -> dict[str, int]:
    """How many requests came to each outcome, most frequent first."""
    return dict(Counter(entry.outcome for entry in answered).most_common())


def count_dropped(answered: Iterable[Answered]) -> dict[str, int]:
    """How many phrases of replies were not taken, by reason, most frequent first."""
    return dict(Counter(reason for entry in answered for _, reason in entry.dropped).most_common())


# Heads


def head_requests(
    schema: Schema,
    model: str,
    sampling: Sampling,
    *,
    count: int,
    each: int = 10,
    seeds: Sequence[str] = (),
    kind: str | None = None,
) -> list[Request]:
    """Requests that bring `count` heads if each reply holds `each` new ones; they are about half as many again.

    Every request shows another draw of `seeds` (the schema's heads where none are given), by the sampling's seed.
    `kind` names the type of the heads; None: the one most relations begin at.

    Raises:
        DataError: there is no example of a head, or no such type.
    """
    examples = tuple(dict.fromkeys(seeds or schema.heads))
    if not examples:
        raise DataError(
            f"The schema `{schema.name}` names no `heads`, and none were given.", "Give a file with a few examples."
        )
    wanted = -(-3 * count // (2 * each))
    meaning = _meaning(schema, kind)
    found = []
    for number in range(wanted):
        drawing = random.Random(f"{sampling.seed}/{number}")
        shown = drawing.sample(examples, min(SHOWN_HEADS, len(examples)))
        messages = head_messages(meaning, shown, each)
        found.append(content.request(model, messages, sampling, number, f"heads {number + 1}"))
    return found


def heads_from(
    requests: Sequence[Request],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    known: Iterable[str] = (),
    schema: Schema | None = None,
    kind: str | None = None,
) -> tuple[list[str], list[Answered]]:
    """The new heads of the replies, each once, and what became of every request.

    A head that is among `known`, the examples included, is no new one. With a schema, what does not fit the type of
    its heads is left out.
    """
    seen = {normal(head) for head in known} | {normal(head) for head in (schema.heads if schema else ())}
    node_type = schema.types.get(_kind(schema, kind) or "") if schema else None
    heads, report = [], []
    for request in requests:
        completion = completions.get(request.key)
        if completion is None:
            report.append(_without_reply(request, (failures or {}).get(request.key), "heads"))
            continue
        reply = parse_list(completion.text, truncated=completion.finish_reason == "length")
        fresh, dropped = [], list(reply.dropped)
        for item in reply.items:
            if normal(item) in seen:
                dropped.append((item, "repeated"))
            elif node_type is not None and node_type.misfit(item):
                dropped.append((item, "wrong_type"))
            else:
                seen.add(normal(item))
                fresh.append(item)
        heads += fresh
        report.append(_entry(request, "heads", reply.form, len(fresh), dropped, reply.truncated))
    return heads, report


def _kind(schema: Schema, kind: str | None) -> str | None:
    """The type of heads: the one named, or the one most relations begin at."""
    if kind is not None:
        if kind not in schema.types:
            raise DataError(f"The schema `{schema.name}` has no type {kind!r}.", f"Known: {', '.join(schema.types)}.")
        return kind
    domains = Counter(r.domain for r in schema.relations.values() if r.domain is not None)
    return domains.most_common(1)[0][0] if domains else None


def _meaning(schema: Schema, kind: str | None) -> str:
    name = _kind(schema, kind)
    return schema.types[name].description or name if name else "situations and things"


# Tails


def relations_for(head: str, schema: Schema, relations: Sequence[str] = ()) -> list[Relation]:
    """The relations that may begin at a head, among those named or all. Raises DataError for an unknown one."""
    named = [schema.relation(name) for name in relations] if relations else list(schema.relations.values())
    return [r for r in named if r.domain is None or not schema.types[r.domain].misfit(head)]


def tail_requests(
    schema: Schema,
    heads: Iterable[str],
    model: str,
    sampling: Sampling,
    *,
    relations: Sequence[str] = (),
    tails: int = 5,
    samples: int = 1,
) -> list[Asked]:
    """Questions for `tails` tails of each head in each relation that may begin at it, `samples` times each.

    Relation by relation, since the questions of one share the beginning of their prompts.
    """
    given = list(dict.fromkeys(heads))
    fitting = [(head, relation) for head in given for relation in relations_for(head, schema, relations)]
    order = {name: number for number, name in enumerate(schema.relations)}
    found = []
    for head, relation in sorted(fitting, key=lambda pair: order[pair[1].id]):
        shown = [pair for pair in relation.examples if normal(pair[0]) != normal(head)][:SHOWN_TAILS]
        ask = relation.ask or f"{relation.description or relation.id}?"
        messages = tail_messages(ask, head, tails, shown)
        for request in content.samples(model, messages, sampling, range(samples), f"{relation.id} {head}"):
            found.append(Asked(request, head, relation.id))
    return found


def tails_from(
    asked: Sequence[Asked],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    schema: Schema,
    batch: Batch,
) -> tuple[list[Triple], list[Batch], list[Answered]]:
    """The triples of the replies, the batches they are in, and what became of every request.

    Each sample is a batch of its own (`batch.id-1`, `-2`, …): independent draws are what uniqueness is estimated from.
    """
    triples, report = [], []
    batches: dict[str, Batch] = {}
    for one in asked:
        relation = schema.relation(one.relation)
        completion = completions.get(one.request.key)
        about = f"{one.relation} {one.head}"
        if completion is None:
            report.append(_without_reply(one.request, (failures or {}).get(one.request.key), about))
            continue
        truncated = completion.finish_reason == "length"
        reply = parse_list(completion.text, truncated=truncated, head=one.head, relation=relation)
        place = replace(batch, id=f"{batch.id}-{one.request.sample_index + 1}")
        batches.setdefault(place.id, place)
        triples += [Triple(one.head, one.relation, item, None, place.id, one.request.key) for item in reply.items]
        report.append(_entry(one.request, about, reply.form, len(reply.items), reply.dropped, reply.truncated))
    return triples, list(batches.values()), report


# Triples out of texts


def extraction_requests(
    schema: Schema,
    texts: Mapping[str, str],
    model: str,
    sampling: Sampling,
    *,
    relations: Sequence[str] = (),
) -> list[Asked]:
    """One request for each text (by its id) to take out what it says in the relations named, or all."""
    named = [schema.relation(name) for name in relations] if relations else list(schema.relations.values())
    meanings = [(relation.id, relation.description or relation.ask or relation.verbalise) for relation in named]
    shown = _shown_extraction(named)
    return [
        Asked(
            content.request(model, extraction_messages(meanings, text, shown), sampling, 0, name),
            source=name,
            text=text,
        )
        for name, text in texts.items()
    ]


def extracted_from(
    asked: Sequence[Asked],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    schema: Schema,
    batch: Batch,
) -> tuple[list[Triple], list[Answered]]:
    """The triples of the replies, and what became of every request.

    A triple of whose head or tail less than half of the words stand in the text was not taken out of it.
    """
    triples, report = [], []
    for one in asked:
        completion = completions.get(one.request.key)
        if completion is None:
            report.append(_without_reply(one.request, (failures or {}).get(one.request.key), one.source))
            continue
        reply = parse_triples(completion.text, schema, truncated=completion.finish_reason == "length")
        there = {stem(word) for word in words(one.text)}
        dropped, kept = list(reply.dropped), 0
        for part in reply.parts:
            if _grounded(part.head, there) and _grounded(part.tail, there):
                source = one.request.key
                triples.append(Triple(part.head, part.relation, part.tail, part.confidence, batch.id, source))
                kept += 1
            else:
                dropped.append((f"{part.head} | {part.relation} | {part.tail}", "not_in_text"))
        report.append(_entry(one.request, one.source, reply.form, kept, dropped, reply.truncated))
    return triples, report


def _grounded(text: str, there: set[str]) -> bool:
    found = content_words(text)
    return sum(stem(word) in there for word in found) >= _GROUNDED * len(found)


def _shown_extraction(relations: Sequence[Relation]) -> tuple[str, list[tuple[str, str, str]]] | None:
    """A text made of the relations' own examples, and the triples in it."""
    facts = [(pair[0], relation, pair[1]) for relation in relations for pair in relation.examples[:1]][:SHOWN_TAILS]
    if not facts:
        return None
    text = " ".join(f"{relation.sentence(head, tail).rstrip('.')}." for head, relation, tail in facts)
    return text, [(head, relation.id, tail) for head, relation, tail in facts]


# What the batches are


def batch_for(kind: str, schema: Schema, model: str, sampling: Sampling, *, used: str = "") -> Batch:
    """The description of a batch of `kind` heads, tails or extraction.

    The same settings give the same id, whichever run asks.
    """
    prompt = {"heads": TRIPLE_HEADS, "tails": TRIPLE_TAILS, "extraction": TRIPLE_EXTRACTION}[kind]
    facts = [
        kind,
        schema.name,
        schema.version,
        model,
        prompt,
        content.sampling_values(sampling),
        used,
        "",
    ]  # the last once was a run
    return Batch(
        id=f"{kind}-{content.content_key('b1', facts)[3:11]}",
        origin="extraction" if kind == "extraction" else "teacher",
        model=model,
        prompt=prompt,
        used=used,
    )


def _without_reply(request: Request, failure: Failure | None, about: str) -> Answered:
    if failure is None:
        return Answered(request.key, about, "unanswered")
    return Answered(request.key, about, "failed", detail=f"{failure.kind}: {failure.message}")


def _entry(
    request: Request, about: str, form: Form, kept: int, dropped: Iterable[Dropped], truncated: bool
) -> Answered:
    return Answered(request.key, about, form, kept, tuple(dropped), truncated)
