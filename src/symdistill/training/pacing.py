"""Easy examples first: a curriculum by loss.

Bengio et al. (2009, *Curriculum Learning*) train on easy examples first and add harder ones until all are there; in the
staircase form of that, *baby steps* (Spitkovsky et al. 2010), the examples are cut into parts of rising difficulty, and
each step adds the next part to those that are open. Here, with P parts (`training.curriculum_steps`):

- the difficulty of an example is the mean loss of its completion, in nats a token, under the untrained student;
- of the n examples of a group, sorted by it (equal ones as they come), the k-th, from 0, is in part ⌊k·P/n⌋. Groups are
  cut apart, since their losses do not compare, so that every step holds all of them in the same proportion;
- of E epochs, epoch e (from 0) is one of step ⌊e·P/E⌋, and trains on parts 0 to that step, in an order shuffled anew
  like that of any epoch. Where `max_steps` counts the training, its optimiser steps are divided so.

It is one training, with one optimiser and one schedule of the learning rate (`training.curriculum`). An epoch of an
early step is shorter: where P divides E there are (P + 1) / 2P of the optimiser steps of E whole epochs.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from symdistill.records import TrainingExample


def easy_first(examples: Sequence[TrainingExample], losses: Sequence[float], parts: int) -> list[TrainingExample]:
    """The examples of every step of the curriculum, one step after the other: those that are open in step p have
    `phase` p. `losses` are those of the examples, in their order."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        groups[example.group].append(place)
    opened = [0] * len(examples)
    for members in groups.values():
        for rank, place in enumerate(sorted(members, key=lambda place: losses[place])):
            opened[place] = rank * parts // len(members)
    return [
        dataclasses.replace(example, phase=step)
        for step in range(parts)
        for place, example in enumerate(examples)
        if opened[place] <= step
    ]
