"""Easy examples first: which examples each step of the curriculum trains on."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from symdistill.records import Message, TrainingExample
from symdistill.training.pacing import easy_first


def example(name: str, group: str = "default") -> TrainingExample:
    return TrainingExample(name, (Message("user", name),), "yes", group=group)


def opened(losses: list[float], parts: int, groups: str = "") -> list[list[str]]:
    examples = [example(f"e{i}", groups[i] if groups else "default") for i in range(len(losses))]
    found = easy_first(examples, losses, parts)
    return [[e.example_id for e in found if e.phase == step] for step in range(parts)]


def test_each_step_adds_the_next_part_and_the_last_holds_everything() -> None:
    assert opened([0.5, 3.0, 0.1, 2.0, 1.0, float("inf")], 3) == [
        ["e0", "e2"],
        ["e0", "e2", "e3", "e4"],
        ["e0", "e1", "e2", "e3", "e4", "e5"],
    ]


def test_equal_losses_open_in_the_order_of_the_examples() -> None:
    assert opened([1.0, 1.0, 1.0, 1.0], 2) == [["e0", "e1"], ["e0", "e1", "e2", "e3"]]


def test_groups_are_cut_apart_so_that_short_answers_do_not_come_first() -> None:
    assert opened([9.0, 8.0, 0.1, 0.2], 2, groups="aabb") == [["e1", "e2"], ["e0", "e1", "e2", "e3"]]


@given(
    st.lists(st.tuples(st.floats(0, 50), st.sampled_from("ab")), min_size=1, max_size=40),
    st.integers(min_value=2, max_value=6),
)
def test_no_step_is_empty_what_is_open_stays_open_and_easier_ones_open_first(
    drawn: list[tuple[float, str]], parts: int
) -> None:
    losses = [loss for loss, _ in drawn]
    groups = "".join(group for _, group in drawn)
    steps = opened(losses, parts, groups)
    assert all(steps)
    assert sorted(steps[-1]) == sorted(f"e{i}" for i in range(len(drawn)))
    for before, after in itertools.pairwise(steps):
        assert set(before) <= set(after)
    for step in steps:
        for group in "ab":
            inside = {losses[i] for i in range(len(drawn)) if groups[i] == group and f"e{i}" in step}
            outside = {losses[i] for i in range(len(drawn)) if groups[i] == group and f"e{i}" not in step}
            assert not inside or not outside or max(inside) <= min(outside)
