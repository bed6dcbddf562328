"""What a reply answers: one row a way of saying it. None: no answer that can be read."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill.tasks import answers_equal, canonical_answer, check_answer, parse_answer, split_reply

CASES = [json.loads(line) for line in (Path(__file__).parent / "answers.jsonl").read_text("utf-8").splitlines()]
CANDLES = {"A": "shelf", "B": "board", "C": "church", "D": "table", "E": "dark"}
TYPES = ("number", "choice", "label", "text")


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['gold']}-{c['reply'][-30:]}")
def test_the_shared_cases(case):
    assert check_answer(case["reply"], case["gold"], case["answer_type"], case["choices"]) is case["correct"]


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
        ("number", None, ("1000000", "1,000,000", "1 million", "1,000 thousand", "1e6")),
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
    "units": "The answer is " + "2 hours and " * 8_000,
    "scales": "The answer is 2" + " million" * 12_000,
    "long scale": "The answer is " + "9" * 3_900 + " million dozen hundred" + " 1/2 dozen" * 9_000,
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
