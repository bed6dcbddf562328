"""Every completion ends in the cue with its answer, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from symdistill.curation import final_completion, reasoning_alone
from symdistill.prompts import cue
from symdistill.records import Rationale
from symdistill.tasks import check_answer


def rationale(text: str, answer: str | None) -> Rationale:
    return Rationale("q", "task", "?", text, answer, True, 0, "m", "k")


@pytest.mark.parametrize(
    "text, answer",
    [
        ("3 * 4 = 12. Therefore, the answer is 12.", "12"),
        ("3 * 4 = 12.\nTherefore, the answer is 12.", "12"),
        ("3 * 4 = 12.\nTherefore, the answer is 12.\n", "12"),
        ("Hence\nTherefore, the answer is 12", "12"),
        ("therefore, the answer is: **12**.", "12"),
        ("Therefore, the answer is $1,234.50.", "1234.5"),
        ("Therefore, the answer is 12 legs.", "12"),
        ("Therefore, the answer is 60%.", "60"),
        ("Therefore, the answer is -5.", "-5"),
        ("Therefore, the answer is 1/3.", "1/3"),
        ("Therefore, the answer is (B).", "B"),
        ("Therefore, the answer is B.", "B"),
        ("Therefore, the answer is (B) fish.", "B"),
        ("Therefore, the answer is Yes.", "yes"),
        ('Therefore, the answer is "Dr. Smith".', "Dr. Smith"),
        ("Therefore, the answer is 11. No: Therefore, the answer is 12.", "12"),
    ],
)
def test_a_text_that_ends_in_the_cue_stays_as_it_is(text, answer):
    assert final_completion(rationale(text, answer)) == text


@pytest.mark.parametrize(
    "text, answer",
    [
        ("3 * 4 = 12.", "12"),
        ("3 * 4 = 12. So the answer is 12.", "12"),
        ("#### 12", "12"),
        ("\\boxed{12}", "12"),
        ("Therefore, the answer is 11.", "12"),
        ("Therefore, the answer is 712.", "12"),
        ("Therefore, the answer is 12.5.", "12"),
        ("Therefore, the answer is 12. I hope this helps!", "12"),
        ("Therefore, the answer is 12. Or is it 13? ", "12"),
        ("Therefore, the answer is 12.\n\nLet me check that.", "12"),
        ("Therefore, the answer is the fish.", "B"),
        ("Therefore, the answer is (A).", "B"),
        ("Therefore, the answer is invalid.", "valid"),
        ("Therefore, the answer is 3 pears.", "3 apples"),
        ("Therefore, the answer is", "12"),
        ("Therefore, the answer is 12. Therefore, the answer is 13.", "12"),
    ],
)
def test_the_cue_is_added_where_it_is_missing_or_says_something_else(text, answer):
    assert final_completion(rationale(text, answer)) == f"{text.rstrip()}\nTherefore, the answer is {answer}."


def test_without_an_answer_or_without_a_text():
    assert final_completion(rationale("Who knows?", None)) == "Who knows?"
    assert final_completion(rationale("", "12")) == "Therefore, the answer is 12."


@search(deadline=None, max_examples=40)
@given(st.text(max_size=200), st.integers(-1000, 1000))
def test_the_answer_of_a_completion_is_the_rationales(text, number):
    completion = final_completion(rationale(text, str(number)))
    assert check_answer(completion, str(number), "number")
    assert text.rstrip().lstrip("\n") in completion


@pytest.mark.parametrize("text", ["Therefore, the answer is 12.", "3 * 4 = 12"])
def test_once_is_enough(text):
    once = final_completion(rationale(text, "12"))
    assert final_completion(rationale(once, "12")) == once
    assert once.count("the answer is") == 1


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    [
        "Therefore, the answer is " * 5000,
        "Therefore, the answer is " + "!) " * 40_000,
        "Therefore, " + " " * 100_000 + "x",
    ],
)
def test_hostile_text(text):
    assert len(reasoning_alone(rationale(text, "12"))) <= len(text)
    assert final_completion(rationale(text, "12")).endswith(cue("12"))


@pytest.mark.parametrize(
    "text, alone",
    [
        ("3 * 4 = 12. Therefore, the answer is 12.", "3 * 4 = 12."),
        ("3 * 4 = 12.\nTherefore, the answer is 12.\n", "3 * 4 = 12."),
        ("3 * 4 = 12. So the answer is 12. I hope this helps!", "3 * 4 = 12."),
        ("3 * 4 = 12.\n#### 12", "3 * 4 = 12."),
        ("The answer is 11. No, 3 * 4 = 12. The answer is 12.", "The answer is 11. No, 3 * 4 = 12."),
        ("3 * 4 = 12. So, the answer is 12 apples. \nTherefore, the answer (arabic numerals) is 12.", "3 * 4 = 12."),
        (
            "It is heads.\n\nSo, the final answer is yes, heads.\nTherefore, the answer (Yes or No) is Yes.",
            "It is heads.",
        ),
        ("3 * 4 = 12.\nAnswer:\n12\n\\boxed{12}\nThe answer is 12.", "3 * 4 = 12."),
        ("The answer is 12. It is 3 * 4. The answer is 12.", "The answer is 12. It is 3 * 4."),
        ("The answer is 12. The answer is 12.", ""),
        ("3 * 4 = 12.", "3 * 4 = 12."),
        ("Therefore, the answer is 12.", ""),
        ("", ""),
    ],
)
def test_the_reasoning_ends_where_the_answer_is_announced(text, alone):
    assert reasoning_alone(rationale(text, "12")) == alone
