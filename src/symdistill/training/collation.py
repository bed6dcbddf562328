"""From encoded examples to batches. With `losses.completion_logits`, the only place that knows how rows are laid out.

A batch is a dictionary of tensors for B rows of length T and K labels in all:

    input_ids  [B, T]   right-padded: under a causal mask no label sees the padding, so there is no attention mask
    row, at    [K]      where each label is predicted: the position before it
    target     [K]      the label
    weight     [K]      its example's weight
    group      [K]      the index of its example's group
    tokens     []       ids in the batch without padding
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Dataset, Sampler

from symdistill.students.formatting import EncodedExample

Batch = dict[str, torch.Tensor]

SORTED_BATCHES = 16
"""Batches whose examples are sorted by length together: enough to save padding, few enough to keep them mixed."""


class Collator:
    """Makes batches. `groups` fixes the index of every group; `pad_id` is any id the model has."""

    def __init__(self, groups: Sequence[str], pad_id: int) -> None:
        self._groups = {group: index for index, group in enumerate(groups)}
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[EncodedExample]) -> Batch:
        width = max(len(e.input_ids) for e in examples)
        ids = torch.full((len(examples), width), self._pad_id, dtype=torch.long)
        rows, places, targets, weights, groups = [], [], [], [], []
        for index, example in enumerate(examples):
            ids[index, : len(example.input_ids)] = torch.tensor(example.input_ids)
            count = example.completion_length
            rows.append(torch.full((count,), index))
            places.append(torch.arange(example.prompt_length - 1, len(example.input_ids) - 1))
            targets.append(torch.tensor(example.input_ids[example.prompt_length :]))
            weights.append(torch.full((count,), float(example.weight)))
            groups.append(torch.full((count,), self._groups[example.group]))
        return {
            "input_ids": ids,
            "row": torch.cat(rows),
            "at": torch.cat(places),
            "target": torch.cat(targets),
            "weight": torch.cat(weights),
            "group": torch.cat(groups),
            "tokens": torch.tensor(sum(len(e.input_ids) for e in examples)),
        }


class ExampleDataset(Dataset[EncodedExample]):
    """The encoded examples by index."""

    def __init__(self, examples: Sequence[EncodedExample]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> EncodedExample:
        return self._examples[index]


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of examples of similar length, in an order that depends on seed and epoch alone.

    Each epoch is shuffled, cut into pieces of `SORTED_BATCHES` batches, each piece sorted by length and cut into
    batches, and the batches shuffled again.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self._lengths = lengths
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch, a resumed one included."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(len(self._lengths), generator=random).tolist()
        piece = self.batch_size * SORTED_BATCHES
        batches = []
        for begin in range(0, len(order), piece):
            near = sorted(order[begin : begin + piece], key=lambda i: -self._lengths[i])
            batches += [near[i : i + self.batch_size] for i in range(0, len(near), self.batch_size)]
        return iter([batches[i] for i in torch.randperm(len(batches), generator=random).tolist()])
