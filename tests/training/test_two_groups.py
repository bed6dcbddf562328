"""The losses of methods with two groups: weights mean what they say, and CasCoD's passes share what they read."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from symdistill.methods import METHODS, Material
from symdistill.models.chat import prompt_format
from symdistill.records import Example, Rationale
from symdistill.students.formatting import EncodedExample, encode_examples
from symdistill.training.collation import Collator, QuestionBatches
from symdistill.training.losses import CompletionLoss, group_sizes
from symdistill.training.shared_attention import sharing
from tiny import tiny_model, tiny_tokenizer

FORM = prompt_format(tiny_tokenizer())
QUESTIONS = tuple(Example(f"q{i}", f"{i} + {i * i} =", str(i + i * i), "number") for i in range(1, 7))
MATERIAL = Material(
    QUESTIONS,
    tuple(
        Rationale(q.id, q.task, q.question, f"{q.question} {q.answer}. " * (1 + i % 3), q.answer, True, 0, "m", "k")
        for i, q in enumerate(QUESTIONS)
    ),
)
GROUPS = ("answer", "rationale")


def encoded(name: str, **settings: Any) -> list[EncodedExample]:
    kind = METHODS[name]
    method = kind(kind.settings_type(name=name, **settings), student_instruction="Add.")
    return list(encode_examples(FORM, method.training_examples(MATERIAL), 512).examples)


def step(examples: list[EncodedExample], weights: dict[str, float], share: bool = False) -> tuple[float, torch.Tensor]:
    """Loss and gradient of one optimiser step over all the examples."""
    model = tiny_model()
    batches = Collator(GROUPS, batch_size=4, share=share)(examples)
    lambdas = torch.tensor([weights[g] for g in GROUPS], dtype=torch.float64)
    loss = CompletionLoss(model, lambdas, chunked=True)
    total = 0.0
    for batch in batches:
        if batch.layout is None:
            part = loss(model, batch, group_sizes(batches, len(GROUPS)))
            part.backward()
        else:
            with sharing(model):
                part = loss(model, batch, group_sizes(batches, len(GROUPS)))
                part.backward()
        total += float(part.detach())
    return total, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", ["mt-cot", "step-by-step", "cascod"])
@pytest.mark.parametrize("silent, heard", [("rationale", "answer"), ("answer", "rationale")])
def test_a_group_of_weight_nought_has_no_gradient(name: str, silent: str, heard: str) -> None:
    examples = encoded(name)
    weights = {silent: 0.0, heard: 0.6}
    loss, gradient = step(examples, weights)
    expected_loss, expected = step([e for e in examples if e.group == heard], weights)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    alone, nothing = step([e for e in examples if e.group == silent], weights)
    assert alone == 0
    assert float(nothing.abs().max()) == 0
    assert float(expected.abs().max()) > 0


def test_step_by_step_with_alpha_one_half_is_half_of_lambda_one() -> None:
    kind = METHODS["step-by-step"]
    half, whole = (
        kind(kind.settings_type(name="step-by-step", **settings)).group_weights for settings in ({"alpha": 0.5}, {})
    )
    loss, gradient = step(encoded("step-by-step"), dict(half))
    whole_loss, whole_gradient = step(encoded("step-by-step"), dict(whole))
    assert loss == pytest.approx(0.5 * whole_loss, rel=1e-6)
    torch.testing.assert_close(gradient, 0.5 * whole_gradient, rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_weighted_sum_of_both_means_whatever_the_lengths() -> None:
    examples = encoded("mt-cot")
    rationale, _ = step([e for e in examples if e.group == "rationale"], {"rationale": 1.0, "answer": 1.0})
    answer, _ = step([e for e in examples if e.group == "answer"], {"rationale": 1.0, "answer": 1.0})
    loss, _ = step(examples, {"rationale": 0.7, "answer": 0.3})
    assert loss == pytest.approx(0.7 * rationale + 0.3 * answer, rel=1e-5)


def test_cascod_computes_question_and_rationale_once_for_both_groups() -> None:
    examples = encoded("cascod")
    weights = {"rationale": 0.7, "answer": 0.3}
    loss, gradient = step(examples, weights)
    shared_loss, shared_gradient = step(examples, weights, share=True)
    assert shared_loss == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(shared_gradient, gradient, rtol=1e-3, atol=1e-5)
    pair = [e for e in examples if e.question == "q3"]
    [batch] = Collator(GROUPS, batch_size=2, share=True)(pair)
    rationale = max(pair, key=lambda e: e.group == "rationale")
    cue_and_answer = len("\nTherefore, the answer is 12.") + 1
    assert batch.computed == len(rationale.input_ids) + cue_and_answer


def test_each_step_holds_both_groups_in_equal_numbers() -> None:
    for name in ("mt-cot", "step-by-step", "cascod"):
        examples = encoded(name)
        for batch in QuestionBatches(examples, 4, seed=1):
            groups = [examples[i].group for i in batch]
            assert groups.count("rationale") == groups.count("answer") == 2
