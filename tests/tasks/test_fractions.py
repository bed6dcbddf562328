"""Shares of the training questions, and tasks that are only judged on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.errors import ConfigError
from symdistill.records import Example
from symdistill.tasks import Task, load_task
from symdistill.tasks.settings import TaskSettings
from symdistill.tasks.splitting import fraction_of

TASKS = ("sums", "dates", "words")


@st.composite
def some_examples(draw: st.DrawFn) -> list[Example]:
    """Questions of up to three tasks, some of them edits of the one before."""
    found: list[Example] = []
    for number in range(draw(st.integers(1, 40))):
        before = found[-1] if found else None
        edit = before is not None and before.contrast_of is None and draw(st.booleans())
        task = before.task if before is not None and edit else draw(st.sampled_from(TASKS))
        twin = before.id if before is not None and edit else None
        found.append(Example(f"q{number}", f"question {number}", str(number), task=task, contrast_of=twin))
    return found


@given(some_examples(), st.floats(0.01, 1.0), st.floats(0.01, 1.0), st.integers(0, 3))
def test_a_smaller_share_is_part_of_a_larger_one(examples, one, other, seed) -> None:
    small, large = sorted((one, other))
    few, many = fraction_of(examples, small, seed), fraction_of(examples, large, seed)
    assert {e.id for e in few} <= {e.id for e in many}
    assert [e for e in examples if e in many] == many, "in the order given"
    assert fraction_of(examples, 1.0, seed) == examples


@given(some_examples(), st.floats(0.01, 1.0), st.integers(0, 3))
def test_every_task_gives_its_share_and_twins_stay_together(examples, fraction, seed) -> None:
    drawn = fraction_of(examples, fraction, seed)
    sizes, found = Counter(e.task for e in examples), Counter(e.task for e in drawn)
    for task, size in sizes.items():
        wanted = max(1, round(fraction * size))
        assert wanted <= found[task] <= wanted + 1, "a pair may be one too many"
    ids = {e.id for e in drawn}
    for example in examples:
        if example.contrast_of is not None:
            assert (example.id in ids) == (example.contrast_of in ids)


def test_the_seed_and_nothing_else_chooses() -> None:
    examples = [Example(f"q{i}", "q", "1") for i in range(40)]
    first = {e.id for e in fraction_of(examples, 0.5, 0)}
    assert {e.id for e in fraction_of(list(reversed(examples)), 0.5, 0)} == first
    assert {e.id for e in fraction_of(examples, 0.5, 1)} != first


def load(place: Path, **settings) -> Task:
    rows = [
        {
            "id": f"q{i}",
            "task": TASKS[i % 3],
            "question": f"The number of {'very ' * (i % 7)}old carriages in yard {i} beside river {i * i}?",
            "answer": str(i),
            "split": "test" if i % 5 == 0 else "train",
        }
        for i in range(60)
    ]
    path = place / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_task(TaskSettings(path=path, decontaminate=False, **settings), 0)


def test_the_held_out_questions_are_the_same_whatever_the_share(tmp_path) -> None:
    whole, half = load(tmp_path), load(tmp_path, fraction=0.5)
    assert half.evaluation == whole.evaluation
    assert set(half.train) < set(whole.train)
    assert len(half.train) == 24
    assert len(load(tmp_path, fraction=0.5, limit=24).train) == 12, "a share of those that are drawn"


def test_a_task_that_is_held_out_is_judged_on_and_never_learned(tmp_path) -> None:
    whole, task = load(tmp_path), load(tmp_path, held_out=("words",))
    assert {e.task for e in task.train} == {"sums", "dates"}
    assert task.evaluation == whole.evaluation
    assert any("16 training rows are of tasks that are only judged on" in note for note in task.notes)
    with pytest.raises(ConfigError, match=r"`task\.held_out` names `wrods`.*Did you mean `words`\?"):
        load(tmp_path, held_out=("wrods",))


@pytest.mark.parametrize("fraction", [0, 1.2, -0.5])
def test_a_share_is_above_0_and_at_most_1(fraction) -> None:
    with pytest.raises(ValueError, match="fraction"):
        TaskSettings(fraction=fraction)
