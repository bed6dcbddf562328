"""Passages: built once, found again, searched for a question and for its rationale."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from symdistill.errors import DataError
from symdistill.knowledge.corpus import Passage
from symdistill.knowledge.passages import (
    PassageIndex,
    Reading,
    check_corpus,
    passage_index,
    passage_query,
    ranking_case,
    rationale_query,
)
from symdistill.records import Example

ROWS = [
    {"id": "w", "title": "Whales", "text": "Whales breathe air. They are mammals, and feed their calves milk."},
    {"id": "b", "title": "Bats", "text": "Bats fly at night."},
    {"id": "s", "title": "Salmon", "text": "Salmon swim up the river where they were born."},
    {"id": "b2", "title": "Bats", "text": "Bats fly at night."},
    {"id": "e", "text": "  "},
]


def write(path: Path, rows: Sequence[object] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def index(tmp_path: Path) -> PassageIndex:
    return passage_index(write(tmp_path / "c.jsonl"), tmp_path / "passages", 6)


def test_passages_are_numbered_in_order_and_equal_ones_are_one(index: PassageIndex) -> None:
    texts = [index[i].text for i in range(len(index))]
    assert texts == [
        "Whales breathe air. They are mammals,",
        "and feed their calves milk.",
        "Bats fly at night.",
        "Salmon swim up the river where",
        "they were born.",
    ]
    assert index[1].title == "Whales"
    assert (index[2].source, index[3].source) == ("b", "s")
    told = {name: index.facts[name] for name in ("passages", "documents", "duplicates", "empty", "words")}
    assert told == {"passages": 5, "documents": 4, "duplicates": 1, "empty": 1, "words": 6}


def test_a_title_is_searched_with_each_of_its_passages(index: PassageIndex) -> None:
    assert {hit.index for hit in index.search("whales", 5)} == {0, 1}


def test_they_are_built_once_and_another_corpus_has_a_place_of_its_own(tmp_path: Path) -> None:
    corpus, place = write(tmp_path / "c.jsonl"), tmp_path / "passages"
    first = passage_index(corpus, place, 6)
    stamp = (first.directory / "passages.jsonl").stat().st_mtime_ns
    again = passage_index(corpus, place, 6)
    assert (again.directory / "passages.jsonl").stat().st_mtime_ns == stamp
    assert again.search("river", 3) == first.search("river", 3)
    assert passage_index(corpus, place, 7).directory != first.directory
    write(corpus, ROWS[:2])
    changed = passage_index(corpus, place, 6)
    assert (len(changed), changed.directory != first.directory) == (3, True)
    assert sorted(p.name for p in place.iterdir() if p.name.startswith(".")) == []


def settled(corpus: Path, at: float = 1_000_000_000.0) -> Path:
    """A corpus that was last written long ago."""
    os.utime(corpus, (at, at))
    return corpus


def test_a_corpus_that_looks_as_before_is_not_read_again(tmp_path: Path) -> None:
    corpus, place = settled(write(tmp_path / "c.jsonl")), tmp_path / "passages"
    first = passage_index(corpus, place, 6)
    text = corpus.read_text()
    corpus.write_text(text.replace("river", "brook"))  # as long as before, and then with its old time
    assert passage_index(settled(corpus), place, 6).directory == first.directory, "nobody looked inside"
    assert passage_index(settled(corpus, 2e9), place, 6).directory != first.directory, "the time tells"
    corpus.write_text(text)
    again = passage_index(settled(corpus, 1.5e9), place, 6)
    assert again.directory == first.directory, "looks new, and has the content of before"
    assert passage_index(corpus, place, 7).directory != first.directory


def test_a_corpus_written_a_moment_ago_is_read_again(tmp_path: Path) -> None:
    corpus, place = write(tmp_path / "c.jsonl"), tmp_path / "passages"
    stamp = corpus.stat()
    first = passage_index(corpus, place, 6)
    corpus.write_text(corpus.read_text().replace("river", "brook"))
    os.utime(corpus, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # a clock too coarse to tell
    assert passage_index(corpus, place, 6).directory != first.directory


def test_an_unfinished_or_damaged_set_is_built_again_or_named(index: PassageIndex, tmp_path: Path) -> None:
    manifest = index.directory / "passages.json"
    kept = manifest.read_text()
    manifest.unlink()
    assert len(passage_index(tmp_path / "c.jsonl", tmp_path / "passages", 6)) == 5
    assert manifest.read_text() == kept
    texts = index.directory / "passages.jsonl"
    texts.write_bytes(texts.read_bytes()[:-3])
    with pytest.raises(DataError, match="damaged"):
        passage_index(tmp_path / "c.jsonl", tmp_path / "passages", 6)
    with pytest.raises(DataError, match="no whole set"):
        PassageIndex.open(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "passages"
    place.mkdir(mode=0o500)
    with pytest.raises(DataError, match="Cannot write"):
        passage_index(write(tmp_path / "c.jsonl"), place, 6)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "passages").write_text("in the way")
    with pytest.raises(DataError, match="Cannot write"):
        passage_index(write(tmp_path / "c.jsonl"), tmp_path / "passages", 6)


@pytest.mark.parametrize("rows", [[], [{"text": ""}], [{"text": [" ", None]}]])
def test_a_corpus_without_a_word_is_named_and_leaves_nothing(tmp_path: Path, rows: list[object]) -> None:
    corpus = write(tmp_path / "c.jsonl", rows)
    with pytest.raises(DataError, match=r"`method\.corpus`.*no text"):
        passage_index(corpus, tmp_path / "passages", 6)
    with pytest.raises(DataError, match=r"`method\.corpus`.*no text"):
        check_corpus(corpus)
    assert list((tmp_path / "passages").iterdir()) == []


WHALES = Example("q", "Do whales have gills?", "B", "choice", {"A": "yes", "B": "no"}, instruction="Bats and salmon.")


def test_what_is_searched_leaves_out_instruction_and_conclusion() -> None:
    assert passage_query(WHALES) == "Do whales have gills?\n(A) yes\n(B) no"
    assert rationale_query("They breathe air. Therefore, the answer is (B).") == "They breathe air."
    assert rationale_query("Therefore, the answer is (B).") == "Therefore, the answer is (B)."


def test_a_rationale_finds_what_it_says_and_a_question_what_it_asks(index: PassageIndex) -> None:
    reading = Reading(index, passages=2, candidates=4)
    found = reading.for_rationale("Mammals breathe air and feed calves with milk. Therefore, the answer is bats.")
    assert {p.text for p in found} == {index[0].text, index[1].text}
    assert {p.title for p in reading.search(WHALES).passages} == {"Whales"}
    assert reading.for_rationale("Nichts davon.") == ()
    assert reading.search(Example("o", "Nichts davon?")).passages == ()


class Backwards:
    """Prefers what BM25 likes least; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    operations = 0.0

    def scores(self, query: str, passages: Sequence[Passage], bm25: NDArray[np.float64]) -> NDArray[np.float32]:
        self.asked.append((query, [p.text for p in passages]))
        return -bm25.astype(np.float32)


def test_a_ranker_orders_the_candidates_and_is_asked_once_a_question(index: PassageIndex) -> None:
    query = "they fly at night"
    candidates = [hit.index for hit in index.search(query, 3)]
    assert len(candidates) == 3
    ranker = Backwards()
    reading = Reading(index, passages=1, candidates=3, ranker=ranker)
    assert reading.ranking(query, 3) == candidates[::-1]
    asked = Example("q", query)
    assert reading.search(asked).passages == reading.search(asked).passages == (index[candidates[-1]],)
    assert len(ranker.asked) == 2
    assert ranker.asked[0] == (query, [index[i].text for i in candidates])


class Equal(Backwards):
    def scores(self, query: str, passages: Sequence[Passage], bm25: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.zeros(len(passages), dtype=np.float32)


def test_where_a_ranker_knows_nothing_the_order_is_that_of_bm25(index: PassageIndex) -> None:
    plain = Reading(index, passages=3, candidates=5)
    assert plain.ranked_by(Equal()).ranking("they fly at night", 3) == plain.ranking("they fly at night", 3)


def test_a_case_joins_both_searches_and_scores_all_for_both(index: PassageIndex) -> None:
    example = Example("q", "Which salmon fly?")
    rationale = "Whales feed calves milk. The answer is none."
    case = ranking_case(index, example, rationale, 2)
    by_rationale = [hit.index for hit in index.search("Whales feed calves milk.", 2)]
    by_question = [hit.index for hit in index.search("Which salmon fly?", 2)]
    assert case.by_rationale == len(by_rationale)
    assert case.passages == tuple(dict.fromkeys(by_rationale + by_question))
    assert len(set(case.passages)) == len(case.passages) > case.by_rationale
    assert list(case.scores) == pytest.approx(list(index.scores("Whales feed calves milk.", case.passages)))
    assert sorted(case.scores[: case.by_rationale], reverse=True) == list(case.scores[: case.by_rationale])
