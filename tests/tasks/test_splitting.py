"""Which questions are held out, and how fewer are drawn."""

from __future__ import annotations

import random
from collections import Counter

from question_files import everything, load, question, rows, write


def test_rows_marked_test_are_evaluated_and_dev_rows_set_aside(tmp_path):
    content = rows(6, split="train") + rows(3, start=10, split="test") + rows(2, start=20, split="validation")
    task = load(write(tmp_path / "a.jsonl", content))
    assert Counter(example.split for example in everything(task)) == {"train": 6, "test": 3}
    assert {example.split for example in task.evaluation} == {"test"}
    assert any(note.startswith("2 rows") for note in task.notes)


def test_dev_rows_are_evaluated_where_there_is_no_test(tmp_path):
    content = rows(6) + rows(3, start=10, split="dev")
    task = load(write(tmp_path / "a.jsonl", content))
    assert {example.id for example in task.evaluation} == {"q10", "q11", "q12"}


def test_a_file_of_its_own_for_evaluation(tmp_path):
    path = write(tmp_path / "train.jsonl", rows(6) + rows(2, start=30, split="test"))
    apart = write(tmp_path / "other.csv.jsonl", rows(4, start=10))
    task = load(path, eval_path=apart)
    assert {example.id for example in task.evaluation} == {"q10", "q11", "q12", "q13"}
    assert len(task.train) == 6
    assert any("eval_path" in note for note in task.notes)


def test_a_fifth_is_held_out_evenly_and_whatever_the_order(tmp_path):
    content = [{**row, "task": "big"} for row in rows(80)] + [{**row, "task": "small"} for row in rows(20, start=100)]
    task = load(write(tmp_path / "a.jsonl", content))
    assert Counter(example.task for example in task.evaluation) == {"big": 16, "small": 4}
    random.Random(3).shuffle(content)
    again = load(write(tmp_path / "b.jsonl", content))
    assert {e.id for e in again.evaluation} == {e.id for e in task.evaluation}
    other = load(tmp_path / "a.jsonl", seed=1)
    assert {e.id for e in other.evaluation} != {e.id for e in task.evaluation}
    assert len(load(tmp_path / "a.jsonl", eval_fraction=0.5).evaluation) == 50


def test_contrast_twins_are_held_out_together(tmp_path):
    content = []
    for number in range(30):
        content.append({"id": f"p{number}", "question": question(number), "answer": str(number)})
        content.append(
            {"id": f"p{number}x", "question": question(100 + number), "answer": "0", "contrast_of": f"p{number}"}
        )
    task = load(write(tmp_path / "a.jsonl", content))
    roots = {
        side: {e.contrast_of or e.id for e in examples}
        for side, examples in (("t", task.train), ("e", task.evaluation))
    }
    assert not roots["t"] & roots["e"]
    assert len(task.train) + len(task.evaluation) == 60
    assert len(task.evaluation) == 12
    limited = load(tmp_path / "a.jsonl", eval_limit=5).evaluation
    assert len(limited) == 4
    assert len({e.contrast_of or e.id for e in limited}) == 2


def test_only_labelled_questions_are_held_out(tmp_path):
    content = rows(5) + [{"question": question(n)} for n in range(50, 95)]
    task = load(write(tmp_path / "a.jsonl", content))
    assert len(task.evaluation) == 1
    assert len(task.train) == 49


def test_test_rows_without_an_answer_cannot_be_evaluated(tmp_path):
    content = rows(5) + rows(2, start=10, split="test") + [{"id": "x", "question": question(50), "split": "test"}]
    task = load(write(tmp_path / "a.jsonl", content))
    assert len(task.evaluation) == 2
    assert any("no answer" in note for note in task.notes)


def test_limits_are_drawn_evenly_and_by_id(tmp_path):
    content = [{**row, "task": "big"} for row in rows(60)] + [{**row, "task": "small"} for row in rows(30, start=100)]
    path = write(tmp_path / "a.jsonl", content)
    task = load(path, limit=12, eval_limit=6)
    assert Counter(example.task for example in task.train) == {"big": 8, "small": 4}
    assert Counter(example.task for example in task.evaluation) == {"big": 4, "small": 2}
    whole = load(path)
    assert {e.id for e in task.train} <= {e.id for e in whole.train}
    assert {e.id for e in task.evaluation} <= {e.id for e in whole.evaluation}
    more = load(path, limit=13, eval_limit=6)
    assert len(more.train) == 13
    assert load(path, limit=12, eval_limit=6) == task
    assert len(load(path, limit=1, eval_limit=1).train) == 1
    assert len(load(path, limit=10_000).train) == len(whole.train)
