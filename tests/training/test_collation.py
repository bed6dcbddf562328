"""Batches: how examples are put together to steps, and what a step looks like as tensors."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from accelerate.data_loader import BatchSamplerShard

from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import Collator, QuestionBatches


def example(length: int, prompt: int, weight: float = 1.0, group: str = "a", start: int = 7) -> EncodedExample:
    return EncodedExample(tuple((start + 13 * i) % 250 for i in range(length)), prompt, weight, group)


def test_a_batch_as_tensors() -> None:
    [batch] = Collator(["a", "b"], batch_size=2, pad_id=99)(
        [example(4, 2), example(6, 5, weight=0.5, group="b", start=20)]
    )
    assert batch.input_ids.tolist() == [[7, 20, 33, 46, 99, 99], [20, 33, 46, 59, 72, 85]]
    assert batch.row.tolist() == [0, 0, 1]
    assert batch.at.tolist() == [1, 2, 4]
    assert batch.target.tolist() == [33, 46, 85]
    assert batch.weight.tolist() == [1.0, 1.0, 0.5]
    assert batch.group.tolist() == [0, 0, 1]
    assert int(batch.tokens) == 10


def test_batches_hold_every_example_once_and_little_padding() -> None:
    lengths = [(37 * i) % 211 + 10 for i in range(203)]
    sampler = QuestionBatches([example(n, 5, start=i) for i, n in enumerate(lengths)], 8, seed=3)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 26
    assert sorted(i for b in batches for i in b) == list(range(203))
    padded = sum(max(lengths[i] for i in b) * len(b) for b in batches)
    assert padded < 1.2 * sum(lengths)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    examples = [example((37 * i) % 211 + 10, 5, start=i % 9) for i in range(60)]

    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = QuestionBatches(examples, 4, seed)
        sampler.set_epoch(epoch)
        torch.rand(epoch + 1)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


@pytest.mark.parametrize("count", [18, 60, 120, 150, 400])
@pytest.mark.parametrize("lengths", [1, 211], ids=["one length", "many lengths"])
def test_epochs_and_seeds_put_other_examples_together(count: int, lengths: int) -> None:
    """A small set, too, is not cut into the same batches in another order."""
    examples = [EncodedExample((1, i, *range((37 * i) % lengths)), 2) for i in range(count)]
    seen = set()
    for seed in range(3):
        for epoch in range(3):
            sampler = QuestionBatches(examples, 8, seed)
            sampler.set_epoch(epoch)
            seen |= {frozenset(batch) for batch in sampler if len(batch) == 8}
    assert len(seen) > 0.9 * 9 * (count // 8)


def test_two_processes_are_dealt_every_example() -> None:
    """The one batch that is not full comes last, where accelerate completes it from the beginning."""
    examples = [example((37 * i) % 211 + 10, 5, start=i) for i in range(61)]
    for epoch in range(5):
        sampler = QuestionBatches(examples, 4, seed=1)
        sampler.set_epoch(epoch)
        assert [len(b) for b in sampler] == [4] * 15 + [1]
        dealt = [list(BatchSamplerShard(sampler, 2, process)) for process in range(2)]
        assert {i for batches in dealt for b in batches for i in b} == set(range(61))


def test_rationales_of_one_question_stand_together_as_far_as_is_asked() -> None:
    """Twelve questions of five rationales in batches of eight: all together, a batch is about two or three of them."""
    examples = [EncodedExample((p, p, p, 50 + i), 3) for p in range(12) for i in range(5)]

    def about(together: int | None) -> list[int]:
        batches = list(QuestionBatches(examples, 8, seed=1, together=together))
        assert sorted(i for b in batches for i in b) == list(range(60))
        return [len({i // 5 for i in batch}) for batch in batches if len(batch) == 8]

    assert max(about(None)) <= 3
    assert sum(about(None)) < sum(about(2)) < sum(about(1))
    assert sum(about(1)) > 5.5 * len(about(1)), "by chance two of one question meet"
    apart = list(QuestionBatches(examples[::5], 8, seed=1))
    assert apart == list(QuestionBatches(examples[::5], 8, seed=1, together=None)), "nothing changes for one each"


def test_groups_of_a_question_stand_together_whatever_their_number() -> None:
    """The third explanation stands beside the third answer, and away from the other two."""
    rows = [
        EncodedExample((g, q, i, 9), 2, group="ra"[g], question=f"q{q}")
        for g in (0, 1)
        for q in range(9)
        for i in range(3)
    ]
    for batch in QuestionBatches(rows, 4, seed=2):
        assert sum(rows[i].group == "r" for i in batch) == len(batch) // 2
        assert sorted(rows[i].input_ids[1:3] for i in batch)[::2] == sorted(rows[i].input_ids[1:3] for i in batch)[1::2]


def test_examples_about_one_question_stay_together_whatever_their_prompts_and_lengths() -> None:
    long = [EncodedExample((1, q, *range(90)), 2, group="r", question=f"q{q}") for q in range(20)]
    short = [EncodedExample((2, q, 7), 2, group="a", question=f"q{q}") for q in range(20)]
    for batch in QuestionBatches([*long, *short], 4, seed=1):
        assert sorted(i % 20 for i in batch)[::2] == sorted(i % 20 for i in batch)[1::2]
        assert sum(i < 20 for i in batch) == 2, "each step holds both groups"


def test_one_batch_of_tries_reads_what_is_shared_once() -> None:
    examples = [EncodedExample((1, 2, 3, 4, 5, 6), 4), EncodedExample((1, 2, 3, 4, 7), 4), EncodedExample((1, 9, 8), 2)]
    [batch] = Collator(["default"], batch_size=1, share=True)(examples)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 6, 7, 9, 8]]
    assert batch.depths is not None
    assert batch.depths.tolist() == [0, 1, 2, 3, 4, 5, 4, 1, 2]
    assert int(batch.tokens) == 14
    assert batch.computed == 9
    # each completion's first label is predicted at its prompt's last token, 3 for two of them
    assert list(zip(batch.at.tolist(), batch.target.tolist(), strict=True)) == [(3, 5), (4, 6), (3, 7), (7, 8)]
