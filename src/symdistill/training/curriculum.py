"""Training in steps: which examples an epoch trains on (SKIntern, arXiv 2409.13183, section 3.3).

The phases of the examples follow one another, and the epochs are divided among them as evenly as whole epochs allow:
of E epochs and P phases, epoch e (from 0) is one of phase ⌊e·P/E⌋. Where `max_steps` counts the training, its steps are
divided so; a part of an epoch would fall to the first step, and be taken from the last, and is refused. All of it is
one training: one optimiser, one schedule over all steps, one count of steps to go on from.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice

from torch.utils.data import Sampler

from symdistill.errors import ConfigError
from symdistill.students.formatting import EncodedExample
from symdistill.training.collation import QuestionBatches


@dataclass(frozen=True, slots=True)
class Pass:
    """An epoch, or the part of it that is trained: optimiser steps, of `whole` the epoch has. `phase` counts from 0."""

    phase: int
    steps: int
    whole: int


class Curriculum(Sampler[list[int]]):
    """The batches of a whole training, phase after phase; the order within an epoch depends on seed and epoch alone.

    With several `processes` every epoch is filled up with examples from its beginning, to full batches and as many for
    each process, so that no optimiser step mixes two phases.

    Raises:
        ConfigError: there are fewer epochs, or fewer steps, than phases, or a part of an epoch.
    """

    def __init__(
        self,
        examples: Sequence[EncodedExample],
        batch_size: int,
        seed: int,
        *,
        epochs: float,
        max_steps: int = -1,
        processes: int = 1,
        together: int | None = 1,
    ) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self._processes = processes
        self._members: list[list[int]] = []
        for phase in sorted({e.phase for e in examples}):
            self._members.append([index for index, e in enumerate(examples) if e.phase == phase])
        self._batches = [
            QuestionBatches([examples[i] for i in own], batch_size, seed, together=together) for own in self._members
        ]
        lengths = [-(-len(batches) // processes) for batches in self._batches]
        self.passes = _passes(lengths, epochs, max_steps)
        self._ends = list(accumulate(p.steps for p in self.passes))

    @property
    def phases(self) -> int:
        return len(self._members)

    def size(self, phase: int) -> int:
        """The examples of a phase."""
        return len(self._members[phase])

    def at(self, step: int) -> Pass:
        """The epoch that optimiser step `step`, counted from 1, belongs to."""
        return self.passes[bisect_left(self._ends, step)]

    def ends_with(self, step: int) -> bool:
        """Whether an epoch, or what is trained of it, ends with this step."""
        return self._ends[bisect_left(self._ends, step)] == step

    def epochs_after(self, step: int) -> float:
        """The epochs that were trained after so many steps."""
        done = bisect_left(self._ends, step + 1)
        begun = step - (self._ends[done - 1] if done else 0)
        whole = sum(p.steps / p.whole for p in self.passes[:done])
        return whole + (begun / self.passes[done].whole if begun else 0.0)

    def __len__(self) -> int:
        return self._ends[-1] * self._processes

    def __iter__(self) -> Iterator[list[int]]:
        for epoch, part in enumerate(self.passes):
            members, batches = self._members[part.phase], self._batches[part.phase]
            batches.set_epoch(epoch)
            order = [[members[i] for i in batch] for batch in batches]
            yield from self._filled(order)[: part.steps * self._processes]

    def _filled(self, batches: list[list[int]]) -> list[list[int]]:
        if self._processes == 1:
            return batches
        flat = [index for batch in batches for index in batch]
        count = -(-len(batches) // self._processes) * self._processes
        full = list(islice(cycle(flat), count * self.batch_size))
        return [full[i : i + self.batch_size] for i in range(0, len(full), self.batch_size)]


def _passes(lengths: Sequence[int], epochs: float, max_steps: int) -> list[Pass]:
    """The epochs in their order, given the optimiser steps of an epoch of each phase."""
    phases = len(lengths)
    counted, key = (max_steps, "max_steps") if max_steps > 0 else (epochs, "num_train_epochs")
    if counted < phases:
        raise ConfigError(
            f"`training.{key}` is {counted:g}, and the curriculum has {phases} steps: each needs one at least.",
            f"Set `training.{key}` to {phases} or more, or choose fewer `steps`.",
        )
    if max_steps <= 0:
        if not float(epochs).is_integer():
            raise ConfigError(
                f"`training.num_train_epochs` is {epochs:g}, and the curriculum divides whole epochs among its "
                f"{phases} steps.",
                f"Set `training.num_train_epochs` to {math.floor(epochs)}, or count the training in `max_steps`.",
            )
        order = [e * phases // int(epochs) for e in range(int(epochs))]
        return [Pass(phase, lengths[phase], lengths[phase]) for phase in order]
    found = []
    for phase, steps in enumerate(lengths):
        left = (phase + 1) * max_steps // phases - phase * max_steps // phases
        found += [Pass(phase, min(steps, left - done), steps) for done in range(0, left, steps)]
    return found
