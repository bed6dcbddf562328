"""Each reason for a drop, alone and in the order that decides between several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symdistill.curation import REASONS, CurationSettings, curate
from symdistill.records import Example, Rationale

EXAMPLE = Example("q1", "How many legs have 3 cats?", "12", "number")
GOOD = Rationale(
    example_id="q1",
    task="task",
    question=EXAMPLE.question,
    text="A cat has 4 legs, so 3 cats have 3 * 4 = 12 legs. Therefore, the answer is 12.",
    answer="12",
    correct=True,
    sample_index=0,
    model="m",
    key="k0",
)


def sample(index: int, **changes) -> Rationale:
    return replace(GOOD, sample_index=index, key=f"k{index}", **changes)


def drops(rationales, *, verify=True, example=EXAMPLE, **settings) -> dict[int, str]:
    curated = curate(rationales, [example], CurationSettings(**settings), verify=verify, seed=0)
    return {d.rationale.sample_index: d.reason for d in curated.dropped}


@pytest.mark.parametrize(
    "changes, settings, verify, reason",
    [
        ({}, {}, True, None),
        ({"truncated": True}, {}, True, "truncated"),
        ({"truncated": True}, {}, False, "truncated"),
        ({"answer": None, "correct": False}, {}, True, "unparsable"),
        ({"answer": None, "correct": None}, {}, False, "unparsable"),
        ({"answer": "11", "correct": False}, {}, True, "wrong"),
        ({"answer": "11", "correct": False}, {}, False, None),
        ({"answer": "11", "correct": None}, {}, True, None),
        ({}, {"check_steps": "drop"}, True, None),
        ({"text": "3 * 4 = 13, so 12."}, {"check_steps": "drop"}, True, "wrong_step"),
        ({"text": "3 * 4 = 13, so 12."}, {"check_steps": "drop"}, False, "wrong_step"),
        ({"text": "3 * 4 = 13, so 12."}, {"check_steps": "off"}, True, None),
        ({"text": "3 * 4 = 13, so 12."}, {"check_steps": False}, True, None),  # what YAML makes of off
        ({"text": "3 * 4 = 13, so 12."}, {}, True, None),
        ({"text": "12"}, {"min_words": 2}, True, "too_short"),
        ({"text": "It is 12"}, {"min_words": 3}, True, None),
        ({"text": ""}, {}, True, "too_short"),
        ({"text": ""}, {"min_words": 0}, True, None),
        ({"text": "it is surely 12"}, {"max_words": 3}, True, "too_long"),
        ({"text": "it is 12"}, {"max_words": 3}, True, None),
        # of several faults the first in order is named
        ({"truncated": True, "answer": None, "correct": False, "text": ""}, {}, True, "truncated"),
        ({"answer": None, "correct": False, "text": ""}, {}, True, "unparsable"),
        ({"correct": False, "text": ""}, {}, True, "wrong"),
        ({"correct": False, "text": "1 + 1 = 3"}, {"check_steps": "drop"}, True, "wrong"),
        ({"text": "1 + 1 = 3"}, {"check_steps": "drop", "min_words": 9}, True, "wrong_step"),
    ],
)
def test_reason_of_one_rationale(changes, settings, verify, reason):
    assert drops([sample(0, **changes)], verify=verify, **settings) == ({} if reason is None else {0: reason})


DUPLICATE_CASES = [
    ("word for word", "Two and two make 4.", "Two and two make 4.", "duplicate"),
    ("white space", "Two and\n two  make 4.", " Two and two make\t4. ", "duplicate"),
    ("case", "TWO and two make 4.", "two and TWO make 4.", "duplicate"),
    ("case of other alphabets", "Straße ÉTÉ 4", "STRASSE été 4", "duplicate"),
    ("punctuation only", "First, add the two. The sum is 4.", "First add the two; the sum is 4", "near_duplicate"),
    ("width of letters", "Ｓo the sum is 4.", "So the sum is 4.", "near_duplicate"),
    ("other words", "Two and two make 4.", "Adding a pair to a pair gives 4.", None),
    ("no words at all", "!!! ???", "??? !!!", None),
    ("one word", "4!", "4?", "near_duplicate"),
    ("line separators", "a b c 4", "a b c 4", "duplicate"),
]


@pytest.mark.parametrize("first, second, reason", [case[1:] for case in DUPLICATE_CASES], ids=lambda v: str(v)[:20])
def test_repetitions(first, second, reason):
    pair = [sample(0, text=first, answer="4"), sample(1, text=second, answer="4")]
    assert drops(pair, near_duplicates=0.5) == ({} if reason is None else {1: reason})


LONG = " ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100))
ONE_CHANGED = LONG.replace("wordax", "other")


@pytest.mark.parametrize(
    "first, second",
    [
        ("There are 3 cats", "There are 5 cats"),
        ("Take 3 then 5 then 8", "Take 5 then 3 then 8"),
        ("It weighs 1.5 kilograms", "It weighs 15 kilograms"),
        ("Take 1.5 and 3", "Take 1 and 5.3"),
        ("We get 2 + 2 which is right", "We get 2 * 2 which is right"),
        ("It falls to -3 degrees", "It falls to 3 degrees"),
        ("The square x² + 1", "The square x³ + 1"),
        ("Half of it is ½", "Half of it is ¼"),
        ("There are three cats", "There are five cats"),
        ("We know a is True here", "We know a is False here"),
        ("It is the case", "It is not the case"),
    ],
)
def test_other_values_in_the_same_words_are_no_repetition(first, second):
    """However long the words around them: near duplicates in all but what they compute."""
    pair = [sample(0, text=f"{LONG} {first} so 4", answer="4"), sample(1, text=f"{LONG} {second} so 4", answer="4")]
    assert drops(pair, near_duplicates=0.5) == {}
    twins = [pair[0], replace(pair[0], sample_index=1, text=pair[0].text.replace("so 4", "so: 4"))]
    assert drops(twins, near_duplicates=0.5) == {1: "near_duplicate"}


@pytest.mark.parametrize(
    "threshold, reason",
    [(0.9, "near_duplicate"), (95 / 101, "near_duplicate"), (0.95, None), (1.0, None)],
)
def test_similarity_threshold(threshold, reason):
    """One of 100 words differs: 95 of 98 three-grams are shared, of 101 in all."""
    pair = [sample(0, text=LONG), sample(1, text=ONE_CHANGED)]
    assert drops(pair, near_duplicates=threshold) == ({} if reason is None else {1: reason})


def test_one_switches_near_duplicates_off_but_not_exact_ones():
    trio = [sample(0, text="So, 4"), sample(1, text="So 4"), sample(2, text="so, 4")]
    assert drops(trio, near_duplicates=1.0) == {2: "duplicate"}


def test_questions_do_not_share_duplicates():
    other = replace(EXAMPLE, id="q2")
    pair = [sample(0), replace(sample(1), example_id="q2")]
    curated = curate(pair, [EXAMPLE, other], CurationSettings(), verify=True, seed=0)
    assert curated.kept == pair


def test_same_words_with_another_conclusion_are_no_duplicate():
    """With `rationale_from: reasoning` the conclusion is not in the text, and is trained on all the same."""
    unlabelled = replace(EXAMPLE, answer=None)
    pair = [
        sample(0, text="Let me see.", answer="12", correct=None),
        sample(1, text="Let me see.", answer="13", correct=None),
        sample(2, text="Let me, see", answer="14", correct=None),
    ]
    assert drops(pair, example=unlabelled, near_duplicates=0.5) == {}


def test_dropped_rationales_do_not_make_later_ones_duplicates():
    pair = [sample(0, truncated=True), sample(1)]
    assert drops(pair) == {0: "truncated"}


def test_near_duplicates_are_compared_with_what_stays():
    """0 ~ 1 and 1 ~ 2, but 0 and 2 are not alike: 2 stays, since 1 is gone."""
    chain = [
        sample(0, text=LONG),
        sample(1, text=LONG + " " + " ".join("xyz"[i % 3] * (i + 2) for i in range(8))),
        sample(2, text=LONG + " " + " ".join("xyz"[i % 3] * (i + 2) for i in range(16))),
    ]
    assert drops(chain, near_duplicates=0.9) == {1: "near_duplicate"}


def test_the_earlier_sample_stays_whatever_the_order_of_the_input():
    assert drops([sample(2), sample(0), sample(1)]) == {1: "duplicate", 2: "duplicate"}


def test_details_name_what_was_wrong():
    rationales = [
        sample(0),
        sample(1),
        sample(2, answer="11", correct=False),
        sample(3, answer=None),
        sample(4, text=GOOD.text.replace(",", "")),
        sample(5, text="12"),
        sample(6, text="So 3 * 4 = 13 legs."),
    ]
    settings = CurationSettings(min_words=2, check_steps="drop")
    curated = curate(rationales, [EXAMPLE], settings, verify=True, seed=0)
    assert {d.rationale.sample_index: d.detail for d in curated.dropped} == {
        1: "of sample 0",
        2: "the answer is '11', not '12'",
        3: "no number answer in the reply",
        4: "1.00 similar to sample 0",
        5: "1 words, at least 2 wanted",
        6: "'3 * 4 = 13' does not hold",
    }


def test_reasons_are_listed_in_their_order():
    assert REASONS == (
        "truncated",
        "unparsable",
        "wrong",
        "wrong_step",
        "too_short",
        "too_long",
        "duplicate",
        "near_duplicate",
        "not_selected",
    )
