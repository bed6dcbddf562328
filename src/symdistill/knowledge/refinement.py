"""Putting a knowledge base in order: duplicates merged, leaks and copies marked, contradictions put before a person.

`refine` proposes changes and makes none: the store applies them in one transaction, each as a new version, so every
one can be taken back. Running it again on the outcome proposes nothing. A finding already marked on an item is one a
person has seen: an item that was set back to `active` with the flag left on it stays there.

- *Duplicates*: items of one kind and task, neither retired, that differ in their wording alone (`wording.content`), or
  that say in other words what has, by embeddings where these are given, a cosine of `near_cosine` or more. They are
  never merged across a negation, a number, a unit, an opposite or a symbol (`polarity.guard`), however alike. The best
  one survives with the provenance of all; each merges with the survivor itself, so no chain of small differences joins
  what is far apart. What says the same as an item that is retired goes to `review`: somebody took that out of use.
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

from symdistill.knowledge.base import Change
from symdistill.knowledge.dense import Embed
from symdistill.knowledge.items import Flag, KnowledgeItem, Provenance
from symdistill.knowledge.leaks import copies_question, leaks_answer
from symdistill.knowledge.polarity import Statement, guard, statements
from symdistill.knowledge.wording import content, in_other_words
from symdistill.records import Example

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
    near_cosine: float = NEAR_COSINE,
    max_words: int = MAX_WORDS,
    embed: Embed | None = None,
) -> list[Change]:
    """The changes that put `items` (latest versions) in order, at most one an item, sorted by id.

    `gold` maps the ids of the questions items came from to the questions; where one is not at hand, its flags stay.
    `embed` (see `knowledge.dense.sentence_embedder`) finds duplicates in other words as well. The outcome does
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
    _send_twins_of_retired(drafts, [item for item in items if item.status == "retired" and "merged" not in item.flags])
    for block in blocks.values():
        _merge(block, near_cosine, embed)
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


def _send_twins_of_retired(drafts: Iterable[_Draft], retired: Iterable[KnowledgeItem]) -> None:
    """Send to review what says the same as an item that was taken out of use."""
    known = {_said(item): item.id for item in sorted(retired, key=lambda item: item.id, reverse=True)}
    for draft in drafts:
        twin = known.get(_said(draft.item))
        if twin and "retired_twin" not in draft.flags and content(draft.item.text):
            draft.flags.add("retired_twin")
            draft.status = "review"
            draft.notes.append(f"says the same as {twin}, which is retired")


def _said(item: KnowledgeItem) -> tuple[object, ...]:
    return (item.kind, item.task, guard(item.text), content(item.text))


def _merge(drafts: Sequence[_Draft], near_cosine: float, embed: Embed | None) -> None:
    """Retire what says the same as a better item of `drafts`, best first, and hand its provenance on."""
    groups: defaultdict[tuple[str, ...], dict[tuple[str, ...], _Draft]] = defaultdict(dict)
    for draft in drafts:
        said = content(draft.item.text)
        if not said or "merged" in draft.flags:  # nothing to compare, or a person has taken that merge back
            continue
        better = groups[guard(draft.item.text)].setdefault(said, draft)
        if better is not draft:
            _retire(draft, better, "the same but for its wording")
    several = [group for group in groups.values() if len(group) > 1]
    if embed is None or not several:
        return
    vectors = embed([draft.item.text for group in several for draft in group.values()])
    begin = 0
    for group in several:
        _merge_other_words(group, vectors[begin : begin + len(group)], near_cosine)
        begin += len(group)


def _merge_other_words(
    group: Mapping[tuple[str, ...], _Draft], vectors: NDArray[np.float32], near_cosine: float
) -> None:
    """Retire what a better item of the group says in other words; `vectors` are the embeddings of the group's items."""
    contents, drafts = list(group), list(group.values())
    kept: list[int] = []
    for position, draft in enumerate(drafts):
        cosines = vectors[kept] @ vectors[position]
        for at in np.argsort(-cosines, kind="stable"):
            if cosines[at] < near_cosine:
                break
            if in_other_words(contents[kept[at]], contents[position]):
                _retire(draft, drafts[kept[at]], f"{cosines[at]:.2f} similar")
                break
        if draft.status != "retired":
            kept.append(position)


def _retire(draft: _Draft, survivor: _Draft, why: str) -> None:
    draft.status = "retired"
    draft.flags.add("merged")
    draft.notes.append(f"merged into {survivor.item.id} ({why})")
    survivor.taken_in.append(draft.item.id)
    survivor.provenance |= draft.provenance


def _mark_faults(draft: _Draft, gold: Mapping[str, Example], max_words: int) -> None:
    text = draft.item.text
    sources = {(p.example_id, p.question) for p in draft.provenance}
    known = {source for source in sources if at_hand(gold, *source)}
    sources_at_hand = [gold[source] for source in sorted({source for source, _ in known})]
    questions = [example.question for example in sources_at_hand] + [question for _, question in sources - known]
    found: dict[Flag, str] = {}
    leaked = [example.id for example in sources_at_hand if leaks_answer(text, example)]
    if leaked:
        found["leaks_answer"] = f"states the answer of {_list_of(leaked)}"
    if any(copies_question(text, question) for question in questions):
        found["copies_question"] = "copies its question"
    if (length := len(text.split())) > max_words:
        found["too_long"] = f"{length} words, at most {max_words} wanted"
    unknown = len(known) < len(sources)
    for flag in ("leaks_answer", "copies_question", "too_long"):
        if flag in found and flag not in draft.flags:
            draft.flags.add(flag)
            draft.notes.append(found[flag])
        elif flag not in found and flag in draft.flags and not (unknown and flag == "leaks_answer"):
            draft.flags.discard(flag)
            draft.notes.append(f"no longer {flag}")


def at_hand(gold: Mapping[str, Example], example_id: str, question: str) -> bool:
    """Is the question with that id and text among those given? One id may stand for other questions in another file."""
    found = gold.get(example_id)
    return found is not None and question.strip() in ("", found.question.strip())


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
