"""What a reply answers: one row a way of saying it. None: no answer that can be read."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.prompts import cue
from symdistill.tasks import answers_equal, canonical_answer, check_answer, parse_answer, split_reply

CASES = [json.loads(line) for line in (Path(__file__).parent / "answers.jsonl").read_text("utf-8").splitlines()]
CANDLES = {"A": "shelf", "B": "board", "C": "church", "D": "table", "E": "dark"}
TYPES = ("number", "choice", "label", "text")


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['gold']}-{c['reply'][-30:]}")
def test_the_shared_cases(case):
    assert check_answer(case["reply"], case["gold"], case["answer_type"], case["choices"]) is case["correct"]


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


CHOICES = [
    ("Therefore, the answer is (E).", "E"),
    ("Therefore, the answer is E.", "E"),
    ("Therefore, the answer is E", "E"),
    ("Therefore, the answer is E) dark", "E"),
    ("Therefore, the answer is E. dark", "E"),
    ("Therefore, the answer is E: dark.", "E"),
    ("Therefore, the answer is E - dark.", "E"),
    ("Therefore, the answer is [E].", "E"),
    ("Therefore, the answer is **(E)**.", "E"),
    ("Therefore, the answer is **E**: dark", "E"),
    ('Therefore, the answer is "E".', "E"),
    ("Therefore, the answer is \\boxed{E}", "E"),
    ("Therefore, the answer is \\boxed{\\text{(E)}}", "E"),
    ("Therefore, the answer is (e).", "E"),
    ("Therefore, the answer is e.", "E"),
    ("Therefore, the answer is option (D).", "D"),
    ("Therefore, the answer is Option D: table", "D"),
    ("Therefore, the answer is choice d.", "D"),
    ("The correct option is (D).", "D"),
    ("The best choice is D.", "D"),
    ("The correct answer choice is D because tables are flat.", "D"),
    ("The answer is D, because a table is flat.", "D"),
    ("The answer is D, table.", "D"),
    ("The answer is A because shelves hold books.", "A"),
    ("The answer is A shelf.", "A"),
    ("The answer is A, shelf.", "A"),
    ("The answer is most likely (D).", "D"),
    ("The answer is probably D.", "D"),
    ("The answer is that it is the table (D).", "D"),
    ("The answer is (D), not (E).", "D"),
    ("Answer: D", "D"),
    ("## Answer\n(D)", "D"),
    ("#### D", "D"),
    ("Therefore, among A through E, the answer is C.", "C"),
    ("Option (C) is wrong. Therefore, the answer is option (D).", "D"),
    ("The answer is (A). Wait, (A) is wrong. The answer is (B).", "B"),
    # the choice's own words
    ("Therefore, the answer is dark.", "E"),
    ("Therefore, the answer is the dark.", "E"),
    ("Therefore, the answer is Dark", "E"),
    ('Therefore, the answer is "dark".', "E"),
    ("Therefore, the answer is in the dark, of course.", "E"),
    ("The answer is a board.", "B"),
    ("The answer is A board.", "B"),
    # letters need word boundaries; prose is no letter
    ("Therefore, the answer is Because.", None),
    ("Therefore, the answer is Eddie.", None),
    ("Therefore, the answer is vitamin A.", None),
    ("The answer is a mystery.", None),
    ("The answer is A mystery.", None),
    ("The answer is I think so.", None),
    ("The answer is C-shaped.", None),
    ("Because a candle is bright, we cannot tell.", None),
    ("A candle lights up a room, so it is not a shelf.", None),
    ("I think it is E.", None),
    # several, none of them, none at all
    ("Therefore, the answer is (A), (B), (C), or (D).", None),
    ("Therefore, the answer is A or C.", None),
    ("Therefore, the answer is A, B, or D.", None),
    ("Therefore, the answer is A/B.", None),
    ("Therefore, the answer is A (shelf) and B (board).", None),
    ("Therefore, the answer is E) dark or B) board.", None),
    ("Therefore, the answer is dark or table.", None),
    ("Therefore, the answer is not (A).", None),
    ("Therefore, the answer is not a shelf.", None),
    ("Therefore, the answer is (F).", None),
    ("Therefore, the answer is F.", None),
    ("Therefore, the answer is none of these.", None),
    ("The answer is", None),
    ("", None),
    # without a cue
    ("E", "E"),
    ("(E)", "E"),
    ("e", "E"),
    ("E) dark", "E"),
    ("E dark", "E"),
    ("dark", "E"),
    ("The dark.", "E"),
    ("A: shelf", "A"),
    ("A: board", None),
    ("Candles make light, so darkness goes.\n(E)", "E"),
    ("Candles make light.\nE) dark", "E"),
    ("dark or table", None),
    ("F", None),
]


@pytest.mark.parametrize("reply, expected", CHOICES)
def test_choices(reply, expected):
    assert parse_answer(reply, "choice", CANDLES) == expected


VITAMINS = {"A": "vitamin C", "B": "vitamin A", "C": "ice", "D": "ice cream"}
MORE_CHOICES = [
    ("The answer is vitamin A.", VITAMINS, "B"),
    ("The answer is vitamin C, as in oranges.", VITAMINS, "A"),
    ("The answer is ice cream.", VITAMINS, "D"),
    ("The answer is some ice cream, please.", VITAMINS, "D"),
    ("The answer is cold ice, please.", VITAMINS, "C"),
    ("The answer is -5.", {"A": "5", "B": "-5"}, "B"),
    ("The answer is 3.5", {"A": "35", "B": "3.5", "C": "3"}, "B"),
    ("The answer is 12/14/1937.", {"A": "12/14/1973", "B": "12/14/1937"}, "B"),
    ("The answer is red ball.", {"A": "brown ball.", "B": "red ball."}, "B"),
    ("The answer is +.", {"A": "+", "B": "-"}, "A"),
    ("The answer is same.", {"A": "same", "B": "same"}, None),
    ("The answer is (B).", {"A": "same", "B": "same"}, "B"),
    ("The answer is 2.", {"1": "dog", "2": "cat"}, "2"),
    ("The answer is (2) cat.", {"1": "dog", "2": "cat"}, "2"),
    # without the options any single letter may be one
    ("So the answer is (K).", None, "K"),
    ("So the answer is K.", None, "K"),
    ("So the answer is (k).", None, "K"),
    ("So the answer is C. Hope this helps.", None, "C"),
    ("So the answer is (A) and (B).", None, None),
    ("So the answer is Amy.", None, None),
    ("So the answer is a dog.", None, None),
    ("(R)", None, "R"),
    ("dog", None, None),
]


@pytest.mark.parametrize("reply, choices, expected", MORE_CHOICES)
def test_choices_of_other_kinds(reply, choices, expected):
    assert parse_answer(reply, "choice", choices) == expected


LABELS = [
    ("Therefore, the answer is Yes.", "Yes"),
    ("Therefore, the answer is **Yes**.", "Yes"),
    ('Therefore, the answer is "Yes".', "Yes"),
    ("Therefore, the answer (Yes or No) is No.", "No"),
    ("So the answer is no, it would not.", "no"),
    ("So the answer is no it would not.", "no"),
    ("So the answer is yes because coins flip.", "yes"),
    ("So the answer is yes — twice flipped.", "yes"),
    ("So the answer is: yes", "yes"),
    ("So the answer is\n\nyes", "yes"),
    ("So the answer is probably yes.", "yes"),
    ("So the answer is most likely no.", "no"),
    ("So the answer is \\boxed{\\text{True}}.", "True"),
    ("#### valid", "valid"),
    ("Answer: not enough info", "not enough info"),
    ("So the answer is very positive.", "very positive"),
    ("So the answer is Z = True.", "True"),
    ("So the answer is invalid.", "invalid"),
    ("So the answer is not True.", "not True"),
    ("So the answer is yes or no.", None),
    ("So the answer is yes/no.", None),
    ("So the answer is that the coin is still heads up after all those flips.", None),
    ("The answer is", None),
    ("yes", "yes"),
    ("Yes.", "Yes"),
    ("Yes, the coin is still heads up.", "Yes"),
    ("The coin was flipped twice.\nYes", "Yes"),
    ("Yes, Bob flips it. But then Ann flips it again.", None),
    ("I know nothing about snow.", None),
    ("I am not sure.", None),
    ("Nobody knows whether it snowed yesterday.", None),
    ("", None),
]


@pytest.mark.parametrize("reply, expected", LABELS)
def test_labels(reply, expected):
    assert parse_answer(reply, "label") == expected


@pytest.mark.parametrize(
    "reply, gold, right",
    [
        ("The answer is YES.", "yes", True),
        ("The answer is not_entailment.", "not entailment", True),
        ("The answer is invalid.", "valid", False),
        ("The answer is valid.", "invalid", False),
        ("The answer is not valid.", "valid", False),
        ("The answer is unknown.", "no", False),
        ("The answer is nothing.", "no", False),
        ("The answer is yesterday.", "yes", False),
        ("The answer is untrue.", "True", False),
        ("The answer is not False.", "False", False),
    ],
)
def test_a_label_is_never_a_part_of_a_word(reply, gold, right):
    assert check_answer(reply, gold, "label") is right


TEXTS = [
    ("Therefore, the answer is nk.", "nk"),
    ('Therefore, the answer is "nk".', "nk"),
    ("Therefore, the answer is “nk”.", "nk"),
    ("Therefore, the answer is 'nk'.", "nk"),
    ("Therefore, the answer is `nk`.", "nk"),
    ("Therefore, the answer is **nk**.", "nk"),
    ("Therefore, the answer is nk. I hope this helps!", "nk"),
    ('Therefore, the answer is "nk". I hope this helps!', "nk"),
    ('Therefore, the answer is the word "nk".', "nk"),
    ("Therefore, the answer is:\n\nnk", "nk"),
    ("Therefore, the answer is nk.\n\nQ: And now?", "nk"),
    ("\\boxed{\\text{nk}}", "nk"),
    ("#### nk", "nk"),
    ("So the answer is ] ] >.", "] ] >"),
    ("So the answer is ]]>", "]]>"),
    ("So the answer is 02:30:15.", "02:30:15"),
    ("So the answer is C=3,E=0.", "C=3,E=0"),
    ("So the answer is 2 × 2 × 3.", "2 × 2 × 3"),
    ("So the answer is [28, 88, 49].", "[28, 88, 49]"),
    ("So the answer is 2240*x**5 + 3584*x**3.", "2240*x**5 + 3584*x**3"),
    ("So the answer is Dr. Smith.", "Dr. Smith"),
    ("So the answer is You have tried it already?.", "You have tried it already?"),
    ("So the answer is don't stop.", "don't stop"),
    ('So the answer is "a", "b".', '"a", "b"'),
    ("So the answer is\n2 1 4\n4 3 1\n1 2 3.", "2 1 4\n4 3 1\n1 2 3"),
    ("So the answer is 2 1 4\n4 3 1\n\nHope this helps", "2 1 4\n4 3 1"),
    ("The answer is", None),
    ('The answer is "".', None),
    ("", None),
    ("nk", "nk"),
    ('"nk"', "nk"),
    ("apple banana cherry date egg", "apple banana cherry date egg"),
    ("I do not know.", None),
    ("The last letters are n and k, so we join them.", None),
    ("The last letters are n and k.\nnk", None),
]


@pytest.mark.parametrize("reply, expected", TEXTS)
def test_texts(reply, expected):
    assert parse_answer(reply, "text") == expected


@pytest.mark.parametrize(
    "answer_type, choices, group",
    [
        ("number", None, ("18", "18.0", "18.00", "+18", "$18", "18%", "36/2", "1.8e1", "18 apples", " 18. ")),
        ("number", None, ("0.5", "1/2", ".5", "0.50", "½", "50/100", "5e-1")),
        ("number", None, ("1000000", "1,000,000", "1e6", "10^6 * 1".replace("^6 * 1", "00000"))),
        ("number", None, ("1/3", "2/6", "0.333333333333333333", "0.3333333333333333")),
        ("number", None, ("0.3", "0.30000000000000004")),
        ("number", None, ("0", "-0", "0.0", "0/5")),
        ("text", None, ("]]>", "] ] >", " ] ]>", '"] ] >"')),
        ("text", None, ("nk", "NK", '"nk"', "n k", "(nk)", "nk.", "**nk**")),
        ("text", None, ("a, b", "a,b", "A, B", "'a', 'b'")),
        ("text", None, ("[1, 2]", "[1,2]", "[ 1, 2 ]")),
        ("label", None, ("Yes", "yes", "YES", '"yes"', "yes.")),
        ("choice", CANDLES, ("E", "e", "(E)", "E)", "dark", "Dark.", "E: dark")),
        ("choice", None, ("E", "(E)", "e")),
    ],
)
def test_equal_answers_fall_together(answer_type, choices, group):
    assert len({canonical_answer(answer, answer_type, choices) for answer in group}) == 1
    assert all(answers_equal(one, other, answer_type, choices) for one in group for other in group)


@pytest.mark.parametrize(
    "answer_type, choices, group",
    [
        ("number", None, ("11", "711", "1.1", "-11", "110", "0.11", "1/11", "11e11")),
        ("number", None, ("1e9999", "1e9998", "-1e9999")),
        ("number", None, ("12345678901234567890", "12345678901234567891")),
        ("text", None, ("a b", "ab c", "b a", "abc d")),
        ("text", None, ("4 4", "44")),
        ("text", None, ("] >", "> ]", "]", "[ >")),
        ("label", None, ("valid", "invalid", "not valid", "true", "untrue")),
        ("choice", CANDLES, ("A", "B", "dark")),
    ],
)
def test_different_answers_stay_apart(answer_type, choices, group):
    assert len({canonical_answer(answer, answer_type, choices) for answer in group}) == len(group)


def test_an_unparsed_answer_equals_nothing():
    assert not answers_equal(None, "None", "text")
    assert not check_answer("", "", "text")


@pytest.mark.parametrize(
    "gold, answer_type, choices",
    [
        ("72", "number", None),
        ("-3.5", "number", None),
        ("1/3", "number", None),
        ("1,234", "number", None),
        ("1e9999", "number", None),
        ("E", "choice", CANDLES),
        ("A", "choice", CANDLES),
        ("A", "choice", None),
        ("not enough info", "label", None),
        ("True", "label", None),
        ("] ] >", "text", None),
        (")", "text", None),
        ("02:30:15", "text", None),
        ("You have tried it already?", "text", None),
        ("2 1 4 3\n4 3 1 2", "text", None),
        ("[['a', 'b'], ['c']]", "text", None),
        ("['14', '-48.986']", "text", None),
        ("Monsters, Inc", "text", None),
    ],
)
def test_the_projects_own_closing_sentence_is_read_back(gold, answer_type, choices):
    assert check_answer(f"First this. Then that.\n{cue(gold)}", gold, answer_type, choices)
    assert check_answer(gold, gold, answer_type, choices) or "\n" in gold


@pytest.mark.parametrize(
    "reply, rationale, answer",
    [
        ("Half of 48 is 24. Therefore, the answer is 72.", "Half of 48 is 24.", "Therefore, the answer is 72."),
        ("Half is 24.\nSo the answer is 72", "Half is 24.", "So the answer is 72"),
        (
            "First I thought the answer is 12. But the answer is 15.",
            "First I thought the answer is 12.",
            "But the answer is 15.",
        ),
        ("He has $3.50 left. The answer is 3.5.", "He has $3.50 left.", "The answer is 3.5."),
        ("48/2 = 24\n#### 24", "48/2 = 24", "#### 24"),
        ("It is dark.\n\n**Answer:** (E)", "It is dark.", "**Answer:** (E)"),
        ("We get \\boxed{3}", "", "We get \\boxed{3}"),
        ("The answer is 3.", "", "The answer is 3."),
        ("No cue at all, just 3.", "No cue at all, just 3.", None),
        ("", "", None),
    ],
)
def test_a_reply_is_cut_before_its_last_cue(reply, rationale, answer):
    assert split_reply(reply) == (rationale, answer)


HOSTILE = {
    "repeated cue": "the answer is " * 7_000,
    "repeated word": "answer " * 14_000,
    "open cue": "answer to " + "a" * 100_000,
    "open cues": "answer to the " * 7_000,
    "cue, then words": "The answer is " + "x " * 50_000,
    "words, then cue": "x " * 50_000 + "The answer is 5.",
    "digits": "The answer is " + "9" * 100_000,
    "spaced digits": "The answer is " + "1 " * 50_000,
    "thousands": "The answer is " + "1,234" * 20_000,
    "groups": "The answer is 1" + ",234" * 25_000,
    "sum": "The answer is " + "1+" * 50_000 + "1",
    "equations": "The answer is " + "1=" * 50_000 + "1",
    "slashes": "The answer is " + "1/" * 50_000 + "1",
    "braces": "\\boxed{" * 14_000,
    "nested": "\\boxed" + "{" * 50_000 + "}" * 50_000,
    "exponent": "The answer is 1e" + "9" * 100_000,
    "power": "The answer is 10^" + "9" * 100_000,
    "large exponent": "The answer is 10^9999 and 1e999999",
    "brackets": "The answer is " + "(" * 100_000,
    "quotes": "The answer is " + "'\"" * 50_000,
    "stars": "The answer is " + "*" * 100_000,
    "dollars": "$" * 100_000,
    "spaces": "The answer is" + " " * 100_000,
    "newlines": "\n" * 100_000,
    "lines": "The answer is 1 2\n" + "3 4\n" * 25_000,
    "hashes": "#" * 100_000,
    "one line of digits": "7" * 100_000,
    "one line of words": "no " * 33_000,
    "backslashes": "The answer is " + "\\" * 100_000,
    "fractions": "The answer is " + "\\frac{" * 16_000,
    "letters": "The answer is " + "(A), " * 20_000,
    "dots": "The answer is " + "a. " * 33_000,
    "ligatures": "The answer is " + "\ufdfa" * 33_000,
    "surrogates": "The answer is " + "\ud800" * 50_000,
    "zeros": "The answer is 0." + "0" * 99_000 + "1",
    "think": "<think>" * 7_000 + "</think>" * 7_000,
    "headings": "# Answer\n" * 11_000,
    "spaces between": ("answer" + " " * 60) * 1_500,
}


@pytest.mark.parametrize("answer_type", TYPES)
@pytest.mark.parametrize("name", HOSTILE)
def test_100_kilobytes_take_at_most_50_milliseconds(name, answer_type):
    reply, choices = HOSTILE[name], CANDLES if answer_type == "choice" else None
    took = []
    for _ in range(3):  # processor time, the quickest of three: other work on the machine is not what is measured
        began = time.process_time()
        check_answer(reply, "5", answer_type, choices)
        took.append(time.process_time() - began)
    assert min(took) < 0.05
    split_reply(reply)
    canonical_answer(reply, answer_type, choices)


PIECES = [
    *("the answer is", "Answer:", "####", "\\boxed{", "}", "{", "\\frac", "\n", " ", ".", ",", "-", "\u2212", "/", "="),
    *(
        "*",
        "**",
        "(",
        ")",
        "[",
        "]",
        "A",
        "b",
        "(C)",
        "yes",
        "no",
        "not",
        "or",
        "and",
        "1",
        "23",
        "456",
        "1e9",
        "e",
        "^",
    ),
    *("$", "%", "½", "²", '"', "'", "“", "\u00a0", "\ud83d", "é", "中", "\x00", "٣", "option", "dark", "<think>", "İ"),
    *("</think>", "<", ">", "correct choice", "Answer\n"),
]


def test_ten_thousand_strange_replies_raise_nothing():
    draw = random.Random(7)
    for _ in range(10_000):
        reply = "".join(draw.choice(PIECES) + draw.choice(("", " ")) for _ in range(draw.randrange(1, 14)))
        answer_type = draw.choice(TYPES)
        choices = CANDLES if answer_type == "choice" and draw.random() < 0.8 else None
        parsed = parse_answer(reply, answer_type, choices)
        assert parsed is None or parsed.strip() == parsed != ""
        assert check_answer(reply, reply, answer_type, choices) in (True, False)
        rationale, concluded = split_reply(reply)
        assert rationale + (concluded or "") == "" or (rationale + (concluded or "")).strip()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.sampled_from(TYPES))
def test_any_text_at_all_is_read_or_refused(text, answer_type):
    for reply in (text, f"So the answer is {text}", f"{text} The answer is {text}."):
        parsed = parse_answer(reply, answer_type)
        assert parsed is None or answers_equal(parsed, parsed, answer_type)


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
