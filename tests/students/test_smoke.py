from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from symdistill.errors import CallFailed
from symdistill.models.base import Capacity
from symdistill.records import Completion, Example, Message, Request
from symdistill.students.smoke import repetition, smoke_check

QUESTIONS = [(Example(f"q{i}", f"{i}+{i}?", str(2 * i), "number"), (Message("user", f"{i}+{i}?"),)) for i in range(3)]
GOOD = "Two and two make four. Therefore, the answer is 4."


class Replies:
    """A model with one reply after another."""

    name = "scripted:replies"
    capacity = Capacity()

    def __init__(self, *replies: str | CallFailed, cut: bool = False) -> None:
        self.replies = replies
        self.cut = cut
        self.asked: list[Request] = []

    async def generate(self, requests: Sequence[Request]) -> list[Completion | CallFailed]:
        self.asked += requests
        finish = "length" if self.cut else "stop"
        return [
            r if isinstance(r, CallFailed) else Completion(q.key, r, finish_reason=finish)
            for q, r in zip(requests, self.replies, strict=True)
        ]

    def count_tokens(self, request: Request) -> int:
        return 1

    async def close(self) -> None: ...


def test_nothing_to_report() -> None:
    model = Replies(GOOD, GOOD, GOOD)
    assert smoke_check(model, QUESTIONS, max_new_tokens=77) == []
    assert {r.sampling.max_tokens for r in model.asked} == {77}
    assert [r.messages for r in model.asked] == [prompt for _, prompt in QUESTIONS]


@pytest.mark.parametrize(
    "model, words",
    [
        (Replies(GOOD, GOOD, GOOD, cut=True), "3 of 3 replies did not end within 64 tokens."),
        (Replies(GOOD, "No idea at all.", GOOD), "1 of 3 replies ended without an answer"),
        (Replies(GOOD, "Add one. " * 12 + GOOD, GOOD), "1 of 3 replies repeat themselves, such as"),
        (Replies(GOOD, CallFailed("rejected", "too long"), GOOD), "1 of 3 replies could not be made: too long"),
    ],
    ids=["endless", "unreadable", "circling", "failed"],
)
def test_each_fault_is_one_sentence(model: Replies, words: str) -> None:
    [finding] = smoke_check(model, QUESTIONS, max_new_tokens=64)
    assert finding.startswith(words)


def test_the_caller_may_say_how_answers_are_read() -> None:
    assert smoke_check(Replies("a", "b", "c"), QUESTIONS, parse=lambda text, _type, _choices: text) == []


def test_no_questions() -> None:
    assert smoke_check(Replies(), []) == []


@pytest.mark.parametrize(
    "text, circling",
    [
        ("the cat sat on the mat. " * 5, True),
        ("1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1", True),
        ("x" * 50, True),
        ("Fine so far. " + "So the sum is 12.\n" * 4 + "Done.", True),
        ("12 + 12 = 24. 24 + 12 = 36. 36 + 12 = 48. The answer is 48.", False),
        ("-" * 80, False),
        ("1000000000000", False),
        ("ha ha ha ha", False),
        ("", False),
    ],
)
def test_repetition(text: str, circling: bool) -> None:
    assert (repetition(text) is not None) == circling


def test_a_check_inside_a_running_loop() -> None:
    async def cell() -> list[str]:
        return smoke_check(Replies(GOOD, GOOD, GOOD), QUESTIONS)

    assert asyncio.run(cell()) == []


class TwoStretches(Replies):
    """Replies whose steps come before the text they go on from."""

    def __init__(self, steps: str, answer: str) -> None:
        super().__init__()
        self._steps, self._answer = steps, answer

    async def generate(self, requests: Sequence[Request]) -> list[Completion | CallFailed]:
        self.asked += requests
        return [Completion(q.key, self._answer, first=Completion(q.key, self._steps)) for q in requests]


@pytest.mark.parametrize(
    "steps, answer, words",
    [
        ("Two and two.", " 4.", ""),
        ("Two and two.", " hard to say", "3 of 3 replies ended without an answer"),
        ("Add one. " * 12, " 4.", "3 of 3 replies repeat themselves"),
    ],
)
def test_the_answer_is_read_from_the_second_stretch_and_loops_from_both(steps: str, answer: str, words: str) -> None:
    model = TwoStretches(steps, answer)
    findings = smoke_check(model, QUESTIONS, then="\nTherefore, the answer is")
    assert [f.startswith(words) for f in findings] == [True] * bool(words)
    assert {r.sampling.then for r in model.asked} == {"\nTherefore, the answer is"}
