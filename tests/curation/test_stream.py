"""One question after the other: the same outcome as for a list, and no more than a question in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from symdistill.curation import (
    Answered,
    CurationSettings,
    curate,
    curate_stream,
    read_dropped,
    read_rationales,
    write_rationales,
)
from symdistill.curation.files import line, lines_written
from symdistill.curation.words import words
from symdistill.errors import ConfigError, DataError
from symdistill.records import Example, Rationale

SELECTIONS = ["all", "random", "diversity", "likelihood", "open-endedness"]
OPENINGS = ("Well, then:", "So", "Let us see.", "It is plain that", "We add:", "First,")


def question(number: int, samples: int = 6) -> Answered:
    example = Example(f"q{number}", f"What is {number} + 4?", str(number + 4), "number", task=f"t{number % 2}")
    found = [
        Rationale(
            example.id,
            example.task,
            example.question,
            f"{OPENINGS[(number * index) % 6]} {number} + 4 = {number + 4}, because four more make {number + 4} now.",
            str(number + 4) if (number + index) % 4 else None,
            (number + index) % 4 > 0,
            index,
            "m",
            f"k{number}-{index}",
            token_logprobs=(-1.0, -float(index)),
        )
        for index in range(samples)
    ]
    return Answered(example, found)


@search(deadline=None, max_examples=30)
@given(st.sets(st.integers(0, 40), max_size=12), st.sampled_from(SELECTIONS), st.integers(1, 4), st.booleans())
def test_a_stream_and_a_list_have_the_same_outcome(numbers, select, budget, verify):
    questions = [question(number, samples=number % 7) for number in sorted(numbers)]
    settings = CurationSettings(select=select, budget=budget)
    listed = curate(
        [r for q in questions for r in q.rationales], [q.example for q in questions], settings, verify=verify, seed=3
    )
    streamed = list(curate_stream(questions, settings, verify=verify, seed=3))
    assert [r for q in streamed for r in q.kept] == listed.kept
    assert [d for q in streamed for d in q.dropped] == listed.dropped
    assert [q.difficulty for q in streamed] == listed.difficulty


@pytest.mark.parametrize("select", ["all", "random", "diversity", "likelihood"])
def test_an_outcome_comes_before_the_next_question_is_taken(select):
    taken = []

    def questions() -> Iterator[Answered]:
        for number in range(5):
            taken.append(number)
            yield question(number)

    outcomes = curate_stream(questions(), CurationSettings(select=select, budget=2), verify=True, seed=0)
    for number, outcome in enumerate(outcomes):
        assert outcome.difficulty.id == f"q{number}"
        assert taken == list(range(number + 1))


class Long:
    """Questions with long rationales, made anew every time they are read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.readings = 0

    def __iter__(self) -> Iterator[Answered]:
        self.readings += 1
        for number in range(self.count):
            whole = question(number, samples=4)
            yield Answered(
                whole.example, [replace(r, text=f"{r.text} {'x' * 20_000}{r.key}") for r in whole.rationales]
            )


@pytest.mark.parametrize("select", ["all", "open-endedness"])
def test_memory_does_not_grow_with_the_questions(select):
    tracemalloc.start()
    try:
        for outcome in curate_stream(Long(100), CurationSettings(select=select), verify=False, seed=0):
            assert outcome.difficulty.samples == 4
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6  # 100 questions are 8 MB


def test_open_endedness_reads_the_questions_twice():
    settings = CurationSettings(select="open-endedness", budget=2)
    questions = Long(3)
    assert len(list(curate_stream(questions, settings, verify=False, seed=0))) == 3
    assert questions.readings == 2
    with pytest.raises(ValueError, match="twice"):
        next(curate_stream(iter(questions), settings, verify=False, seed=0))


def test_a_question_that_is_not_at_hand_and_one_without_replies():
    stray = question(1)
    rows = list(
        curate_stream(
            [Answered(None, stray.rationales), Answered(question(2).example, [])],
            CurationSettings(),
            verify=False,
            seed=0,
        )
    )
    assert [(row.difficulty.id, row.difficulty.task, row.difficulty.samples) for row in rows] == [
        ("q1", "t1", 6),
        ("q2", "t0", 0),
    ]
    assert rows[1].kept == rows[1].dropped == []


def test_a_selection_that_cannot_be_made_is_told_at_the_question_it_is_about():
    mute = replace(question(2).rationales[1], token_logprobs=None)
    outcomes = curate_stream(
        [question(1), Answered(question(2).example, [mute])], CurationSettings(select="likelihood"), verify=True, seed=0
    )
    assert next(outcomes).difficulty.id == "q1"
    with pytest.raises(ConfigError, match="'q2' has none"):
        next(outcomes)


def test_files_are_written_side_by_side(tmp_path):
    kept, dropped = tmp_path / "rationales.jsonl", tmp_path / "dropped.jsonl"
    outcomes = list(curate_stream([question(n) for n in range(4)], CurationSettings(), verify=True, seed=0))
    with lines_written(kept) as keep, lines_written(dropped) as drop:
        for outcome in outcomes:
            for rationale in outcome.kept:
                keep(line(rationale))
            for reject in outcome.dropped:
                drop(line(reject))
            assert not kept.exists()
    assert list(read_rationales(kept)) == [r for o in outcomes for r in o.kept]
    assert list(read_dropped(dropped)) == [d for o in outcomes for d in o.dropped]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropped.jsonl", "rationales.jsonl"]


def test_an_error_among_the_rows_leaves_what_was_there(tmp_path):
    path = tmp_path / "rationales.jsonl"
    write_rationales(path, question(1).rationales)
    before = path.read_bytes()

    def rows() -> Iterator[Rationale]:
        yield question(2).rationales[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_rationales(path, rows())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["rationales.jsonl"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "nowhere" / "rationales.jsonl"
    with pytest.raises(DataError, match="Cannot write"), lines_written(path):
        pass


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_for_plain_text_finds_the_same_words(text):
    *general, mark = words(f"{text} é")
    assert mark == "é"
    assert words(text) == general
