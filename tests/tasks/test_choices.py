"""Options in replies: letters, texts, and letters that are not one."""

from __future__ import annotations

import pytest

from symdistill.tasks import parse_answer

CANDLES = {"A": "shelf", "B": "board", "C": "church", "D": "table", "E": "dark"}
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
