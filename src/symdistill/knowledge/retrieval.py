"""Which knowledge items stand before a question.

Every kind is a base of its own with its own statistics, and gives its `top_k` best (NesyCD keeps a base of summaries
and one of supplementary knowledge and takes k of each). An item is found by its *entries*: one for each question it
came from, with the item's task and text (`RetrievalSettings.keys`), and its score is that of its best entry. So a
question never finds an item by way of itself: the entries made from it are passed over, and an item with no other
source is not found at all (leave one out). A question is known by its text: ids are those of one file, and question 7
of a test file is not question 7 of the training file. A training question is known by its task and id as well, so that
a mended typo does not hide where an item came from; and so is every source that says no text.

- `bm25`: see `live_bm25`; an item that shares no word with the query is not found. The words of entries that are
  passed over still count in the statistics.
- `dense`: cosine similarity of sentence embeddings; every item has one.
- `hybrid`: the sum over both rankings of 1 / (60 + rank), rank from 1, among the 100 best of each (reciprocal-rank
  fusion, Cormack et al. 2009, with their constant).

Of equal scores the lower id comes first. After `update` the outcome is that of a retriever built afresh.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.words import squeezed
from symdistill.knowledge.dense import DenseIndex, Embed, sentence_embedder
from symdistill.knowledge.items import LEAKING, Kind, KnowledgeItem, Provenance
from symdistill.knowledge.live_bm25 import LiveBm25
from symdistill.knowledge.settings import RetrievalSettings
from symdistill.prompts import question_text
from symdistill.records import Example

FUSION_CONSTANT = 60
FUSION_DEPTH = 100
_WASTE = 256
"""Entries of items that were changed or retired may stay in the indexes until there are so many, and more than live."""

Scores = NDArray[np.float64]


class Retriever:
    """Items that can be searched. Safe to share between threads."""

    def __init__(
        self,
        items: Iterable[KnowledgeItem],
        settings: RetrievalSettings | None = None,
        *,
        embed: Embed | None = None,
    ) -> None:
        """`embed` takes the place of `settings.embedding_model`.

        Raises:
            ConfigError, PrerequisiteError: as `dense.sentence_embedder`, where embeddings are asked for.
        """
        self.settings = settings or RetrievalSettings()
        encoder = self.settings.embedding_model
        self._embed = None
        if self.settings.method != "bm25":
            self._embed = sentence_embedder(encoder) if embed is None and encoder else embed
        self._bases = {kind: _Base(self.settings, self._embed) for kind in self.settings.kinds}
        self._versions: dict[str, int] = {}
        self._lock = threading.Lock()
        self.update(items)

    def __len__(self) -> int:
        """Items that can be found."""
        return sum(len(base.items) for base in self._bases.values())

    def update(self, changed: Iterable[KnowledgeItem]) -> None:
        """Take in new items and new versions; one that is not active any more is not found any more.

        Costs work for the changed items alone. A version older than the one that is known is ignored.
        """
        with self._lock:
            coming: defaultdict[Kind, list[KnowledgeItem]] = defaultdict(list)
            latest: dict[str, KnowledgeItem] = {}
            for item in changed:
                known = latest.get(item.id)
                if known is None or item.version >= known.version:
                    latest[item.id] = item
            for item in latest.values():
                if item.version < self._versions.get(item.id, 0):
                    continue
                self._versions[item.id] = item.version
                for base in self._bases.values():
                    base.remove(item.id)
                if item.status == "active" and item.kind in self._bases:
                    coming[item.kind].append(item)
            for kind, items in coming.items():
                self._bases[kind].add(items)

    def retrieve(self, example: Example, *, exclude_own: bool | None = None) -> list[KnowledgeItem]:
        """The best items for a question: by kind in the order of `kinds`, of each the best first.

        `exclude_own` None: as the settings say. Fewer than `top_k` of a kind come back where fewer fit.
        """
        return self.retrieve_many([example], exclude_own=exclude_own)[0]

    def retrieve_many(
        self, examples: Sequence[Example], *, exclude_own: bool | None = None, training: bool = False
    ) -> list[list[KnowledgeItem]]:
        """As `retrieve` for each question; queries are embedded together.

        `training`: these are training questions, whose ids are those that items name as their sources.
        """
        own = self.settings.exclude_own if exclude_own is None else exclude_own
        queries = [query_text(example, self.settings) for example in examples]
        with self._lock:
            vectors = self._embed(queries) if self._embed and queries else [None] * len(queries)
            return [
                self._found(_Asked(query, vector, _question_of(example, training)), own)
                for example, query, vector in zip(examples, queries, vectors, strict=True)
            ]

    def _found(self, asked: _Asked, exclude_own: bool) -> list[KnowledgeItem]:
        left = self.settings.max_words
        found: list[KnowledgeItem] = []
        for base in self._bases.values():
            chosen = base.best(asked, exclude_own, left)
            found += chosen
            if left is not None:
                left -= sum(_words(item) for item in chosen)
        return found


def query_text(example: Example, settings: RetrievalSettings) -> str:
    """What is searched for a question: its first `query_words` words, the task before the question."""
    parts = {
        "task": f"{example.task}\n{example.instruction or ''}",
        "question": question_text(_without_instruction(example)),
    }
    text = "\n".join(parts[name] for name in ("task", "question") if name in settings.query)
    return " ".join(text.split()[: settings.query_words])


class _Question(NamedTuple):
    """A question by its texts, without differences of case and white space, and by its task and id where those say
    enough (`by_id`)."""

    place: tuple[str, str]
    texts: frozenset[str]
    by_id: bool

    def is_source(self, source: Provenance) -> bool:
        """Is this the question that a source names?"""
        text = squeezed(source.question)
        named = (source.task, source.example_id) == self.place and (self.by_id or not text)
        return named or text in self.texts


class _Asked(NamedTuple):
    query: str
    vector: NDArray[np.float32] | None
    question: _Question


class _Entry(NamedTuple):
    """What one item is found by: one of its questions, "" for none."""

    text: str
    question: str


def _without_instruction(example: Example) -> Example:
    return Example(example.id, example.question, choices=example.choices)


def _question_of(example: Example, by_id: bool) -> _Question:
    written = (example.question, question_text(example), question_text(_without_instruction(example)))
    texts = frozenset(squeezed(text) for text in written) - {""}
    return _Question((example.task, example.id), texts, by_id)


def _entries(item: KnowledgeItem, settings: RetrievalSettings) -> list[_Entry]:
    """One for each question the item came from; one in all where questions are no key or there are none."""
    parts = {"task": item.task, "title": item.title, "text": item.text}
    own = [parts[name] for name in ("task", "title", "text") if name in settings.keys]
    questions = {squeezed(p.question): p.question for p in item.provenance if p.question.strip()}
    if "question" not in settings.keys or not questions:
        return [_Entry("\n".join(own), "")]
    return [_Entry("\n".join([question, *own]), name) for name, question in questions.items()]


def _words(item: KnowledgeItem) -> int:
    return len(item.text.split())


@dataclass(slots=True)
class _Held:
    """An item in a base, with the numbers of its entries by the question each was made from."""

    item: KnowledgeItem
    rows: dict[int, str] = field(default_factory=dict)


class _Base:
    """The items of one kind and their indexes, which number entries alike."""

    def __init__(self, settings: RetrievalSettings, embed: Embed | None) -> None:
        self.items: dict[str, _Held] = {}
        self._settings = settings
        self._lexical = LiveBm25() if settings.method != "dense" else None
        self._dense = DenseIndex(embed) if embed else None
        self._owners: list[str] = []  # the item of each entry, "" for one that is gone
        self._gone = 0
        self._by_source: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, items: Sequence[KnowledgeItem]) -> None:
        texts: list[str] = []
        for item in items:
            held = self.items[item.id] = _Held(item)
            for entry in _entries(item, self._settings):
                held.rows[len(self._owners)] = entry.question
                self._owners.append(item.id)
                texts.append(entry.text)
            for name in _source_names(item):
                self._by_source[name].add(item.id)
        if self._lexical:
            for text in texts:
                self._lexical.add(text)
        if self._dense:
            self._dense.add(texts)

    def remove(self, item_id: str) -> None:
        held = self.items.pop(item_id, None)
        if held is None:
            return
        for row in held.rows:
            self._owners[row] = ""
            if self._lexical:
                self._lexical.remove(row)
        self._gone += len(held.rows)
        for name in _source_names(held.item):
            self._by_source[name].discard(item_id)
        if self._gone > max(_WASTE, len(self._owners) - self._gone):
            self._rebuild()

    def _rebuild(self) -> None:
        items = [held.item for held in self.items.values()]
        self.items, self._owners, self._gone = {}, [], 0
        self._by_source.clear()
        self._lexical = LiveBm25() if self._lexical else None
        if self._dense:
            self._dense.restart()
        self.add(items)

    def best(self, asked: _Asked, exclude_own: bool, max_words: int | None) -> list[KnowledgeItem]:
        """The `top_k` best, passing over those for which there is no room."""
        wanted = self._settings.top_k
        closed = self._closed(asked.question, exclude_own)
        rankings: list[Scores] = []
        if self._lexical:
            scores = self._lexical.scores(asked.query)
            rankings.append(np.where(scores > 0, scores, -np.inf))
        if self._dense and asked.vector is not None:
            rankings.append(self._dense.scores(asked.vector))
        depth = wanted
        while True:
            ranked = self._fused(rankings, closed) if len(rankings) > 1 else self._ranked(rankings[0], closed, depth)
            chosen: list[KnowledgeItem] = []
            room = max_words
            for name in ranked:
                item = self.items[name].item
                if room is not None and _words(item) > room:
                    continue
                chosen.append(item)
                room = None if room is None else room - _words(item)
                if len(chosen) == wanted:
                    break
            if len(chosen) == wanted or len(rankings) > 1 or len(ranked) < depth:
                return chosen
            depth *= 8

    def _closed(self, question: _Question, exclude_own: bool) -> list[int]:
        """The entries that this question may not find."""
        names = [_name_of(question.place), *(f"text {text}" for text in question.texts)]
        closed: list[int] = []
        for item_id in {item_id for name in names for item_id in self._by_source.get(name, ())}:
            held = self.items[item_id]
            own = {squeezed(p.question) for p in held.item.provenance if question.is_source(p)}
            if not own:
                continue
            leaks = self._settings.exclude_leaking and not LEAKING.isdisjoint(held.item.flags)
            if leaks or (exclude_own and not _other_sources(held.item, question)):
                closed += held.rows
            elif exclude_own:
                closed += [row for row, text in held.rows.items() if text and text in own]
        return closed

    def _ranked(self, scores: Scores, closed: Sequence[int], depth: int) -> list[str]:
        """The ids of the `depth` items whose best entries score highest; all of those that tie with the last, too."""
        scores = scores.copy()
        scores[list(closed)] = -np.inf
        rows = np.flatnonzero(scores > -np.inf)
        # A changed item has left entries behind, and an item may have several: more than `depth` rows may be needed.
        take = depth
        while True:
            if take < len(rows):
                floor = np.partition(scores[rows], len(rows) - take)[len(rows) - take]
                top = rows[scores[rows] >= floor]
            else:
                top = rows
            best: dict[str, float] = {}
            for row in top.tolist():
                if owner := self._owners[row]:
                    best[owner] = max(best.get(owner, -np.inf), float(scores[row]))
            if len(best) >= depth or len(top) == len(rows):
                return sorted(best, key=lambda name: (-best[name], name))
            take *= 4

    def _fused(self, rankings: Sequence[Scores], closed: Sequence[int]) -> list[str]:
        total: defaultdict[str, float] = defaultdict(float)
        for scores in rankings:
            for rank, name in enumerate(self._ranked(scores, closed, FUSION_DEPTH)[:FUSION_DEPTH], 1):
                total[name] += 1 / (FUSION_CONSTANT + rank)
        return sorted(total, key=lambda name: (-total[name], name))


def _source_names(item: KnowledgeItem) -> set[str]:
    places = {_name_of((p.task, p.example_id)) for p in item.provenance}
    return places | {f"text {squeezed(p.question)}" for p in item.provenance if p.question.strip()}


def _name_of(place: tuple[str, str]) -> str:
    return f"id {place}"


def _other_sources(item: KnowledgeItem, question: _Question) -> bool:
    """Did the item come from another question, too? An item without any source, written by hand, counts as such."""
    return not item.provenance or not all(question.is_source(p) for p in item.provenance)
