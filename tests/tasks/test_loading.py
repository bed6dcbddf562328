"""From files to questions: formats, column names, splits, draws, and what is said about a file that cannot be used."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections import Counter

import pytest

from symdistill.errors import ConfigError, DataError, SymdistillError
from symdistill.tasks import Task, check_answer, load_task
from symdistill.tasks.settings import TaskSettings

WORDS = ["lantern", "river", "carpet", "saddle", "violin", "marble", "engine", "pepper", "ladder", "window", "garden"]


def question(number: int) -> str:
    """A question that shares no eight words with another."""
    draw = random.Random(number)
    return f"Number {number}: how many {' '.join(draw.choice(WORDS) for _ in range(9))} are there?"


def rows(count: int, start: int = 0, **more) -> list[dict]:
    return [{"id": f"q{n}", "question": question(n), "answer": str(n), **more} for n in range(start, start + count)]


def write(path, content):
    text = "".join(json.dumps(row) + "\n" for row in content)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")
    return path


def load(path, seed=0, **settings) -> Task:
    return load_task(TaskSettings(path=path, **settings), seed)


def everything(task: Task):
    return sorted((*task.train, *task.evaluation), key=lambda example: example.id)


@pytest.fixture
def only(tmp_path):
    """The one example (plus a filler that leaves it in train) that a row becomes."""

    def load_row(row, **settings):
        path = write(tmp_path / "row.jsonl", [{**row, "split": "train"}])
        task = load(path, **settings)
        assert len(task.train) == 1
        return task.train[0]

    return load_row


# ---------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.json", "A.JSONL"])
def test_json_lines_plain_and_compressed(tmp_path, name):
    task = load(write(tmp_path / name, rows(10)))
    assert [example.id for example in everything(task)] == [f"q{n}" for n in range(10)]
    assert all(example.answer_type == "number" for example in everything(task))
    assert (len(task.train), len(task.evaluation)) == (8, 2)


def test_a_json_array(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows(10), indent=1), "utf-8")
    assert len(everything(load(path))) == 10


@pytest.mark.parametrize("name, separator", [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ",")])
def test_separated_values(tmp_path, name, separator):
    plain = tmp_path / "plain"
    with plain.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["id", "question", "answer"], delimiter=separator)
        writer.writeheader()
        writer.writerows([{**row, "question": row["question"] + '\n"Quoted", isn\'t it?'} for row in rows(10)])
    path = tmp_path / name
    path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    task = load(path)
    assert [example.answer for example in everything(task)] == [str(n) for n in range(10)]
    assert everything(task)[3].question.endswith('\n"Quoted", isn\'t it?')


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    content = [
        {**row, "answer": int(row["answer"]), "choices": None, "teacher": {"completions": ["So 3."]}}
        for row in rows(10)
    ]
    pq.write_table(pa.Table.from_pylist(content), tmp_path / "a.parquet")
    task = load(tmp_path / "a.parquet")
    assert [example.answer for example in everything(task)] == [str(n) for n in range(10)]
    assert everything(task)[0].rationales == ("So 3.",)


def test_a_saved_dataset_with_splits_and_class_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["negative", "positive"])}
    )

    def part(start):
        content = {"sentence": [question(n) for n in range(start, start + 6)], "label": [0, 1] * 3}
        return datasets.Dataset.from_dict(content, features=features)

    saved = tmp_path / "saved"
    datasets.DatasetDict({"train": part(0), "validation": part(10), "test": part(20)}).save_to_disk(str(saved))
    task = load(saved)
    assert (len(task.train), len(task.evaluation)) == (6, 6)
    assert {example.answer for example in everything(task)} == {"negative", "positive"}
    assert {example.answer_type for example in everything(task)} == {"label"}
    assert {example.question for example in task.evaluation} == {question(n) for n in range(20, 26)}


def test_a_folder_of_files_named_by_their_split(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train-00000-of-00001.jsonl", rows(6))
    write(tmp_path / "data" / "test-00000-of-00001.jsonl.gz", rows(3, start=20))
    task = load(tmp_path)
    assert {example.id for example in task.evaluation} == {"q20", "q21", "q22"}
    assert len(task.train) == 6


# ---------------------------------------------------------------------------------------------------- column shapes

CHAIN = "Two and two are four, and one more makes five in all. The answer is 5."
SHAPES = {
    "question/answer": {"question": "Q?", "answer": "5"},
    "a number as answer": {"question": "Q?", "answer": 5},
    "a float as answer": {"question": "Q?", "answer": 5.0},
    "prompt/completion": {"prompt": "Q?", "completion": "5"},
    "prompt/completion with steps": {"prompt": "Q?", "completion": CHAIN},
    "query/response": {"query": "Q?", "response": CHAIN},
    "problem/solution": {
        "problem": "Q?",
        "solution": "Two and two are four, and with one more that is \\boxed{5} in all.",
    },
    "GSM8K": {"question": "Q?", "answer": "2 + 2 = 4\n4 + 1 = 5\n#### 5"},
    "a long answer with its cue": {"question": "Q?", "answer": f"First this.\n{CHAIN}"},
    "messages": {"messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": CHAIN}]},
    "messages in parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Q?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": CHAIN}]},
        ]
    },
    "prompt and completion as messages": {
        "prompt": [{"role": "user", "content": "Q?"}],
        "completion": [{"role": "assistant", "content": CHAIN}],
    },
    "ShareGPT": {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": CHAIN}]},
    "Alpaca without input": {"instruction": "Q?", "input": "", "output": CHAIN},
    "Alpaca with input": {"instruction": "Count.", "input": "Q?", "output": "5"},
    "nested": {"data": {"q": "Q?"}, "targets": [{"text": "5"}]},
}
MAPPED = {"nested": {"question": "data.q", "answer": "targets.0.text"}}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_rows(only, shape):
    example = only(SHAPES[shape], columns=MAPPED.get(shape, {}))
    assert (example.question, example.answer, example.answer_type) == ("Q?", "5", "number")
    with_steps = any(word in str(SHAPES[shape]) for word in ("makes", "4 + 1", "Two"))
    assert bool(example.rationales) is with_steps
    for rationale in example.rationales:
        assert check_answer(rationale, "5", "number")


def test_system_turns_and_alpaca_instructions_are_instructions(only):
    turns = [("system", "Count."), ("user", "Q?"), ("assistant", "5")]
    assert only({"messages": [{"role": r, "content": c} for r, c in turns]}).instruction == "Count."
    assert only(SHAPES["Alpaca with input"]).instruction == "Count."
    assert only(SHAPES["Alpaca without input"]).instruction is None
    assert only({"question": "Q?", "answer": "5", "instruction": "Count."}, instruction="Add.").instruction == "Add."


def test_alpaca_rows_with_and_without_input_in_one_file(tmp_path):
    content = [
        {"instruction": "Q one?", "input": "", "output": "5", "split": "train"},
        {"instruction": "Count.", "input": "Q two?", "output": "6", "split": "train"},
    ]
    task = load(write(tmp_path / "a.jsonl", content))
    assert {(e.question, e.instruction) for e in everything(task)} == {("Q one?", None), ("Q two?", "Count.")}


def test_a_conversation_of_several_turns(only):
    turns = [("user", "Hello?"), ("assistant", "Hi."), ("user", "Two and three?"), ("assistant", "5")]
    example = only({"messages": [{"role": r, "content": c} for r, c in turns]})
    assert example.question == "User: Hello?\n\nAssistant: Hi.\n\nUser: Two and three?"
    assert example.answer == "5"


def test_a_long_completion_that_states_nothing_is_a_rationale_without_label(only):
    text = "There are many ways to look at this, and none of them is better than the others."
    example = only({"prompt": "Q?", "completion": text})
    assert (example.answer, example.rationales) == (None, (text,))


def test_the_answer_may_be_missing(tmp_path):
    content = [{"question": question(n)} for n in range(5)] + [{"question": question(9), "answer": None}]
    task = load(write(tmp_path / "a.jsonl", content))
    assert len(task.train) == 6
    assert task.evaluation == ()
    assert all(example.answer is None for example in task.train)
    assert any("too few answers" in note for note in task.notes)


def test_rationales_a_row_brings_along(only):
    row = {"question": "Q?", "answer": "5", "rationales": ["2 + 3 = 5.", CHAIN], "rationale": "Counting gives it."}
    example = only(row)
    assert example.rationales == (
        "2 + 3 = 5.\nTherefore, the answer is 5.",
        CHAIN,
        "Counting gives it.\nTherefore, the answer is 5.",
    )
    assert only({**row, "answer": None}).rationales[0] == "2 + 3 = 5."


def test_recorded_replies_stay_as_they_were(only):
    replies = ["I think it is 4. The answer is 4.", "It was cut o"]
    example = only(
        {"question": "Q?", "answer": "5", "teacher": {"model": "m", "completions": replies, "extracted": ["4", ""]}}
    )
    assert example.rationales == tuple(replies)
    row = {"question": "Q?", "answer": "5", "teacher": {"completions": replies}}
    assert only(row, columns={"rationales": "teacher.completions"}).rationales == tuple(replies)


def test_reasoning_beside_a_message_is_kept_as_a_block(only):
    turns = [
        {"role": "user", "content": "Q?"},
        {"role": "assistant", "content": "The answer is 5.", "reasoning_content": "Hm."},
    ]
    example = only({"messages": turns})
    assert example.answer == "5"
    assert example.rationales == ("<think>\nHm.\n</think>\nThe answer is 5.",)


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


# --------------------------------------------------------------------------------------------------- splits and draws


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


# ------------------------------------------------------------------------------------------------------- bad input


def line(row) -> bytes:
    return json.dumps(row).encode() + b"\n"


GOOD = b"".join(line(row) for row in rows(2))
BROKEN = {
    "bad JSON": (
        GOOD + b'{"question":  }\n',
        r"a.jsonl, line 3: not valid JSON \(expected a value at column 15\)\. "
        r"2 good rows before it\. Nothing was started\.",
    ),
    "cut short": (GOOD + b'{"question": "Wh', r"line 3: not valid JSON"),
    "a bare word": (GOOD + b"what?\n", r"line 3: not valid JSON"),
    "a list": (GOOD + b"[1, 2]\n", r"line 3: a list, not an object"),
    "a number": (GOOD + b"12\n", r"line 3: a number, not an object"),
    "null": (GOOD + b"null\n", r"line 3: a null, not an object"),
    "Latin-1": (GOOD + '{"question": "Wie groß?"}\n'.encode("latin-1"), r"line 3: not UTF-8 \(byte 22 of the line\)"),
    "UTF-16": ('{"question": "Q?"}\n'.encode("utf-16"), r"line 1: not UTF-8"),
    "half a surrogate pair": (GOOD + b'{"question": "\\ud83d?"}\n', r"line 3: half of a surrogate pair"),
    "9,000 digits": (GOOD + b'{"answer": ' + b"9" * 9000 + b"}\n", r"line 3: JSON that cannot be read"),
    "nested without end": (GOOD + b"[" * 100_000 + b"\n", r"line 3: (JSON that cannot be read|not valid JSON)"),
    "empty file": (b"", r"a.jsonl holds no rows"),
    "blank lines": (b"\n  \n\n", r"a.jsonl holds no rows"),
    "no question column": (
        line({"head": "x", "relation": "y"}),
        r"line 1: no column holds the question \(columns: head, relation\)",
    ),
    "an empty question": (GOOD + line({"id": "z", "question": " "}), r"line 3: the question is empty"),
    "a question missing": (GOOD + line({"id": "z", "answer": "1"}), r"line 3: no column holds the question"),
    "a list as question": (line({"question": ["a", "b"]}), r"line 1: the question is a list"),
    "a mapping as answer": (line({"question": "Q?", "answer": {"a": 1}}), r"line 1: the answer is a nested value"),
    "an unknown split": (line({"question": "Q?", "split": "later"}), r"line 1: unknown split `later`"),
    "an unknown type": (line({"question": "Q?", "answer_type": "int"}), r"line 1: unknown answer type `int`"),
    "choices as text": (line({"question": "Q?", "choices": "a, b"}), r"line 1: the choices are neither"),
    "choices as broken JSON": (line({"question": "Q?", "choices": "[a, b"}), r"line 1: the choices are not valid JSON"),
    "27 choices": (line({"question": "Q?", "choices": [str(n) for n in range(27)]}), r"line 1: 27 choices"),
    "a conversation without question": (
        line({"messages": [{"role": "assistant", "content": "Hi"}]}),
        r"line 1: the conversation holds no question",
    ),
    "a turn without text": (line({"messages": [{"role": "user"}]}), r"line 1: a turn .* has no role or no text"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_named_with_its_line(tmp_path, fault):
    content, message = BROKEN[fault]
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert caught.value.fix
    assert "\n" not in str(caught.value)


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(GOOD)
        file.write(b'{"question": "')
        for _ in range(50):
            file.write(b"x" * 2**20)
    with pytest.raises(DataError, match=r"a.jsonl, line 3: longer than 16 MB"):
        load(path)


def test_a_compressed_file_cut_short(tmp_path):
    whole = gzip.compress(b"".join(line(row) for row in rows(400)), mtime=0)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a.jsonl.gz is damaged after line \d+"):
        load(path)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(DataError, match="is damaged"):
        load(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("question,answer\nQ?,1,2\n", r"a.csv, line 2: 3 cells under 2 column names"),
        ('question,answer\n"Q?" x,1\n', r"a.csv, line 2: not valid CSV"),
        ('question,answer\n"Q?,1\n', r"a.csv, line 2: not valid CSV"),
        ("", r"a.csv holds no rows"),
        ("question,answer\n", r"a.csv holds no rows"),
        ("head,tail\nx,y\n", r"a.csv, line 2: no column holds the question"),
    ],
)
def test_broken_separated_values(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        load(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[", r"a.json, line 1: not valid JSON"),
        ("[1]", r"a.json, row 1: a number, not an object"),
        ("[]", r"a.json holds no rows"),
    ],
)
def test_broken_arrays(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        load(path)


def test_a_missing_file_and_the_one_that_was_meant(tmp_path):
    write(tmp_path / "train.jsonl", rows(3))
    with pytest.raises(DataError, match=r"There is no file .*trian.jsonl") as caught:
        load(tmp_path / "trian.jsonl")
    assert "train.jsonl" in caught.value.fix
    with pytest.raises(DataError, match="There is no file"):
        load(tmp_path / "train.jsonl", eval_path=tmp_path / "tset.jsonl")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "nowhere" / "train.jsonl")
    assert "no folder" in caught.value.fix


def test_an_unknown_ending_and_an_empty_folder(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(DataError, match="unknown ending") as caught:
        load(tmp_path / "a.xlsx")
    assert ".parquet" in caught.value.fix
    with pytest.raises(DataError, match="holds no dataset"):
        load(tmp_path)


def test_damaged_parquet_and_saved_datasets(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 is how it begins, and no more")
    with pytest.raises(DataError, match="not a Parquet file"):
        load(tmp_path / "a.parquet")
    pytest.importorskip("datasets")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="not a saved dataset"):
        load(tmp_path / "saved")


def test_columns_that_are_not_there(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"ask": question(n), "reply": str(n)} for n in range(5)])
    assert len(everything(load(path, columns={"question": "ask", "answer": "reply"}))) == 5
    with pytest.raises(DataError, match=r"no column `aks`, which `task.columns.question` names") as caught:
        load(path, columns={"question": "aks"})
    assert "ask" in caught.value.fix
    with pytest.raises(DataError, match=r"no row has the column `replay` of `task.columns.answer`") as caught:
        load(path, columns={"question": "ask", "answer": "replay"})
    assert "reply" in caught.value.fix
    with pytest.raises(ConfigError, match="maps `questoin`") as caught:
        load(path, columns={"questoin": "ask"})
    assert "question" in caught.value.fix


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


def test_a_hub_that_cannot_be_reached_is_an_error_of_ours(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def refuse(*_, **__):
        raise ConnectionError("offline\nmore")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"Cannot load a/b from the hub \(ConnectionError: offline\)"):
        load_task(TaskSettings(hub="a/b"))


def test_a_hub_dataset_with_a_configuration(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def give(name, config):
        asked.append((name, config))
        content = {"question": [question(n) for n in range(5)], "answer": [f"x\n#### {n}" for n in range(5)]}
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict(content)})

    monkeypatch.setattr(datasets, "load_dataset", give)
    task = load_task(TaskSettings(hub="openai/gsm8k:main"))
    assert asked == [("openai/gsm8k", "main")]
    assert sorted(example.answer for example in everything(task)) == list("01234")


def test_no_question_left(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"id": "x", "question": "Q?", "split": "test"}])
    with pytest.raises(DataError, match="no question that can be used"):
        load(path)


def test_every_error_is_one_of_ours_whatever_the_bytes(tmp_path):
    draw = random.Random(5)
    pieces = [
        b"{",
        b"}",
        b'"question"',
        b":",
        b'"',
        b"[",
        b"]",
        b",",
        b"\n",
        b"\xff",
        b"\x00",
        b"1e999",
        b"NaN",
        b"null",
        b"\\u",
    ]
    outcomes = Counter()
    for number in range(300):
        path = tmp_path / f"f{number}.{draw.choice(('jsonl', 'json', 'csv', 'jsonl.gz'))}"
        path.write_bytes(b"".join(draw.choice(pieces) for _ in range(draw.randrange(12))))
        try:
            load(path)
        except SymdistillError as error:
            outcomes[type(error).__name__, bool(error.fix)] += 1
    assert outcomes["DataError", True] > 250
    assert len(outcomes) == 1
