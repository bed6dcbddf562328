"""Passages of a corpus that can be searched, and which of them stand before a question (KARD, arXiv 2305.18395).

`passage_index` cuts a corpus into passages once and keeps them as a directory, which is found again by the content of
the corpus:

    passages.jsonl   one passage a line (id, title, text, source)     offsets.npy   where each line begins
    bm25/            see `bm25_files`                                 passages.json  counts, and what it was made from
    stamps/          what the corpus looked like (sizes and times of its files) when it had this content

Passages and index are mapped into memory, so a million of them cost what is looked at. Equal passages are kept once.

A rationale finds passages by BM25 alone. A question does too where there is no `Ranker`; with one its `candidates`
best by BM25 are ranked anew. What is searched with is the question with its options, without the task's instruction,
and the rationale without the sentence that states its answer.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import secrets
import shutil
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from symdistill.errors import DataError
from symdistill.knowledge.bm25 import Bm25Index, Hit
from symdistill.knowledge.corpus import Passage, corpus_files, corpus_key, corpus_stamp, cut, read_documents
from symdistill.progress import Progress, Silent
from symdistill.prompts import question_text
from symdistill.records import Example
from symdistill.tasks.cues import reasoning_of

VERSION = 1

_MANIFEST = "passages.json"
_TEXTS = "passages.jsonl"
_OFFSETS = "offsets.npy"
_INDEX = "bm25"
_STAMPS = "stamps"
_SETTLED_SECONDS = 2.0
_AGAIN = "Delete the directory; the next run builds it again."


class PassageIndex:
    """Passages, numbered from 0. `passage_index` builds one, `open` finds it; reading from several threads is safe.

    `facts` are what passages.json says: corpus, key, words, documents, passages, duplicates, empty.
    """

    def __init__(self, directory: Path, facts: dict[str, Any], texts: mmap.mmap, offsets: NDArray[np.int64]) -> None:
        self.directory = directory
        self.facts = facts
        self._texts = texts
        self._offsets = offsets
        self._bm25 = Bm25Index.load(directory / _INDEX)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open a directory of passages. Raises DataError where there is none, or it is damaged."""
        try:
            facts = json.loads((directory / _MANIFEST).read_bytes())
            offsets = np.asarray(np.load(directory / _OFFSETS, mmap_mode="r", allow_pickle=False))
            with (directory / _TEXTS).open("rb") as file:
                texts = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            sound = facts["version"] == VERSION and facts["passages"] == len(offsets) - 1 and offsets[-1] == len(texts)
        except FileNotFoundError as error:
            raise DataError(f"{directory} holds no whole set of passages.", _AGAIN) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"The passages in {directory} cannot be read ({error}).", _AGAIN) from error
        found = cls(directory, facts, texts, offsets) if sound else None
        if found is None or len(found._bm25) != len(found):
            raise DataError(f"The passages in {directory} are damaged, or of another version.", _AGAIN)
        return found

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> Passage:
        begin, end = int(self._offsets[number]), int(self._offsets[number + 1])
        return Passage(**json.loads(self._texts[begin:end]))

    def search(self, query: str, k: int) -> list[Hit]:
        """The `k` best passages that share a term with the query, best first; of equal ones the earlier comes first."""
        return self._bm25.search(query, k)

    def scores(self, query: str, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The BM25 scores of passages for the query ([len(numbers)])."""
        return self._bm25.scores(query, numbers)


def passage_index(
    corpus: Path, place: Path, size: int, *, key: str = "method.corpus", progress: Progress | None = None
) -> PassageIndex:
    """The passages of a corpus, of `size` words each: those built before in the folder `place`, or built there.

    Each corpus has a directory of its own there, named by its content. It is written beside its place and renamed, so
    it is whole whenever the process ends, and several processes may build it at once. Building needs about 30 bytes
    of memory a word.

    Raises:
        DataError: the corpus cannot be used (see `corpus.read_documents`), holds no word, or the place cannot be
            written. `key` is the setting it names.
    """
    stamp = corpus_stamp(corpus, size, key)
    if (known := _stamped(place, stamp)) is not None:
        return PassageIndex.open(known)
    name = corpus_key(corpus, size, key)
    directory = place / name[3:19]
    if (directory / _MANIFEST).exists():
        _keep_stamp(directory, stamp, corpus, size, key)
        return PassageIndex.open(directory)
    shutil.rmtree(directory, ignore_errors=True)  # without a manifest it is not whole
    new = directory.with_name(f".{directory.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    progress = progress or Silent()
    progress.start("passages")
    try:
        new.mkdir(parents=True)
        writer = _Writer(corpus, new / _TEXTS, size, key, progress)
        Bm25Index.build(writer).save(new / _INDEX)
        counts = writer.finish(new / _OFFSETS)
        facts = {"version": VERSION, "corpus": str(corpus), "key": name, "words": size, **counts}
        (new / _MANIFEST).write_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        try:
            new.rename(directory)
        except OSError:
            if not (directory / _MANIFEST).exists():  # else another process was quicker
                raise
    except OSError as error:
        raise DataError(
            f"Cannot write the passages {directory} ({(error.strerror or str(error)).lower()}).",
            "Free some space, or choose a --run-dir you can write to.",
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _keep_stamp(directory, stamp, corpus, size, key)
    progress.finish(f"{facts['passages']:,} of {size} words from {facts['documents']:,} documents")
    return PassageIndex.open(directory)


def _stamped(place: Path, stamp: str) -> Path | None:
    """The directory of passages that were built from, or last found for, a corpus with this stamp."""
    for file in place.glob(f"*/{_STAMPS}/{stamp[3:19]}"):
        if (file.parents[1] / _MANIFEST).exists():
            return file.parents[1]
    return None


def _keep_stamp(directory: Path, stamp: str, corpus: Path, size: int, key: str) -> None:
    """Remember what the corpus looks like, unless a file changed meanwhile, or so lately that the next change may leave
    its time as it is. Where it cannot be written, the corpus is read again."""
    latest = max(file.stat().st_mtime for file in corpus_files(corpus, key))
    if corpus_stamp(corpus, size, key) != stamp or time.time() - latest < _SETTLED_SECONDS:
        return
    with contextlib.suppress(OSError):
        (directory / _STAMPS).mkdir(exist_ok=True)
        (directory / _STAMPS / stamp[3:19]).touch()


def check_corpus(corpus: Path, key: str = "method.corpus") -> None:
    """Read a corpus to its end without writing anything. Raises DataError as `passage_index` does."""
    words = 0
    for document in read_documents(corpus, key):
        words += sum(1 for _ in document.words)
    if not words:
        raise _no_words(corpus, key)


class _Writer:
    """Writes the passages of a corpus one after another, and gives their texts to whoever iterates over it."""

    def __init__(self, corpus: Path, file: Path, size: int, key: str, progress: Progress) -> None:
        self._corpus, self._file, self._size, self._key, self._progress = corpus, file, size, key, progress
        self._offsets = array("q", [0])
        self._counts = {"documents": 0, "empty": 0, "duplicates": 0}

    def __iter__(self) -> Iterator[str]:
        seen: set[int] = set()
        with self._file.open("wb") as file:
            for document in read_documents(self._corpus, self._key):
                passages = 0
                for passage in cut(document, self._size):
                    passages += 1
                    mark = int(passage.id[2:], 16)
                    if mark in seen:
                        self._counts["duplicates"] += 1
                        continue
                    seen.add(mark)
                    line = json.dumps(asdict(passage), ensure_ascii=False).encode() + b"\n"
                    file.write(line)
                    self._offsets.append(self._offsets[-1] + len(line))
                    yield passage.shown
                self._counts["documents" if passages else "empty"] += 1
                self._progress.advance(passages)
            file.flush()
            os.fsync(file.fileno())
        if not seen:
            raise _no_words(self._corpus, self._key)

    def finish(self, offsets: Path) -> dict[str, int]:
        """Write where the passages begin, and return what was counted."""
        np.save(offsets, np.frombuffer(self._offsets, dtype=np.int64), allow_pickle=False)
        return {"passages": len(self._offsets) - 1, **self._counts}


def _no_words(corpus: Path, key: str) -> DataError:
    return DataError(f"The corpus {corpus} (`{key}`) holds no text.", "Name a file or folder with documents in it.")


@dataclass(frozen=True, slots=True)
class RankingCase:
    """What a ranker learns from one rationale: the question as it is searched for, candidate passages, and their BM25
    scores for the rationale. The first `by_rationale` of them are those the rationale finds, best first."""

    example_id: str
    query: str
    passages: tuple[int, ...]
    scores: tuple[float, ...]
    by_rationale: int


class Ranker(Protocol):
    """Tells which passages belong to a question without its rationale."""

    @property
    def operations(self) -> float:
        """Floating-point operations of all it was asked so far."""

    def scores(self, query: str, passages: Sequence[Passage], bm25: NDArray[np.float64]) -> NDArray[np.float32]:
        """One number a passage, larger for better ones ([len(passages)]). `bm25` are their scores for the query."""


@dataclass(frozen=True, slots=True)
class Search:
    """What was found for a question. `flops` are the ranker's operations (BM25 multiplies next to nothing), `seconds`
    those of all of it."""

    passages: tuple[Passage, ...]
    flops: float
    seconds: float


class Reading:
    """Which passages stand before a question: `passages` of them, out of `candidates` where a `ranker` orders them."""

    def __init__(self, index: PassageIndex, *, passages: int, candidates: int, ranker: Ranker | None = None) -> None:
        self.index = index
        self.passages = passages
        self.candidates = candidates
        self.ranker = ranker
        self._found: dict[str, Search] = {}

    def for_rationale(self, rationale: str) -> tuple[Passage, ...]:
        """The passages that say what a rationale says, best first; none where no word is shared."""
        return tuple(self.index[hit.index] for hit in self.index.search(rationale_query(rationale), self.passages))

    def search(self, example: Example) -> Search:
        """The passages for a question, best first, and what it took to find them. A question is searched for once."""
        query = passage_query(example)
        if query not in self._found:
            began, before = time.perf_counter(), self.ranker.operations if self.ranker else 0.0
            passages = tuple(self.index[number] for number in self.ranking(query, self.passages))
            flops = self.ranker.operations - before if self.ranker else 0.0
            self._found[query] = Search(passages, flops, time.perf_counter() - began)
        return self._found[query]

    def ranking(self, query: str, depth: int) -> list[int]:
        """The `depth` best passages for a query; of those the ranker finds equal, BM25's better one comes first."""
        hits = self.index.search(query, self.candidates if self.ranker else depth)
        found = [hit.index for hit in hits]
        if self.ranker is not None and len(found) > 1:
            bm25 = np.array([hit.score for hit in hits])
            scores = self.ranker.scores(query, [self.index[number] for number in found], bm25)
            found = [found[at] for at in np.argsort(-scores, kind="stable")]
        return found[:depth]

    def ranked_by(self, ranker: Ranker | None) -> Reading:
        """The same passages in another order."""
        return Reading(self.index, passages=self.passages, candidates=self.candidates, ranker=ranker)


def passage_query(example: Example) -> str:
    """What is searched for a question: itself and its options."""
    return question_text(replace(example, instruction=None))


def rationale_query(rationale: str) -> str:
    """What is searched for a rationale: its steps; all of it where it only states an answer."""
    return reasoning_of(rationale) or rationale.strip()


def ranking_case(index: PassageIndex, example: Example, rationale: str, each: int) -> RankingCase:
    """The `each` best passages for a rationale, joined with the `each` best for its question (KARD, section 3.2)."""
    query, known = passage_query(example), rationale_query(rationale)
    found = [hit.index for hit in index.search(known, each)]
    numbers = tuple(dict.fromkeys([*found, *(hit.index for hit in index.search(query, each))]))
    scores = tuple(map(float, index.scores(known, numbers)))
    return RankingCase(example.id, query, numbers, scores, len(found))
