"""When an item states the answer of its own question, or copies the question."""

from __future__ import annotations

import pytest

from symdistill.knowledge.leaks import copies_question, leaks_answer
from symdistill.records import Example

NUMBER = Example("n", "Ann has 48 eggs and sells 17. How many are left?", "31", "number")
BIG = Example("b", "Ann has 48 eggs and buys 69. How many has she?", "117", "number")
SMALL = Example("s", "Ann has 8 eggs and sells 5. How many are left?", "3", "number")
GIVEN = Example("g", "Ann has 48 eggs and sells none. How many are left?", "48", "number")
CHOICE = Example("c", "Where does it help?", "B", "choice", {"A": "at noon", "B": "in the dark", "C": "under water"})
DATES = Example("d", "What day is it?", "A", "choice", {"A": "05/01/2021", "B": "02/23/2021"})
LABEL = Example("l", "not ( True ) is", "False", "label")
YES = Example("y", "Do you return to the start?", "Yes", "label")
WORD = Example("w", "Take the last letters of Elon Musk.", "nsk", "text")
NAME = Example("m", "Who wrote the play, Ann or Bob?", "Bob", "text")
DYCK = Example("k", "Complete: [ [ {", "} ] ]", "text")
UNLABELLED = Example("u", "What is it?", None, "number")


@pytest.mark.parametrize(
    "text, example, leaks",
    [
        ("1. Add first.\n2. There are 117 eggs.", BIG, True),
        ("Add first. The answer is 117.", BIG, True),
        ("The total is 117 eggs.", BIG, True),
        ("48 + 69 = 117", BIG, True),
        ("Never write 1170 or 11.7 for it.", BIG, False),
        ("117. Check the units.", BIG, False),
        ("See step 117 of the list.", BIG, False),
        ("1. Read.\n2. Count.\n3. Subtract.", SMALL, False),
        ("A triangle has 3 sides.", SMALL, False),
        ("Do this in three steps.", SMALL, False),
        ("The answer is 3.", SMALL, True),
        ("8 - 5 = 3", SMALL, True),
        ("Some months have 31 days.", NUMBER, False),
        ("The answer is 31.", NUMBER, True),
        ("Ann starts with 48 eggs.", GIVEN, False),
        ("So the answer is 48.", GIVEN, True),
        ("The answer is (B).", CHOICE, True),
        ("Choose option B here.", CHOICE, True),
        ("Plan B is a good plan.", CHOICE, False),
        ("A candle is useful in the dark.", CHOICE, True),
        ("Compare in the dark, at noon and under water.", CHOICE, False),
        ("Compare option A with option B.", CHOICE, False),
        ("A) think, B) write.", CHOICE, False),
        ("The date is 05/01/2021.", DATES, True),
        ("A year has 12 months; write MM/DD/YYYY.", DATES, False),
        ("not True is False, and not False is True.", LABEL, False),
        ("The answer is False.", LABEL, True),
        ("If you end where you began, say Yes, else No.", YES, False),
        ("If you end where you began, the answer is Yes. Otherwise, the answer is No.", YES, False),
        ("The answer is Yes.", YES, True),
        ("Join them: nsk", WORD, True),
        ("Think and ask.", WORD, False),
        ("Bob is a name.", NAME, False),
        ("The answer is Bob.", NAME, True),
        ("Close with } ] ] in this order.", DYCK, True),
        ("Close every bracket.", DYCK, False),
        ("The answer is 5.", UNLABELLED, False),
        ("The total should be 3.", SMALL, True),
        ("The result would be 3 eggs.", SMALL, True),
        ("The final count is 3", SMALL, True),
        ("The total number of eggs left is 3.", SMALL, True),
        ("8 minus 5 gives 3", SMALL, True),
        ("You get 3.", SMALL, True),
        ("Taking them away leaves her with 3 eggs; she ends up with 3.", SMALL, True),
        ("8 - 5 = three", SMALL, True),
        ("The answer is three.", SMALL, True),
        ("If you take 5 from 8, you get 3.", SMALL, False),
        ("It gives 3 * 4 at first.", SMALL, False),
        ("It gives 30 eggs.", SMALL, False),
        ("Get 30% of them.", SMALL, False),
        ("The sum of the sides of a triangle is 3 times as long.", SMALL, False),
        ("It is one hundred seventeen.", BIG, True),
        ("There are one hundred and seventeen eggs.", BIG, True),
        ("One hundred, seventeen, eggs.", BIG, False),
    ],
)
def test_what_gives_the_answer_away(text: str, example: Example, leaks: bool) -> None:
    assert leaks_answer(text, example) is leaks


@pytest.mark.parametrize(
    "text, question, copies",
    [
        ("Note: Ann has 48 eggs and sells 17. How many are left?", NUMBER.question, True),
        ("ANN HAS 48 EGGS, and sells 17; how many", NUMBER.question, True),
        ("Ann has 48 eggs and sells some", NUMBER.question, False),
        ("How many are left? Subtract what is sold.", NUMBER.question, False),
        ("Where does it help?", "Where does it help?", False),
        ("Ask: where does it help most?", "Where does it help most?", True),
        ("", "Where does it help most?", False),
        ("text", "", False),
    ],
)
def test_what_is_copied(text: str, question: str, copies: bool) -> None:
    assert copies_question(text, question) is copies
