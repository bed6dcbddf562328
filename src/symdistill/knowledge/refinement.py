"""Putting a knowledge base in order: duplicates merged, leaks and copies marked, contradictions put before a person.

`refine` proposes changes and makes none: the store applies them in one transaction, each as a new version, so every
one can be taken back. Running it again on the outcome proposes nothing. A finding already marked on an item is one a
person has seen: an item that was set back to `active` with the flag left on it stays there.

- *Duplicates*: items of one kind and task, neither retired, whose word 3-grams have a Jaccard similarity of `near` or
  more, or whose embeddings, where given, a cosine of `near_cosine`. They are never merged across a negation, a number,
  a unit, an opposite or a symbol (`polarity.guard`), however alike. The best one survives with the provenance of all;
  each merges with the survivor itself, so no chain of small differences joins what is far apart.
- *Leaks and copies*: against the questions an item came from (`leaks`). Flagged; retrieval passes such an item over
  for these questions.
- *Length*: more than `max_words` words.
- *Contradictions*: sentences of two items of a task with the same topic and condition, and opposite polarity or one
  different number. Both items go to `review`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.embeddings import Embed
from symdistill.curation.words import ngrams, words
from symdistill.knowledge.base import Change
from symdistill.knowledge.items import Flag, KnowledgeItem, Provenance
from symdistill.knowledge.leaks import copies_question, leaks_answer
from symdistill.knowledge.near import NearIndex
from symdistill.knowledge.polarity import Statement, guard, sentences, statements
from symdistill.records import Example

NEAR = 0.8
NEAR_COSINE = 0.92
MAX_WORDS = 200

_FLAGS: tuple[Flag, ...] = get_args(Flag)
_FAULTS = frozenset({"leaks_answer", "copies_question", "too_long", "truncated"})
_VARIANTS = 4
"""A sentence that comes in more numbers than this is about many questions, not one fact."""
_LONGEST_TOPIC = 12
_QUOTED = 100
_NAMED = 3
"""Items a note names at most."""


@dataclass(slots=True)
class _Draft:
    """What will become of an item."""

    item: KnowledgeItem
    flags: set[Flag]
    status: str
    provenance: dict[Provenance, None]
    taken_in: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def change(self) -> Change | None:
        changes: dict[str, object] = {}
        flags = tuple(flag for flag in _FLAGS if flag in self.flags)
        if set(flags) != set(self.item.flags):
            changes["flags"] = flags
        if self.status != self.item.status:
            changes["status"] = self.status
        if self.taken_in:
            changes["provenance"] = tuple(self.provenance)
            self.notes.insert(0, f"took in {_list_of(self.taken_in)}")
        return Change(self.item.id, self.item.version, changes, "; ".join(self.notes)) if changes else None


def refine(
    items: Sequence[KnowledgeItem],
    gold: Mapping[str, Example],
    *,
    near: float = NEAR,
    near_cosine: float = NEAR_COSINE,
    max_words: int = MAX_WORDS,
    embed: Embed | None = None,
) -> list[Change]:
    """The changes that put `items` (latest versions) in order, at most one an item, sorted by id.

    `gold` maps the ids of the questions items came from to the questions; where one is not at hand, its flags stay.
    `embed` (see `curation.embeddings.sentence_transformer`) finds duplicates in other words as well. The outcome does
    not depend on the order of `items`.
    """
    drafts = [
        _Draft(item, set(item.flags), item.status, dict.fromkeys(item.provenance))
        for item in sorted(items, key=_standing)
        if item.status != "retired"
    ]
    blocks: defaultdict[tuple[str, str], list[_Draft]] = defaultdict(list)
    for draft in drafts:
        blocks[draft.item.kind, draft.item.task].append(draft)
    for block in blocks.values():
        _merge(block, near, near_cosine, embed)
    kept = [draft for draft in drafts if draft.status != "retired"]
    for draft in kept:
        _mark_faults(draft, gold, max_words)
    _mark_contradictions(kept)
    changes = [change for draft in drafts if (change := draft.change()) is not None]
    return sorted(changes, key=lambda change: change.item_id)


def _standing(item: KnowledgeItem) -> tuple[object, ...]:
    """Which of several duplicates survives: active, of fewer faults, of more versions (someone worked on it), from more
    questions; then by id."""
    faults = len(_FAULTS.intersection(item.flags))
    return (item.status != "active", faults, -item.version, -len(item.sources), item.id)


def _merge(drafts: Sequence[_Draft], near: float, near_cosine: float, embed: Embed | None) -> None:
    """Retire what says the same as a better item of `drafts`, best first, and hand its provenance on."""
    alike: defaultdict[tuple[str, ...], list[_Draft]] = defaultdict(list)
    for draft in drafts:
        if "merged" not in draft.flags:  # a person has taken that merge back
            alike[guard(draft.item.text)].append(draft)
    groups = [group for group in alike.values() if len(group) > 1]
    if embed is None or not groups:
        for group in groups:
            _merge_alike(group, near)
        return
    vectors = embed([draft.item.text for group in groups for draft in group])
    begin = 0
    for group in groups:
        _merge_alike(group, near, vectors[begin : begin + len(group)], near_cosine)
        begin += len(group)


def _merge_alike(
    group: Sequence[_Draft], near: float, vectors: NDArray[np.float64] | None = None, near_cosine: float = 1.0
) -> None:
    index = NearIndex([_grams(draft.item.text) for draft in group], near)
    kept: list[int] = []
    kept_vectors = None if vectors is None else np.empty_like(vectors)
    for position, draft in enumerate(group):
        found = index.nearest(position)
        if found is None and vectors is not None and kept_vectors is not None and kept:
            cosines = kept_vectors[: len(kept)] @ vectors[position]
            best = int(cosines.argmax())
            if cosines[best] >= near_cosine:
                found = kept[best], float(cosines[best])
        if found is not None:
            _retire(draft, group[found[0]], found[1])
            continue
        index.keep(position)
        if vectors is not None and kept_vectors is not None:
            kept_vectors[len(kept)] = vectors[position]
        kept.append(position)


def _grams(text: str) -> frozenset[tuple[str, ...]]:
    """Word 3-grams, with two blanks at either end: so the first and the last word weigh as much as any other."""
    plain = [word for sentence in sentences(text) for word in words(sentence)]
    return frozenset(ngrams(["", "", *plain, "", ""], 3)) if plain else frozenset()


def _retire(draft: _Draft, survivor: _Draft, similarity: float) -> None:
    draft.status = "retired"
    draft.flags.add("merged")
    draft.notes.append(f"merged into {survivor.item.id} ({similarity:.2f} similar)")
    survivor.taken_in.append(draft.item.id)
    survivor.provenance |= draft.provenance


def _mark_faults(draft: _Draft, gold: Mapping[str, Example], max_words: int) -> None:
    text = draft.item.text
    sources = sorted({p.example_id for p in draft.provenance})
    at_hand = [gold[source] for source in sources if source in gold]
    questions = [example.question for example in at_hand]
    questions += [p.question for p in draft.provenance if p.example_id not in gold]
    found: dict[Flag, str] = {}
    leaked = [example.id for example in at_hand if leaks_answer(text, example)]
    if leaked:
        found["leaks_answer"] = f"states the answer of {_list_of(leaked)}"
    if any(copies_question(text, question) for question in questions):
        found["copies_question"] = "copies its question"
    if (length := len(text.split())) > max_words:
        found["too_long"] = f"{length} words, at most {max_words} wanted"
    unknown = len(at_hand) < len(sources)
    for flag in ("leaks_answer", "copies_question", "too_long"):
        if flag in found and flag not in draft.flags:
            draft.flags.add(flag)
            draft.notes.append(found[flag])
        elif flag not in found and flag in draft.flags and not (unknown and flag == "leaks_answer"):
            draft.flags.discard(flag)
            draft.notes.append(f"no longer {flag}")


class _Claim(NamedTuple):
    draft: _Draft
    statement: Statement


_Pair = tuple[_Claim, _Claim]


def _mark_contradictions(drafts: Iterable[_Draft]) -> None:
    """Send both items of every contradictory pair to review. Linear in the sentences: topics are looked up."""
    topics: defaultdict[tuple[str, tuple[str, ...], frozenset[str]], list[_Claim]] = defaultdict(list)
    for draft in drafts:
        for statement in statements(draft.item.text):
            if not statement.example:
                topics[draft.item.task, statement.condition, statement.topic].append(_Claim(draft, statement))
    pairs: list[_Pair] = []
    for (task, condition, topic), claims in topics.items():
        pairs += _differing_numbers(claims)
        pairs += _opposed(claims, claims)
        wider = [claim for claim in claims if not claim.statement.late]
        for fewer in _narrower(topic) if wider else ():
            pairs += _opposed(wider, topics.get((task, condition, fewer), ()))
    against: defaultdict[str, dict[str, _Pair]] = defaultdict(dict)
    for own, other in pairs:
        against[own.draft.item.id].setdefault(other.draft.item.id, (own, other))
        against[other.draft.item.id].setdefault(own.draft.item.id, (other, own))
    for found in against.values():
        _send_to_review(found)


def _narrower(topic: frozenset[str]) -> Iterator[frozenset[str]]:
    """The topic with a content word or two less, as long as enough of them stay to be one topic."""
    plain = [word for word in topic if word[0] != "±"]
    for less, at_least in ((1, 3), (2, 5)):
        if at_least + less <= len(plain) <= _LONGEST_TOPIC:
            for left_out in combinations(plain, less):
                yield topic.difference(left_out)


def _opposed(claims: Sequence[_Claim], others: Sequence[_Claim]) -> Iterator[_Pair]:
    """Claims of one sign with the same numbers against the first of the other sign, from either side."""
    if not claims or not others:
        return
    for some, rest in ((claims, others), (others, claims)):
        first: dict[tuple[bool, tuple[str, ...]], list[_Claim]] = defaultdict(list)
        for claim in rest:
            first[claim.statement.negative, claim.statement.numbers].append(claim)
        for claim in some:
            other = _of_another_item(claim, first.get((not claim.statement.negative, claim.statement.numbers), ()))
            if other:
                yield claim, other
        if claims is others:
            return


def _differing_numbers(claims: Sequence[_Claim]) -> Iterator[_Pair]:
    """Claims of one topic and sign that differ in exactly one number, where these come in few variants."""
    variants: defaultdict[tuple[bool, int], defaultdict[tuple[str, ...], list[_Claim]]]
    variants = defaultdict(lambda: defaultdict(list))
    for claim in claims:
        if claim.statement.numbers:
            variants[claim.statement.negative, len(claim.statement.numbers)][claim.statement.numbers].append(claim)
    for by_numbers in variants.values():
        if len(by_numbers) > _VARIANTS:
            continue
        for one, other in combinations(sorted(by_numbers), 2):
            if sum(a != b for a, b in zip(one, other, strict=True)) == 1:
                for some, rest in ((one, other), (other, one)):
                    for claim in by_numbers[some]:
                        opposite = _of_another_item(claim, by_numbers[rest])
                        if opposite:
                            yield claim, opposite


def _of_another_item(claim: _Claim, others: Sequence[_Claim]) -> _Claim | None:
    return next((other for other in others if other.draft is not claim.draft), None)


def _send_to_review(found: Mapping[str, _Pair]) -> None:
    draft = next(iter(found.values()))[0].draft
    if "contradiction" in draft.flags:
        return
    draft.flags.add("contradiction")
    draft.status = "review"
    for other_id in sorted(found)[:_NAMED]:
        own, other = (_clipped(claim.statement.text) for claim in found[other_id])
        draft.notes.append(f"contradicts {other_id}: {own!r} against {other!r}")
    if len(found) > _NAMED:
        draft.notes.append(f"contradicts {len(found) - _NAMED} more")


def _list_of(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(ids[:_NAMED]) + more


def _clipped(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
