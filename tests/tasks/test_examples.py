"""From drafts to questions: options, answer types, ids, and rows that say the same."""

from __future__ import annotations

import json
from functools import partial

import pytest

from question_files import everything, load, load_row, question, rows, write
from symdistill.errors import DataError


@pytest.fixture
def only(tmp_path):
    return partial(load_row, tmp_path / "row.jsonl")


# --------------------------------------------------------------------------------------------------------- choices


LETTERS = {"A": "shelf", "B": "dark", "C": "board"}
CHOICES = [
    (LETTERS, "B"),
    (LETTERS, "(B)"),
    (LETTERS, "b"),
    (LETTERS, "dark"),
    (LETTERS, "Dark."),
    (LETTERS, 1),
    (LETTERS, "1"),
    (list(LETTERS.values()), "B"),
    (list(LETTERS.values()), "dark"),
    (list(LETTERS.values()), 1),
    ({"label": list("ABC"), "text": list(LETTERS.values())}, "B"),
    ({"label": list("123"), "text": list(LETTERS.values())}, "2"),
    ({"label": [1, 2, 3], "text": list(LETTERS.values())}, 2),
    ([{"label": k, "text": v} for k, v in LETTERS.items()], "B"),
    ({"a": "shelf", "b": "dark", "c": "board"}, "b"),
    ({"1": "shelf", "2": "dark", "3": "board"}, "2"),
    (json.dumps(LETTERS), "B"),
    ({**LETTERS, "D": None}, "B"),
]


@pytest.mark.parametrize("choices, answer", CHOICES)
def test_options_and_answers_of_all_forms_become_letters(only, choices, answer):
    for column in ("choices", "options"):
        example = only({"question": "What is it?", column: choices, "answer": answer})
        assert (example.answer, example.answer_type, dict(example.choices)) == ("B", "choice", LETTERS)


def test_options_in_columns_of_their_own(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,A,B,C,answer,split\nWhat?,shelf,dark,board,B,train\n", "utf-8")
    example = load(path).train[0]
    assert (example.answer, dict(example.choices)) == ("B", LETTERS)


def test_numbers_as_options_are_found_by_text_before_index(only):
    example = only({"question": "How many?", "choices": ["3", "1", "2"], "answer": "1"})
    assert example.answer == "B"
    assert only({"question": "How many?", "choices": ["3", "1", "2"], "answer": 1}).answer == "B"
    assert only({"question": "How many?", "choices": ["3", "1", "2"], "answer": 2}).answer == "C"


def test_a_completion_that_picks_an_option(only):
    example = only(
        {"prompt": "What?", "choices": LETTERS, "completion": "No light is dark, so it is that. The answer is (B)."}
    )
    assert (example.answer, len(example.rationales)) == ("B", 1)


def test_choices_without_options_keep_their_letter(only):
    assert only({"question": "Pick (A) or (B).", "answer": "(B)", "answer_type": "choice"}).answer == "B"


@pytest.mark.parametrize("answer", ["E", "purple", 7, "A or B"])
def test_an_answer_that_is_no_option(only, answer):
    with pytest.raises(DataError, match=r"row.jsonl, line 1: the answer `.*` is none of the options A, B, C") as caught:
        only({"question": "What?", "choices": LETTERS, "answer": answer})
    assert "index from 0" in caught.value.fix


# ------------------------------------------------------------------------------------------------------- answer types


@pytest.mark.parametrize(
    "answers, expected",
    [
        (["1", "-2.5", "$3,000", "1/2", "60%"], "number"),
        (["yes", "no", "yes", "no"], "label"),
        (["Yes", "yes", "NO", "no"], "label"),
        (["not enough info", "refuted"] * 3, "label"),
        (["yes", "no"], "text"),
        (["nk", "ab", "cd"], "text"),
        (["1", "2", "three kings"], "text"),
        (["00:34:28", "01:02:03"], "text"),
        (["12/24/1937", "12/25/1937"], "text"),
        (["this is a long answer indeed"] * 4, "text"),
        ([f"label {n % 21}" for n in range(42)], "text"),
    ],
)
def test_answer_types_are_inferred(tmp_path, answers, expected):
    content = [{"question": question(n), "answer": answer} for n, answer in enumerate(answers)]
    assert {example.answer_type for example in everything(load(write(tmp_path / "a.jsonl", content)))} == {expected}


def test_each_task_of_a_file_has_its_own_type(tmp_path):
    content = [{**row, "task": "count"} for row in rows(5)]
    content += [
        {**row, "task": "verdict", "answer": "yes" if n % 2 else "no"} for n, row in enumerate(rows(6, start=20))
    ]
    content += [{**row, "task": "said so", "answer_type": "text"} for row in rows(3, start=40)]
    types = {example.task: example.answer_type for example in everything(load(write(tmp_path / "a.jsonl", content)))}
    assert types == {"count": "number", "verdict": "label", "said so": "text"}


def test_the_settings_decide_the_type(tmp_path):
    path = write(tmp_path / "a.jsonl", rows(5, answer_type="label"))
    assert {example.answer_type for example in everything(load(path, answer_type="text"))} == {"text"}


# ------------------------------------------------------------------------------------------------------------- ids


def test_ids_come_from_the_content_where_there_are_none(tmp_path):
    content = [{"question": question(n), "answer": str(n)} for n in range(10)]
    first = everything(load(write(tmp_path / "a.jsonl", content)))
    again = everything(load(write(tmp_path / "b.jsonl", content[::-1])))
    assert [e.id for e in first] == [e.id for e in again]
    assert len({e.id for e in first}) == 10
    assert all(e.id.startswith("q1_") for e in first)


def test_repeated_rows_are_left_out_and_counted(tmp_path):
    task = load(write(tmp_path / "a.jsonl", rows(10) + rows(3)))
    assert len(everything(task)) == 10
    assert any(note.startswith("3 rows were repetitions") for note in task.notes)


def test_one_row_a_rationale_becomes_one_question(tmp_path):
    content = [
        {"question": question(n), "answer": str(n), "rationale": f"Way {way}."} for n in range(4) for way in range(3)
    ]
    task = load(write(tmp_path / "a.jsonl", content))
    assert len(everything(task)) == 4
    assert all(len(example.rationales) == 3 for example in everything(task))


def test_one_question_with_two_answers_is_kept_twice_without_ids_and_said(tmp_path):
    content = [{"question": question(n), "answer": str(n)} for n in range(6)] + [
        {"question": question(0), "answer": "7"}
    ]
    task = load(write(tmp_path / "a.jsonl", content), decontaminate=False)
    assert len({example.id for example in everything(task)}) == 7
    assert any("different answers" in note for note in task.notes)


def test_one_id_for_different_questions_is_an_error(tmp_path):
    content = [*rows(4), {"id": "q1", "question": question(9), "answer": "9"}]
    with pytest.raises(DataError, match=r"a.jsonl, line 5: the id `q1` .* than in .*a.jsonl, line 2"):
        load(write(tmp_path / "a.jsonl", content))


@pytest.mark.parametrize("same", [True, False])
def test_one_id_for_all_rows_is_an_error(tmp_path, same):
    content = [{"id": "x", "question": question(0 if same else n), "answer": "1"} for n in range(5)]
    with pytest.raises(DataError, match="All 5 rows have the id `x`") as caught:
        load(write(tmp_path / "a.jsonl", content))
    assert "task.columns" in caught.value.fix
