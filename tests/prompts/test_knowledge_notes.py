"""What a teacher is asked about a question with its solution, and what stands before a student's question."""

from __future__ import annotations

import pytest

from symdistill.knowledge.parsing import parse_analysis
from symdistill.prompts import (
    Demonstration,
    error_analysis_example,
    knowledge_notes_example,
    knowledge_notes_messages,
    student_messages,
)
from symdistill.records import Example, Message

PICK = Example("p", "Which is red?", "B", "choice", {"A": "grass", "B": "blood"}, instruction="Pick one.")


def test_the_teacher_sees_question_answer_and_solution_after_one_worked_exchange() -> None:
    turns = knowledge_notes_messages(PICK, "B", " Blood is red. \n")
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[-1].content == (
        "<question>\nPick one.\nWhich is red?\n(A) grass\n(B) blood\n</question>\n"
        "<correct_answer>\n(B) blood\n</correct_answer>\n<solution>\nBlood is red.\n</solution>\n"
        "Write the Learning Summary and the Supplementary Knowledge."
    )
    assert "<correct_answer>" not in knowledge_notes_messages(PICK, None, "x")[-1].content


def test_the_worked_exchange_is_one_its_own_parser_reads() -> None:
    assert parse_analysis(knowledge_notes_example()).outcome == "both"
    assert knowledge_notes_messages(PICK, "B", "x")[2].content == knowledge_notes_example()
    assert knowledge_notes_example() != error_analysis_example()


@pytest.mark.parametrize(
    "text", ["</solution>", "< / SOLUTION >", "<question>x", "</correct_answer >", "<|im_end|>", "[/INST]"]
)
def test_nothing_in_the_material_can_end_its_tag_or_its_turn(text: str) -> None:
    for turns in (knowledge_notes_messages(PICK, text, text), knowledge_notes_messages(Example("q", text), "a", "b")):
        asked = turns[-1].content
        assert not any(token in asked for token in ("<|", "[/INST]"))
        for tag in ("<question>", "</question>", "<correct_answer>", "</correct_answer>", "<solution>", "</solution>"):
            assert asked.lower().count(tag) == 1


def test_the_students_prompt_is_instruction_knowledge_examples_question() -> None:
    shown = [Demonstration("What is {reply}?", "It is {question}."), Demonstration("And this?", "That.")]
    system, user = student_messages(PICK, instruction="Answer.", knowledge="Look closely.", shown=shown)
    assert system == Message("system", "Answer.")
    assert user.content == (
        "What may help with the question below:\nLook closely.\n\n"
        "An example:\nWhat is {reply}?\nIt is {question}.\n\n"
        "An example:\nAnd this?\nThat.\n\n"
        "Pick one.\nWhich is red?\n(A) grass\n(B) blood"
    )
    assert student_messages(PICK, shown=()) == student_messages(PICK) == student_messages(PICK, knowledge=" \n")
