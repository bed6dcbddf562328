"""A task from its settings: which questions, of which tasks, from which one source."""

from __future__ import annotations

import pytest

from question_files import everything, load, rows, write
from symdistill.errors import ConfigError, DataError
from symdistill.tasks import load_task
from symdistill.tasks.settings import TaskSettings


def test_tasks_can_be_picked_and_are_named_when_misspelt(tmp_path):
    content = [{**row, "task": f"group/{n % 3}"} for n, row in enumerate(rows(30))]
    path = write(tmp_path / "a.jsonl", content)
    assert {example.task for example in everything(load(path, tasks=("group/1", "group/2")))} == {"group/1", "group/2"}
    with pytest.raises(ConfigError, match="group/11") as caught:
        load(path, tasks=("group/11",))
    assert "group/1" in caught.value.fix


def test_the_name_is_the_task_of_rows_that_name_none(tmp_path):
    task = load(write(tmp_path / "a.jsonl", rows(5)), name="sums")
    assert task.name == "sums"
    assert {example.task for example in everything(task)} == {"sums"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "No questions are named"),
        ({"path": "a.jsonl", "hub": "b"}, "Both `task.path` and `task.hub`"),
        ({"path": "a.jsonl", "options": {"x": 1}}, "`task.options` is for"),
        ({"path": "a.jsonl", "eval_options": {"x": 1}}, "`task.eval_options` is for"),
    ],
)
def test_settings_that_name_no_one_source(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_task(TaskSettings(**settings))


def test_no_question_left(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"id": "x", "question": "Q?", "split": "test"}])
    with pytest.raises(DataError, match="no question that can be used"):
        load(path)
