"""What names a label of its task, and what only stands where one should."""

from __future__ import annotations

import pytest

from symdistill.records import Example
from symdistill.tasks.labels import MOST_LABELS, labels_of


def question(i: int, gold: str | None, task: str = "coin", answer_type: str = "label") -> Example:
    return Example(id=f"{task}{i}", question=f"Question {i}?", answer=gold, answer_type=answer_type, task=task)


COIN = [question(i, gold) for i, gold in enumerate(["yes", "no", "No", "Yes.", None])]


@pytest.mark.parametrize(
    "answer, named",
    [
        ("yes", True),
        ("NO", True),
        ("**Yes**", True),
        ("X", False),
        ("This cycle", False),
        ("However", False),
        ("plausible", False),
        (None, False),
    ],
)
def test_a_closed_task_knows_its_labels(answer: str | None, named: bool) -> None:
    assert labels_of(COIN).named(COIN[0], answer) == (answer if named else None)


def test_labels_are_those_of_the_question_s_own_task() -> None:
    sports = [question(i, gold, "sports") for i, gold in enumerate(["plausible", "implausible"] * 2)]
    labels = labels_of([*COIN, *sports])
    assert labels.named(sports[0], "implausible") == "implausible"
    assert labels.named(sports[0], "yes") is None
    assert labels.named(question(9, None), "yes") == "yes", "an unlabelled question of a task that is known"


@pytest.mark.parametrize(
    "golds",
    [
        ["yes"] * 6,
        ["Paris", "Rome", "Oslo"],
        [f"name {i // 2}" for i in range(2 * MOST_LABELS + 2)],
        [],
    ],
    ids=["one answer", "each once", "very many", "none"],
)
def test_where_there_may_be_more_labels_every_answer_stands_but_the_placeholder(golds: list[str]) -> None:
    asked = [question(i, gold) for i, gold in enumerate(golds)]
    labels = labels_of(asked)
    assert labels.named(question(99, None), "Vienna") == "Vienna"
    assert labels.named(question(99, None), "X") is None


def test_an_x_that_is_a_label_is_one() -> None:
    game = [question(i, gold, "tic-tac-toe") for i, gold in enumerate(["X", "O"] * 3)]
    assert labels_of(game).named(game[1], "x") == "x"
    assert labels_of(game[:1]).named(game[1], "X") == "X"


@pytest.mark.parametrize("answer_type, answer", [("number", "5"), ("text", "X"), ("choice", "B")])
def test_other_types_are_left_alone(answer_type: str, answer: str) -> None:
    assert labels_of(COIN).named(question(1, None, answer_type=answer_type), answer) == answer
