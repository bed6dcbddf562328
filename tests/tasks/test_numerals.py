"""Numbers in replies: how they are written, and which are equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.tasks import check_answer, parse_answer

NUMBERS = [
    # the last cue counts
    ("The answer is 12. No wait. The answer is 15.", "15"),
    ("Answer: 3\nHmm, 4 is better.\nFinal answer: 4", "4"),
    ("The answer is 12. Let me check. The answer is", None),
    ("The answer is \\boxed{3}. But then again, the answer is 5.", "5"),
    ("The answer is 5. Written properly: \\boxed{7}", "7"),
    # ways to announce
    ("Therefore, the answer is 42.", "42"),
    ("The final answer is: 42", "42"),
    ("ANSWER: 42", "42"),
    ("answer = 42", "42"),
    ("**Answer:** 42", "42"),
    ("**Final Answer**: **42**", "42"),
    ("## Answer\n42", "42"),
    ("### Final Answer:\n\n42", "42"),
    ("**Answer**\n- 42", "42"),
    ("Therefore, the answer (arabic numerals) is 9.", "9"),
    ("Therefore, the answer (arabic numerals) is:\n\n0.7 light-years", "0.7"),
    ("So the answer to the question is 8.", "8"),
    ("The correct answer would be 8.", "8"),
    ("The answer, then, is 8.", "8"),
    ("The answer should be\n\n8", "8"),
    ("Natalia sold 48/2 = 24 clips in May.\n#### 72", "72"),
    ("#### $1,234", "1234"),
    ("48 + 24 = 72\nA: 72", "72"),
    ("Thus \\boxed{\\text{42}}", "42"),
    ("We get $\\boxed{ \\frac{1}{2} }$.", "0.5"),
    ("We get \\boxed{x = {3}}", "3"),
    ("\\[\n\\boxed{-7}\n\\]", "-7"),
    ("The answer is:\n\\[\n42\n\\]", "42"),
    ("The answer is \\(42\\).", "42"),
    ("The answer is $42$.", "42"),
    ("<think>The answer is 3.</think>\n\n5", "5"),
    # decimals are not cut at their point, and stops are not decimals
    ("The answer is 3.5.", "3.5"),
    ("The answer is 3.5 hours. That is long.", "3.5"),
    ("The answer is .5", "0.5"),
    ("The answer is 5. 7 was a distraction.", "5"),
    ("The answer is approx. 5 km.", "5"),
    # marks around it
    ("The answer is (42).", "42"),
    ("The answer is **73**.", "73"),
    ("The answer is `73`", "73"),
    ('The answer is "73".', "73"),
    ("The answer is $1,234.50.", "1234.5"),
    ("The answer is €1,234.50", "1234.5"),
    ("The answer is US$5.", "5"),
    ("The answer is -$5.", "-5"),
    ("The answer is $-5.", "-5"),
    ("The answer is \\$5.", "5"),
    ("The answer is 60%.", "60"),
    ("The answer is 60 percent.", "60"),
    ("The answer is 60\\%.", "60"),
    ("The answer is 45°.", "45"),
    ("The answer is 12kg.", "12"),
    ("The answer is the 3rd.", "3"),
    ("The answer is 5 m².", "5"),
    # signs
    ("The answer is -5.", "-5"),
    ("The answer is \u22125.", "-5"),
    ("The answer is –5.", "-5"),
    ("The answer is - 5.", "-5"),
    ("The answer is +5.", "5"),
    ("The answer is -0.", "0"),
    ("The answer is -0.50", "-0.5"),
    ("The answer is covid-19.", None),
    # thousands
    ("The answer is 1,234,567.", "1234567"),
    ("The answer is 1{,}234.", "1234"),
    ("The answer is 1\u202f234\u00a0567.", "1234567"),
    ("The answer is 1 234 567.", "1234567"),
    ("The answer is 1,00,000.", "100000"),
    ("The answer is 1.234,50.", "1234.5"),
    ("The answer is 1,2345.", None),
    # fractions and powers of ten
    ("The answer is 1/2.", "0.5"),
    ("The answer is -1/2.", "-0.5"),
    ("The answer is 2/6", "1/3"),
    ("The answer is 6/3", "2"),
    ("The answer is 1/0.", None),
    ("The answer is 7 1/2 hours.", "7.5"),
    ("The answer is -7 1/2.", "-7.5"),
    ("The answer is ½.", "0.5"),
    ("The answer is 7½.", "7.5"),
    ("The answer is \\frac{1}{2}.", "0.5"),
    ("The answer is -\\dfrac{3}{4}.", "-0.75"),
    ("The answer is \\frac12.", "0.5"),
    ("The answer is 7\\frac{1}{2}.", "7.5"),
    ("The answer is \\frac{-3}{4}.", "-0.75"),
    ("The answer is 1e3.", "1000"),
    ("The answer is 1.5E-3.", "0.0015"),
    ("The answer is 1.5 × 10^3.", "1500"),
    ("The answer is 1.5 \\times 10^{-3}.", "0.0015"),
    ("The answer is 2·10³.", "2000"),
    ("The answer is 1e9999.", "1e9999"),
    ("The answer is 10e9998.", "1e9999"),
    # words
    ("The answer is seven.", "7"),
    ("The answer is forty-seven.", "47"),
    ("The answer is one of the two.", None),
    # equations, and what was left to compute
    ("The answer is 3 * 5 = 15.", "15"),
    ("The answer is 24 + 24 = 48 roses.", "48"),
    ("The answer is x = 5.", "5"),
    ("The answer is $11.08 + $14.33 = $25.41.", "25.41"),
    ("The answer is (3 + 4) * 2 = 14", "14"),
    ("The answer is 15 = 3 * 5.", "15"),
    ("The answer is 12 (since 3 * 4 = 12).", "12"),
    ("The answer is 12, because 3 * 5 = 15 - 3.", "12"),
    ("The answer is 10 - 5.", None),
    ("The answer is 3 x 5", None),
    ("The answer is 2^10.", None),
    ("The answer is 2**10.", None),
    ("The answer is 10³.", None),
    # several numbers, dates, times
    ("The answer is 12 apples and 3 pears.", "12"),
    ("The answer is 12 or 13.", None),
    ("The answer is 10-12.", None),
    ("The answer is 10–12 hours.", None),
    ("The answer is 12, 15, and 18.", None),
    ("The answer is 12, or 15.", None),
    ("The answer is (3,4).", None),
    ("The answer is 0.6 or 3/5.", "0.6"),
    ("The answer is 12/24/1937.", None),
    ("The answer is 2021-09-08.", None),
    ("The answer is 02:30:15.", None),
    ("The answer is 1.2.3.", None),
    # no answer
    ("The answer is not 5.", None),
    ("The answer is not five.", None),
    ("The answer is 5, not 6.", "5"),
    ("The answer isn't 5.", None),
    ("The answer is unclear. I count 5.", None),
    ("The answer cannot be determined.", None),
    ("The answer is B12.", None),
    ("", None),
    ("   \n", None),
    ("The answer is", None),
    ("The answer is.", None),
    ("\\boxed{}", None),
    ("\\boxed", None),
    ("#### Step 1: add 3 and 4", None),
    ("#### Step 1\nAdd 3 and 4 to get 7.", None),
    # without a cue: only a number that stands alone
    ("42", "42"),
    (" 42. ", "42"),
    ("$42", "42"),
    ("**42**", "42"),
    ("42 apples", "42"),
    ("-3", "-3"),
    ("= 42", "42"),
    ("48 / 2 = 24, and 48 + 24 = 72.\n72", "72"),
    ("Half of 48 is 24.\n\n**72 clips**", None),
    ("48 + 24 = 72", None),
    ("He has 5 apples and buys 3 more, so 8.", None),
    ("I am not sure.", None),
    ("Unanswered: 5", None),
]


@pytest.mark.parametrize("reply, expected", NUMBERS)
def test_numbers(reply, expected):
    assert parse_answer(reply, "number") == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**11), max_value=10**11, places=3))
def test_a_decimal_is_read_as_it_was_written(value):
    expected = parse_answer(f"The answer is {value}.", "number")
    assert expected is not None
    assert parse_answer(f"The answer is {value:,} apples.", "number") == expected
    assert float(expected) == float(value)


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_integers_are_equal_only_to_themselves(one, other):
    assert check_answer(f"The answer is {one:,}.", str(other), "number") is (one == other)
    assert check_answer(f"The answer is {one}.", f"{one}.0", "number")
