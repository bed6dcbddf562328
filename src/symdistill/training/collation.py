"""From encoded examples to batches: the examples of one optimiser step, laid out as rows for forward passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch.utils.data import Dataset, Sampler

from symdistill.students.formatting import EncodedExample
from symdistill.training.rows import Layout, build_trie, plan_rows

SORTED_BATCHES = 16
"""Batches at most whose examples are sorted by length together: enough to save padding, few enough to mix them."""

SORTED_PIECES = 4
"""Pieces at least that a set is cut into for that. Sorted as one, a small set would give the same batches again with
every epoch and every seed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward pass: B rows of length T and K labels in all.

    input_ids  [B, T]   right-padded: under a causal mask no label sees the padding, so there is no attention mask
    row, at    [K]      where each label is predicted: the position before it
    target     [K]      the label
    weight     [K]      its example's weight
    group      [K]      the index of its example's group
    tokens     []       ids of the examples, without padding, a shared prefix counted with every example
    masses     [G + 1]  the weights of the examples of each group, added up; behind them the number of examples
    depths     [T]      positions of a single row of tries (B = 1), which attends by `layout`; else None
    """

    input_ids: torch.Tensor
    row: torch.Tensor
    at: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    group: torch.Tensor
    tokens: torch.Tensor
    masses: torch.Tensor
    depths: torch.Tensor | None = None
    layout: Layout | None = None

    @property
    def computed(self) -> int:
        """Tokens the forward pass computes, padding included."""
        return self.input_ids.numel()

    def to(self, device: torch.device) -> Batch:
        moved = {f.name: x.to(device) for f in fields(self) if (x := getattr(self, f.name)) is not None}
        return replace(self, **moved)


class Collator:
    """Makes the batches of one optimiser step. `groups` fixes the index of every group.

    With `share`, examples that begin alike share what they have in common, in rows of up to `row_tokens` tokens;
    without, `batch_size` examples at a time are rows of their own, padded with `pad_id`, any id the model has.
    """

    def __init__(
        self, groups: Sequence[str], *, batch_size: int, share: bool = False, row_tokens: int = 4096, pad_id: int = 0
    ) -> None:
        self._groups = {group: index for index, group in enumerate(groups)}
        self._batch_size = batch_size
        self._share = share
        self._row_tokens = row_tokens
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[EncodedExample]) -> list[Batch]:
        if self._share:
            return [self._shared(examples, order) for order in plan_rows(examples, self._row_tokens)]
        size = self._batch_size
        return [self._separate(examples[i : i + size]) for i in range(0, len(examples), size)]

    def _separate(self, examples: Sequence[EncodedExample]) -> Batch:
        width = max(len(e.input_ids) for e in examples)
        ids = torch.full((len(examples), width), self._pad_id, dtype=torch.long)
        for index, example in enumerate(examples):
            ids[index, : len(example.input_ids)] = torch.tensor(example.input_ids)
        places = [torch.arange(e.prompt_length - 1, len(e.input_ids) - 1) for e in examples]
        rows = torch.repeat_interleave(torch.arange(len(examples)), torch.tensor([len(p) for p in places]))
        return self._batch(ids, examples, rows, torch.cat(places))

    def _shared(self, examples: Sequence[EncodedExample], order: Sequence[int]) -> Batch:
        trie = build_trie(examples, order)
        chosen = [examples[i] for i in order]
        at = torch.cat([torch.from_numpy(trie.paths[i][examples[i].prompt_length - 1 : -1]) for i in order])
        batch = self._batch(torch.from_numpy(trie.ids)[None], chosen, torch.zeros_like(at), at)
        return replace(batch, depths=torch.from_numpy(trie.depths), layout=trie.layout)

    def _batch(
        self, ids: torch.Tensor, examples: Sequence[EncodedExample], row: torch.Tensor, at: torch.Tensor
    ) -> Batch:
        counts = torch.tensor([e.completion_length for e in examples])
        return Batch(
            input_ids=ids,
            row=row,
            at=at,
            target=torch.cat([torch.tensor(e.input_ids[e.prompt_length :]) for e in examples]),
            weight=torch.repeat_interleave(torch.tensor([float(e.weight) for e in examples]), counts),
            group=torch.repeat_interleave(torch.tensor([self._groups[e.group] for e in examples]), counts),
            tokens=torch.tensor(sum(len(e.input_ids) for e in examples)),
            masses=masses_of(examples, self._groups),
        )


def masses_of(examples: Sequence[EncodedExample], groups: Mapping[str, int]) -> torch.Tensor:
    """The weights of the examples of each group, added up, and behind them the number of examples: float64 `[G + 1]`;
    `groups` are the indices of the groups."""
    masses = torch.zeros(len(groups) + 1, dtype=torch.float64)
    for example in examples:
        masses[groups[example.group]] += example.weight
    masses[-1] = len(examples)
    return masses


class ExampleDataset(Dataset[EncodedExample]):
    """The encoded examples by index."""

    def __init__(self, examples: Sequence[EncodedExample]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> EncodedExample:
        return self._examples[index]


class QuestionBatches(Sampler[list[int]]):
    """Batches of examples, in an order that depends on seed and epoch alone.

    What a method makes of a question stands together: one example of each of its groups, or as many of each as
    `together` says (None: all there are). Long and short groups, explanations and answers, say, would else come in
    batches of their own, and a step would hold one of them: its loss would not be the weighted sum. A question's
    further examples of a group, other rationales, stand elsewhere: steps about few questions teach less.

    Each epoch these sets are shuffled, and so are the examples of each; the sequence is cut into `SORTED_PIECES`
    pieces or more, of `SORTED_BATCHES` batches or fewer, each piece sorted by length and cut into batches, and the
    batches shuffled again. A set with more examples than are left in a batch goes on in the next. A batch that is
    not full comes last: accelerate, which deals batches out to several processes, takes the first that is not full for
    the end.
    """

    def __init__(
        self, examples: Sequence[EncodedExample], batch_size: int, seed: int, *, together: int | None = 1
    ) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self._lengths = [len(e.input_ids) for e in examples]
        sets: dict[tuple[str | tuple[int, ...], int], list[int]] = {}
        seen: Counter[tuple[str | tuple[int, ...], str]] = Counter()
        for index, example in enumerate(examples):
            about = example.question or example.input_ids[: example.prompt_length]
            sets.setdefault((about, seen[about, example.group] // together if together else 0), []).append(index)
            seen[about, example.group] += 1
        self._sets = list(sets.values())
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch, a resumed one included."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order: list[tuple[int, int]] = []  # set, example
        for number in torch.randperm(len(self._sets), generator=random).tolist():
            members = self._sets[number]
            order += [(number, members[i]) for i in torch.randperm(len(members), generator=random).tolist()]
        full = len(order) // self.batch_size
        piece = self.batch_size * min(SORTED_BATCHES, max(1, full // SORTED_PIECES))
        batches = []
        for begin in range(0, len(order), piece):
            near = order[begin : begin + piece]
            longest: dict[int, int] = {}
            for number, index in near:
                longest[number] = max(longest.get(number, 0), self._lengths[index])
            near = sorted(near, key=lambda entry: -longest[entry[0]])  # those of a length stay shuffled
            batches += [
                [index for _, index in near[i : i + self.batch_size]] for i in range(0, len(near), self.batch_size)
            ]
        rest = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        return iter([*(batches[i] for i in torch.randperm(len(batches), generator=random).tolist()), *rest])
