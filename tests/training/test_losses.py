"""Loss and gradients against the plain computation: whole rows, all logits, one example at a time, float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaForCausalLM,
)

from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import Collator, QuestionBatches, masses_of
from symdistill.training.logits import LogitCurve
from symdistill.training.losses import CompletionLoss, group_masses, group_sizes, shares_of_groups
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
CURVES = {
    "tied": LogitCurve(),
    "untied": LogitCurve(),
    "soft-capped": LogitCurve(cap=2.0),
    "multiplied": LogitCurve(scale=0.25),
    "divided": LogitCurve(scale=1 / 6),
}


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


def our_loss(
    model: Any, examples: Sequence[EncodedExample], lambdas: Mapping[str, float], batch_size: int, chunked: bool = True
) -> float:
    """One optimiser step over separate rows: the sum of its batches' shares, each with its own backward pass."""
    groups = sorted(lambdas)
    batches = Collator(groups, batch_size=batch_size)(examples)
    sizes = group_sizes(batches, len(groups))
    loss = CompletionLoss(model, torch.tensor([lambdas[g] for g in groups], dtype=torch.float64), chunked=chunked)
    total = 0.0
    for batch in batches:
        share = loss(model, batch, sizes)
        share.backward()
        total += float(share.detach())
    return total


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


class Squared(LlamaForCausalLM):
    """A model that does to its logits what no other does."""

    def forward(self, **given: Any) -> Any:
        out = super().forward(**given)
        out.logits = out.logits.square() / 8
        return out


def decoders() -> dict[str, Any]:
    sizes = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "tied": tiny_model(),
            "untied": tiny_model(tie_word_embeddings=False),
            "soft-capped": Gemma2ForCausalLM(
                Gemma2Config(**sizes, **heads, head_dim=8, final_logit_softcapping=2.0, attn_implementation="eager")
            ),
            "multiplied": CohereForCausalLM(CohereConfig(**sizes, **heads, logit_scale=0.25)),
            "divided": GraniteForCausalLM(GraniteConfig(**sizes, **heads, logits_scaling=6.0)),
            "squared": Squared(tiny_model().config),
        }


@pytest.mark.parametrize("kind", [*CURVES, "squared"])
@pytest.mark.parametrize("batch_size", [6, 4, 1])
@pytest.mark.parametrize("chunked", [True, False])
def test_loss_and_gradients_equal_the_plain_computation(kind: str, batch_size: int, chunked: bool) -> None:
    model = decoders()[kind].eval()
    expected = plain_loss(model, EXAMPLES, LAMBDAS)
    expected.backward()
    wanted = gradients(model)
    model.zero_grad()
    assert our_loss(model, EXAMPLES, LAMBDAS, batch_size, chunked) == pytest.approx(expected.item(), rel=1e-5)
    got = gradients(model)
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max() + 1e-8))


@pytest.mark.parametrize("kind", ["tied", "soft-capped"])
def test_chunks_of_labels_add_up(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    model = decoders()[kind]
    whole = our_loss(model, EXAMPLES, LAMBDAS, 6)
    wanted = gradients(model)
    model.zero_grad()
    monkeypatch.setattr("symdistill.training.losses.CHUNK", 7)
    assert our_loss(model, EXAMPLES, LAMBDAS, 6) == pytest.approx(whole, rel=1e-6)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


def test_a_head_with_a_bias_learns_it_in_chunks() -> None:
    model = tiny_model(tie_word_embeddings=False)
    model.lm_head = torch.nn.Linear(32, 260, bias=True)
    our_loss(model, EXAMPLES, LAMBDAS, 6, chunked=False)
    wanted = gradients(model)
    model.zero_grad()
    our_loss(model, EXAMPLES, LAMBDAS, 6)
    assert "lm_head.bias" in wanted
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [*CURVES, "squared"])
@pytest.mark.parametrize("chunked", [True, False])
def test_the_head_sees_predicting_positions_only(kind: str, chunked: bool) -> None:
    model = decoders()[kind]
    shapes: list[tuple[int, ...]] = []
    model.lm_head.register_forward_hook(lambda _m, _a, out: shapes.append(tuple(out.shape)))
    our_loss(model, EXAMPLES, LAMBDAS, 6, chunked)
    rows = 1 if chunked and kind in CURVES else sum(e.completion_length for e in EXAMPLES)
    assert shapes[-1] == (1, rows, 260), "in chunks the head is computed elsewhere, where that is known to be the same"
    model(input_ids=torch.tensor([[1, 2, 3]]))
    assert shapes[-1] == (1, 3, 260), "nothing of it is left on the model"


def test_a_model_whose_head_is_not_to_be_found_has_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    expected = our_loss(model, EXAMPLES, LAMBDAS, 6)
    monkeypatch.setattr(model, "get_output_embeddings", lambda: None)
    assert our_loss(model, EXAMPLES, LAMBDAS, 6) == pytest.approx(expected, rel=1e-6)


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
    assert our_loss(model, EXAMPLES, LAMBDAS, 3) == pytest.approx(expected.item(), rel=1e-5)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6)


def test_golden_loss() -> None:
    """By hand: uniform logits over 260 tokens cost ln 260 a label, however groups and weights are mixed."""
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.zero_()
    assert our_loss(model, EXAMPLES, LAMBDAS, 4) == pytest.approx(2.0 * 5.5606816, rel=1e-6)


def test_a_group_s_share_does_not_depend_on_how_many_labels_others_have() -> None:
    model = tiny_model()
    alone = our_loss(model, [e for e in EXAMPLES if e.group == "a"], {"a": 1.0}, 6)
    mixed = our_loss(model, EXAMPLES, {"a": 1.0, "b": 0.0, "c": 0.0}, 6)
    assert mixed == pytest.approx(alone, rel=1e-5)


def weights_over_epochs(examples: Sequence[EncodedExample], batch_size: int, epochs: int = 12) -> dict[int, float]:
    """What each example weighs in the losses of all steps together, for λ = 1."""
    groups = sorted({e.group for e in examples})
    whole = masses_of(examples, {group: index for index, group in enumerate(groups)})
    order = QuestionBatches(examples, batch_size, seed=1)
    found = dict.fromkeys(range(len(examples)), 0.0)
    for epoch in range(epochs):
        order.set_epoch(epoch)
        for step in order:
            batches = Collator(groups, batch_size=batch_size)([examples[i] for i in step])
            sizes, masses = group_sizes(batches, len(groups)), group_masses(batches, len(groups))
            factors = shares_of_groups(masses, whole) / sizes
            for i in step:
                one = examples[i]
                found[i] += float(factors[groups.index(one.group)]) * one.weight * one.completion_length
    return found


@pytest.mark.parametrize("batch_size", [8, 32])
@pytest.mark.parametrize(("many", "few"), [(30, 3), (30, 1), (8, 2)])
def test_questions_of_many_and_few_rationales_weigh_alike_where_their_weights_say_so(
    batch_size: int, many: int, few: int
) -> None:
    examples, about = [], []
    for question in range(80):
        count = many if question % 2 else few
        for sample in range(count):
            ids = (question, 9, *(sample,) * (20 + 7 * (question + sample) % 11))
            examples.append(EncodedExample(ids, 2, 1 / count, question=f"q{question}"))
            about.append(question)
    weights = weights_over_epochs(examples, batch_size)
    each = [sum(w for i, w in weights.items() if about[i] % 2 == odd) for odd in (1, 0)]
    assert each[0] / each[1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.8])
@pytest.mark.parametrize("batch_size", [8, 32])
def test_a_group_weighs_what_its_lambda_says_however_rare_it_is(share: float, batch_size: int) -> None:
    def made(question: int, group: str) -> EncodedExample:
        return EncodedExample((question, 9, *(3,) * (10 + question % 7)), 2, group=group, question=f"q{question}")

    rows = [made(question, "dc") for question in range(200)]
    rows += [made(question, "ad") for question in range(200) if question * 7 % 200 < 200 * share]
    weights = weights_over_epochs(rows, batch_size)
    total = {group: sum(w for i, w in weights.items() if rows[i].group == group) for group in ("dc", "ad")}
    assert total["ad"] / total["dc"] == pytest.approx(1, abs=0.05)


def test_steps_that_hold_groups_in_the_usual_proportions_are_the_plain_means() -> None:
    rows = [example(9, 4, group=group, start=start) for start in range(8) for group in ("a", "b")]
    whole = masses_of(rows, {"a": 0, "b": 1})
    assert shares_of_groups(group_masses(Collator(["a", "b"], batch_size=4)(rows[:4]), 2), whole).tolist() == [1, 1]
    assert shares_of_groups(group_masses(Collator(["a", "b"], batch_size=4)(rows[:1]), 2), whole).tolist() == [2, 0]
    assert shares_of_groups(torch.zeros(3, dtype=torch.float64), whole).tolist() == [0, 0]
