"""What holds for any input: nothing is lost, nothing is kept without leave, the same input gives the same outcome."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st
from pydantic import ValidationError

from symdistill.curation import REASONS, CurationSettings, curate
from symdistill.records import Example, Rationale

WORDS = st.sampled_from(
    ["So", "so", "the", "sum", "is", "3", "4", "+", "not", "\n", "  ", "ﬁ", "\ud800", "\x00", "💥", "١"]
)
TEXTS = st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=40))
RATIONALES = st.lists(
    st.builds(
        Rationale,
        example_id=st.sampled_from(["q0", "q1", "q2", "gone"]),
        task=st.just("task"),
        question=st.just("?"),
        text=TEXTS,
        answer=st.sampled_from([None, "7", "8", "ß"]),
        correct=st.sampled_from([None, True, False]),
        sample_index=st.integers(0, 9),
        model=st.just("m"),
        key=st.just(""),
        truncated=st.sampled_from([False, False, False, True]),
        token_logprobs=st.just((-1.0, -2.0)),
    ),
    max_size=25,
)
SETTINGS = st.builds(
    CurationSettings,
    near_duplicates=st.sampled_from([0.3, 0.9, 1.0]),
    select=st.sampled_from(["all", "random", "diversity", "likelihood", "open-endedness"]),
    budget=st.integers(1, 4),
    min_words=st.integers(0, 2),
    max_words=st.sampled_from([None, 5, 8]),
)
EXAMPLES = [Example("q0", "?", "7", "number"), Example("q1", "?"), Example("q2", "?", "8"), Example("silent", "?", "9")]


@search(deadline=None, max_examples=40)
@given(RATIONALES, SETTINGS, st.booleans(), st.integers(0, 2))
def test_every_rationale_is_kept_or_dropped_once(rationales, settings, verify, seed):
    curated = curate(rationales, EXAMPLES, settings, verify=verify, seed=seed)
    ends = Counter(map(id, curated.kept)) + Counter(id(d.rationale) for d in curated.dropped)
    assert ends == Counter(map(id, rationales))
    assert {d.reason for d in curated.dropped} <= set(REASONS)
    for rationale in curated.kept:
        assert not rationale.truncated
        assert rationale.answer is not None
        assert not (verify and rationale.correct is False)
        assert settings.min_words <= len(rationale.text.split()) <= (settings.max_words or 40)


@search(deadline=None, max_examples=40)
@given(RATIONALES, SETTINGS, st.booleans(), st.integers(0, 2))
def test_the_same_input_gives_the_same_outcome(rationales, settings, verify, seed):
    first, again = (curate(list(rationales), EXAMPLES, settings, verify=verify, seed=seed) for _ in range(2))
    assert first == again


@search(deadline=None, max_examples=40)
@given(RATIONALES, SETTINGS, st.booleans())
def test_what_was_kept_is_kept_when_curated_again(rationales, settings, verify):
    """The outcome is a file people edit and train from: another pass over it must not shrink it."""
    settings = settings.model_copy(update={"select": "all"})
    once = curate(rationales, EXAMPLES, settings, verify=verify, seed=0)
    twice = curate(once.kept, EXAMPLES, settings, verify=verify, seed=0)
    assert twice.kept == once.kept


@search(deadline=None, max_examples=40)
@given(RATIONALES, SETTINGS, st.booleans(), st.randoms(use_true_random=False))
def test_samples_of_a_question_may_come_in_any_order(rationales, settings, verify, rng):
    distinct = [replace(r, sample_index=position) for position, r in enumerate(rationales)]
    shuffled = rng.sample(distinct, len(distinct))
    outcomes = [curate(rows, EXAMPLES, settings, verify=verify, seed=0) for rows in (distinct, shuffled)]
    kept = [sorted(r.sample_index for r in outcome.kept) for outcome in outcomes]
    reasons = [sorted((d.rationale.sample_index, d.reason) for d in outcome.dropped) for outcome in outcomes]
    assert kept[0] == kept[1]
    assert reasons[0] == reasons[1]


@search(deadline=None, max_examples=40)
@given(RATIONALES, SETTINGS, st.booleans())
def test_difficulty_and_summary_add_up(rationales, settings, verify):
    curated = curate(rationales, EXAMPLES, settings, verify=verify, seed=0)
    kept, dropped = (
        Counter(r.example_id for r in curated.kept),
        Counter(d.rationale.example_id for d in curated.dropped),
    )
    for row in curated.difficulty:
        assert row.kept == kept[row.id]
        assert sum(row.dropped.values()) == dropped[row.id]
        assert row.samples == row.kept + dropped[row.id]
    (summary,) = curated.summary()
    assert summary.rationales == len(rationales) == summary.kept + sum(summary.dropped.values())
    assert summary.questions == len(curated.difficulty) == sum(summary.histogram.values()) + len(summary.unanswered)
    assert summary.histogram["0"] == len(summary.lost)
    assert list(summary.dropped) == [reason for reason in REASONS if reason in summary.dropped]


def rationale(name: str, index: int, correct: bool | None = True, task: str = "a") -> Rationale:
    text = f"Reasoning {'abcdefghijkl'[index]}, so it is 7."
    return Rationale(name, task, "?", text, "7", correct, index, "m", f"{name}{index}")


def test_order_is_by_question_then_by_sample():
    examples = [Example("q1", "?", "7"), Example("q0", "?", "7")]
    rows = [rationale("q0", 1), rationale("stray", 0), rationale("q1", 2), rationale("q0", 0), rationale("q1", 1)]
    curated = curate(rows, examples, CurationSettings(), verify=True, seed=0)
    names = [(r.example_id, r.sample_index) for r in curated.kept]
    assert names == [("q1", 1), ("q1", 2), ("q0", 0), ("q0", 1), ("stray", 0)]


def test_difficulty_rows():
    examples = [Example(name, "?", "7", task=task) for name, task in [("easy", "a"), ("hard", "a"), ("mute", "b")]]
    examples.append(Example("open", "?", task="b"))
    rows = [
        *(rationale("easy", index) for index in range(4)),
        *(rationale("hard", index, correct=False) for index in range(3)),
        *(rationale("open", index, correct=None, task="b") for index in range(2)),
    ]
    curated = curate(rows, examples, CurationSettings(select="random", budget=3), verify=True, seed=0)
    assert json.loads(json.dumps([asdict(row) for row in curated.difficulty])) == [
        {"id": "easy", "task": "a", "samples": 4, "right": 4, "kept": 3, "share": 0.75, "dropped": {"not_selected": 1}},
        {"id": "hard", "task": "a", "samples": 3, "right": 0, "kept": 0, "share": 0.0, "dropped": {"wrong": 3}},
        {"id": "mute", "task": "b", "samples": 0, "right": None, "kept": 0, "share": None, "dropped": {}},
        {"id": "open", "task": "b", "samples": 2, "right": None, "kept": 2, "share": 1.0, "dropped": {}},
    ]
    assert json.loads(json.dumps([asdict(row) for row in curated.summary()])) == [
        {
            "task": "a",
            "questions": 2,
            "rationales": 7,
            "kept": 3,
            "unjudged": 0,
            "dropped": {"wrong": 3, "not_selected": 1},
            "histogram": {"0": 1, "(0, .25]": 0, "(.25, .5]": 0, "(.5, .75]": 1, "(.75, 1)": 0, "1": 0},
            "lost": ["hard"],
            "unanswered": [],
        },
        {
            "task": "b",
            "questions": 2,
            "rationales": 2,
            "kept": 2,
            "unjudged": 2,
            "dropped": {},
            "histogram": {"0": 0, "(0, .25]": 0, "(.25, .5]": 0, "(.5, .75]": 0, "(.75, 1)": 0, "1": 1},
            "lost": [],
            "unanswered": ["mute"],
        },
    ]


@pytest.mark.parametrize(
    "kept, label",
    list(enumerate(["0", "(0, .25]", "(0, .25]", "(.25, .5]", "(.25, .5]", "(.5, .75]", "(.5, .75]", "(.75, 1)", "1"])),
)
def test_bins_hold_their_upper_end(kept, label):
    rows = [rationale("q", index, correct=index < kept) for index in range(8)]
    (summary,) = curate(rows, [Example("q", "?", "7", task="a")], CurationSettings(), verify=True, seed=0).summary()
    assert [name for name, count in summary.histogram.items() if count] == [label]


def test_nothing_in_nothing_out():
    curated = curate([], [], CurationSettings(), verify=True, seed=0)
    assert (curated.kept, curated.dropped, curated.difficulty, curated.summary()) == ([], [], [], [])


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "1" * 100_000, "a " * 50_000, "- " * 50_000, "\ud800" * 1000, "\x00", "ﷺ" * 4_000, "٣ " * 30_000],
    ids=["brackets", "digits", "words", "operators", "surrogates", "nul", "ligatures", "arabic digits"],
)
@pytest.mark.timeout(20)
def test_hostile_text(text):
    rows = [replace(rationale("q", index), text=text + "x" * index) for index in range(4)]
    for select in ("diversity", "open-endedness"):
        settings = CurationSettings(select=select, budget=2)
        curated = curate(rows, [Example("q", "?", "7")], settings, verify=True, seed=0)
        assert len(curated.kept) + len(curated.dropped) == 4


def test_many_exact_duplicates_cost_no_more_than_many_different_questions():
    """Thirty thousand repetitions of one reply: a quadratic comparison would not end within the time limit."""
    row = rationale("q", 0)
    curated = curate([row] * 30_000, [Example("q", "?", "7")], CurationSettings(), verify=True, seed=0)
    assert len(curated.kept) == 1
    assert curated.difficulty[0].dropped == {"duplicate": 29_999}


def test_settings_that_contradict_each_other():
    with pytest.raises(ValidationError, match=r"max_words \(2\) is below min_words \(3\)"):
        CurationSettings(min_words=3, max_words=2)
