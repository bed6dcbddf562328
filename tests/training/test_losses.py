"""Loss and gradients against the plain computation: whole rows, all logits, one example at a time, float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import Cohere2Config, Cohere2ForCausalLM, Gemma2Config, Gemma2ForCausalLM

from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import Collator, LengthGroupedBatches
from symdistill.training.losses import completion_logits, group_sizes, step_loss
from tiny import tiny_model


def example(length: int, prompt: int, weight: float = 1.0, group: str = "a", start: int = 7) -> EncodedExample:
    return EncodedExample(tuple((start + 13 * i) % 250 for i in range(length)), prompt, weight, group)


EXAMPLES = [
    example(9, 4),
    example(23, 11, weight=0.5, start=40),
    example(14, 13, group="b", start=80),
    example(17, 2, weight=2.0, group="b", start=3),
    example(30, 20, group="c", start=99),
    example(6, 1, start=120),
]
LAMBDAS = {"a": 0.7, "b": 1.0, "c": 0.3}


def plain_loss(model: Any, examples: Sequence[EncodedExample], lambdas: Mapping[str, float]) -> torch.Tensor:
    """The formula of `losses`, written out."""
    total = torch.zeros(())
    for group in sorted({e.group for e in examples}):
        above, below = torch.zeros(()), 0.0
        for e in (e for e in examples if e.group == group):
            logits = model(input_ids=torch.tensor([e.input_ids])).logits[0].log_softmax(-1)
            for position in range(e.prompt_length, len(e.input_ids)):
                above = above - e.weight * logits[position - 1, e.input_ids[position]]
            below += e.weight * e.completion_length
        total = total + lambdas[group] * above / below
    return total


def our_loss(model: Any, batches: Sequence[Sequence[EncodedExample]], lambdas: Mapping[str, float]) -> float:
    """One optimiser step over micro-batches: the sum of their shares, each with its own backward pass."""
    groups = sorted(lambdas)
    collate = Collator(groups, pad_id=0)
    collated = [collate(b) for b in batches]
    sizes = group_sizes(collated, len(groups))
    weights = torch.tensor([lambdas[g] for g in groups], dtype=torch.float64)
    total = 0.0
    for batch in collated:
        share = step_loss(completion_logits(model, batch, model.get_output_embeddings()), batch, sizes, weights)
        share.backward()
        total += float(share.detach())
    return total


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def decoders() -> dict[str, Any]:
    sizes = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3, "head_dim": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "tied": tiny_model(),
            "untied": tiny_model(tie_word_embeddings=False),
            "soft-capped": Gemma2ForCausalLM(
                Gemma2Config(**sizes, **heads, final_logit_softcapping=2.0, attn_implementation="eager")
            ),
            "scaled": Cohere2ForCausalLM(Cohere2Config(**sizes, **heads, logit_scale=0.25)),
        }


@pytest.mark.parametrize("kind", ["tied", "untied", "soft-capped", "scaled"])
@pytest.mark.parametrize(
    "cuts", [[6], [2, 4, 6], [1, 2, 3, 4, 5, 6]], ids=["one batch", "three batches", "rows by themselves"]
)
def test_loss_and_gradients_equal_the_plain_computation(kind: str, cuts: list[int]) -> None:
    model = decoders()[kind].eval()
    expected = plain_loss(model, EXAMPLES, LAMBDAS)
    expected.backward()
    wanted = gradients(model)
    model.zero_grad()
    batches = [EXAMPLES[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
    assert our_loss(model, batches, LAMBDAS) == pytest.approx(expected.item(), rel=1e-5)
    got = gradients(model)
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max() + 1e-8))


def test_the_head_sees_predicting_positions_only() -> None:
    model = tiny_model()
    rows: list[tuple[int, ...]] = []
    model.lm_head.register_forward_hook(lambda _m, _a, out: rows.append(tuple(out.shape)))
    our_loss(model, [EXAMPLES], LAMBDAS)
    assert rows == [(1, sum(e.completion_length for e in EXAMPLES), 260)]
    model(input_ids=torch.tensor([[1, 2, 3]]))
    assert rows[-1] == (1, 3, 260), "nothing of it is left on the model"


def test_a_model_whose_head_is_not_to_be_found_has_the_same_loss() -> None:
    model = tiny_model()
    batch = Collator(["a", "b", "c"], 0)(EXAMPLES)
    torch.testing.assert_close(completion_logits(model, batch, None), completion_logits(model, batch, model.lm_head))


def test_gradients_under_lora_equal_the_plain_computation() -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    model = peft.get_peft_model(
        tiny_model(), peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    )
    expected = plain_loss(model, EXAMPLES, LAMBDAS)
    expected.backward()
    wanted = gradients(model)
    model.zero_grad()
    assert our_loss(model, [EXAMPLES[:3], EXAMPLES[3:]], LAMBDAS) == pytest.approx(expected.item(), rel=1e-5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


def test_golden_loss() -> None:
    """By hand: uniform logits over 260 tokens cost ln 260 a label, however groups and weights are mixed."""
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.zero_()
    assert our_loss(model, [EXAMPLES[:4], EXAMPLES[4:]], LAMBDAS) == pytest.approx(2.0 * 5.5606816, rel=1e-6)


def test_a_group_s_share_does_not_depend_on_how_many_labels_others_have() -> None:
    model = tiny_model()
    alone = our_loss(model, [[e for e in EXAMPLES if e.group == "a"]], {"a": 1.0})
    mixed = our_loss(model, [EXAMPLES], {"a": 1.0, "b": 0.0, "c": 0.0})
    assert mixed == pytest.approx(alone, rel=1e-5)


def test_a_batch_as_tensors() -> None:
    batch = Collator(["a", "b"], pad_id=99)([example(4, 2), example(6, 5, weight=0.5, group="b", start=20)])
    assert batch["input_ids"].tolist() == [[7, 20, 33, 46, 99, 99], [20, 33, 46, 59, 72, 85]]
    assert batch["row"].tolist() == [0, 0, 1]
    assert batch["at"].tolist() == [1, 2, 4]
    assert batch["target"].tolist() == [33, 46, 85]
    assert batch["weight"].tolist() == [1.0, 1.0, 0.5]
    assert batch["group"].tolist() == [0, 0, 1]
    assert int(batch["tokens"]) == 10


def test_batches_hold_every_example_once_and_little_padding() -> None:
    lengths = [(37 * i) % 211 + 10 for i in range(203)]
    sampler = LengthGroupedBatches(lengths, 8, seed=3)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 26
    assert sorted(i for b in batches for i in b) == list(range(203))
    padded = sum(max(lengths[i] for i in b) * len(b) for b in batches)
    assert padded < 1.12 * sum(lengths)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = [(37 * i) % 211 + 10 for i in range(60)]

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = LengthGroupedBatches(lengths, 4, seed)
        sampler.set_epoch(epoch)
        torch.rand(epoch + 1)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
