"""From replies to rationales: what is learned, what is read as the answer, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symdistill import content
from symdistill.curation import CurationSettings, rationales
from symdistill.errors import DataError
from symdistill.progress import Silent
from symdistill.records import Completion, Example, Message, Request, Sampling

EXAMPLE = Example("q1", "What is 3 * 4?", "12", "number", task="products")
RIGHT = "3 * 4 = 12. Therefore, the answer is 12."


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def ask(example: Example, index: int = 0) -> Request:
    return content.request("teacher", [Message("user", example.question)], Sampling(), index, example.id)


def one(completion: Completion, example: Example = EXAMPLE, **settings):
    request = ask(example)
    found = rationales([example], [request], {request.key: completion}, CurationSettings(**settings))
    assert len(found) == 1
    return found[0]


def test_everything_a_rationale_knows():
    request = ask(EXAMPLE, 3)
    completion = Completion(request.key, f"  {RIGHT}\n", token_logprobs=(-0.5, -1.5))
    (found,) = rationales([EXAMPLE], [request], {request.key: completion}, CurationSettings())
    assert (found.example_id, found.task, found.question) == ("q1", "products", "What is 3 * 4?")
    assert (found.text, found.answer, found.correct, found.truncated) == (RIGHT, "12", True, False)
    assert (found.sample_index, found.model, found.key) == (3, "teacher", request.key)
    assert found.token_logprobs == (-0.5, -1.5)


@pytest.mark.parametrize(
    "text, gold, answer, correct",
    [
        (RIGHT, "12", "12", True),
        (RIGHT, "12.0", "12", True),
        (RIGHT, "712", "12", False),
        (RIGHT, None, "12", None),
        ("I do not know.", "12", None, False),
        ("I do not know.", None, None, None),
        ("", "12", None, False),
    ],
)
def test_verdict(text, gold, answer, correct):
    found = one(Completion("k", text), replace(EXAMPLE, answer=gold))
    assert (found.answer, found.correct) == (answer, correct)


def test_choices_are_read_with_the_options():
    example = Example("q", "Which?", "B", "choice", {"A": "a bird", "B": "a fish"})
    found = one(Completion("k", "It swims. Therefore, the answer is a fish."), example)
    assert (found.answer, found.correct) == ("B", True)


THOUGHT = "Hmm, 11? The answer is 11. No, 12."


@pytest.mark.parametrize(
    "source, reasoning, reply, text",
    [
        ("reply", THOUGHT, RIGHT, RIGHT),
        ("reasoning", THOUGHT, RIGHT, THOUGHT),
        ("both", THOUGHT, RIGHT, f"{THOUGHT}\n\n{RIGHT}"),
        ("reply", None, RIGHT, RIGHT),
        ("reasoning", None, RIGHT, RIGHT),
        ("both", None, RIGHT, RIGHT),
        ("reasoning", " \n", RIGHT, RIGHT),
        ("both", "", RIGHT, RIGHT),
        ("reply", None, f"<think>{THOUGHT}</think>\n{RIGHT}", RIGHT),
        ("reasoning", None, f"<think>\n{THOUGHT}\n</think>\n{RIGHT}", THOUGHT),
        ("both", None, f"<think>{THOUGHT}</think>{RIGHT}", f"{THOUGHT}\n\n{RIGHT}"),
    ],
)
def test_what_is_learned_and_that_the_answer_comes_from_the_reply(source, reasoning, reply, text):
    found = one(Completion("k", reply, reasoning), rationale_from=source)
    assert (found.text, found.answer, found.correct) == (text, "12", True)


@pytest.mark.parametrize("source", ["reply", "reasoning", "both"])
def test_reasoning_alone_answers_nothing(source):
    found = one(Completion("k", "", "Surely 12. The answer is 12.", "length"), rationale_from=source)
    assert (found.answer, found.correct, found.truncated) == (None, False, True)


@pytest.mark.parametrize(
    "completion, truncated",
    [
        (Completion("k", RIGHT, finish_reason="length"), True),
        (Completion("k", f"<think>{RIGHT}"), True),
        (Completion("k", f"<think>x</think>{RIGHT}"), False),
        (Completion("k", RIGHT), False),
    ],
)
def test_truncated(completion, truncated):
    assert one(completion).truncated is truncated


def test_replies_without_reasoning_are_counted():
    notes = Notes()
    requests = [ask(EXAMPLE, index) for index in range(3)]
    replies = {r.key: Completion(r.key, RIGHT, "hm" if r.sample_index == 1 else None) for r in requests}
    rationales([EXAMPLE], requests, replies, CurationSettings(rationale_from="both"), notes)
    assert len(notes.lines) == 1
    assert "2 of 3 replies" in notes.lines[0]
    rationales([EXAMPLE], requests, replies, CurationSettings(), notes)
    assert len(notes.lines) == 1


def test_requests_that_failed_are_left_out_and_the_order_is_theirs():
    requests = [ask(EXAMPLE, index) for index in (4, 1, 2)]
    replies = {r.key: Completion(r.key, RIGHT) for r in reversed(requests) if r.sample_index != 1}
    found = rationales([EXAMPLE], requests, replies, CurationSettings())
    assert [r.sample_index for r in found] == [4, 2]


def test_questions_in_the_same_words_share_a_reply():
    """Their requests have one key; each question still gets its rationale, judged against its own gold answer."""
    twin = replace(EXAMPLE, id="q2", answer="13")
    requests = [ask(EXAMPLE), ask(twin)]
    assert requests[0].key == requests[1].key
    found = rationales([EXAMPLE, twin], requests, {requests[0].key: Completion("k", RIGHT)}, CurationSettings())
    assert [(r.example_id, r.correct) for r in found] == [("q1", True), ("q2", False)]


def test_a_reply_about_an_unknown_question_is_an_error():
    request = ask(EXAMPLE)
    with pytest.raises(DataError, match="'q1'"):
        rationales([replace(EXAMPLE, id="q9")], [request], {request.key: Completion("k", RIGHT)}, CurationSettings())
