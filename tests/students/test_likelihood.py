"""How probable a student holds a completion, against one forward pass by hand."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from symdistill.errors import TrainingError
from symdistill.records import Message, TrainingExample
from symdistill.students.formatting import encode_examples
from symdistill.students.likelihood import completion_losses
from tiny import tiny_student


def example(head: str, tail: str) -> TrainingExample:
    return TrainingExample(head, (Message("user", head),), tail)


def test_the_loss_is_that_of_the_completion_alone() -> None:
    student = tiny_student()
    asked = [example("a", "to eat"), example("a much longer question", "to sleep for a while"), example("a", "no")]
    found = completion_losses(student, asked)
    for one, loss in zip(encode_examples(student.format, asked, 2048).examples, found, strict=True):
        with torch.no_grad():
            said = student.model(torch.tensor([one.input_ids])).logits[0].log_softmax(-1)
        places = range(one.prompt_length, len(one.input_ids))
        by_hand = -sum(float(said[place - 1, one.input_ids[place]]) for place in places) / len(places)
        assert loss == pytest.approx(by_hand, rel=1e-4)


def test_company_does_not_change_a_loss() -> None:
    student = tiny_student()
    asked = [example(f"question {n} " * n, f"tail {n}") for n in range(1, 9)]
    together = completion_losses(student, asked)
    alone = [completion_losses(student, [one])[0] for one in asked]
    assert together == pytest.approx(alone, rel=1e-4)


def test_what_is_too_long_to_read_is_said() -> None:
    with pytest.raises(TrainingError, match="longer than the 64 tokens"):
        completion_losses(tiny_student(max_position_embeddings=64), [example("a", "b"), example("a " * 60, "b")])
