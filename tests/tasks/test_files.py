"""Rows out of files of every format, and what is said about a file that cannot be used."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections import Counter

import pytest

from question_files import everything, load, question, rows, write
from symdistill.errors import DataError, SymdistillError
from symdistill.tasks import load_task
from symdistill.tasks.settings import TaskSettings

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


@pytest.mark.parametrize(
    "there, asked, meant",
    [
        ("questions.jsonl", "qestions.jsonl", True),
        ("questions.jsonl", "questions.csv", True),
        ("Questions.jsonl.gz", "questions.jsonl", True),
        ("labels.jsonl", "nope.jsonl", False),
        ("neg.jsonl", "missing.jsonl", False),
        ("openai.yaml", "nope.jsonl", False),
        ("questions.csv", "qestions.jsonl", False),
        ("questions.jsonl.gz", "qestions.jsonl", True),
    ],
)
def test_a_common_ending_makes_no_two_names_alike(tmp_path, there, asked, meant):
    (tmp_path / there).write_text("")
    with pytest.raises(DataError) as caught:
        load(tmp_path / asked)
    assert ("Did you mean" in caught.value.fix) == meant


def test_of_equally_named_files_the_one_of_that_ending_was_meant(tmp_path):
    for ending in ("csv", "jsonl", "parquet"):
        (tmp_path / f"questions.{ending}").write_text("")
    with pytest.raises(DataError, match=r"Did you mean .*questions\.jsonl\?"):
        load(tmp_path / "questions.json")


@pytest.mark.parametrize("key", ["task.path", "task.eval_path"])
def test_a_missing_file_is_told_with_the_key_that_names_it(tmp_path, key):
    there = write(tmp_path / "train.jsonl", rows(3))
    missing = tmp_path / "none.jsonl"
    with pytest.raises(DataError) as caught:
        load(missing) if key == "task.path" else load(there, eval_path=missing)
    assert str(caught.value) == f"There is no file {missing} (`{key}`). Check the path."


@pytest.mark.parametrize("folder", [".", "data"])
def test_a_missing_file_that_a_program_beside_it_makes(tmp_path, folder):
    (tmp_path / "data.py").write_text("")
    with pytest.raises(DataError) as caught:
        load(tmp_path / folder / "sst2.jsonl")
    assert caught.value.fix == f"`python {tmp_path / 'data.py'} --help` says how to make it."


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("a.csv", "id;question;answer\n1;What?;2\n", "separated by `;`, not by `,`"),
        ("a.csv", "id\tquestion\n1\tWhat?\n", r"separated by '\\t', not by `,`"),
        ("a.tsv", "id,question\n1,What?\n", r"separated by `,`, not by '\\t'"),
        ("a.jsonl", '[{"question": "1?"}]\n', "A list goes into a file that ends in .json;"),
        ("a.jsonl", '[\n {"question": "1?"}\n]\n', "A list goes into a file that ends in .json;"),
        ("a.jsonl", '{"question": "1?"}\n[]\n', "One object a line"),
        ("a.json", '{"question": "1?"}\n[]\n', "One object a line"),
    ],
)
def test_the_cause_is_named_where_the_form_of_a_file_is_another(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says):
        load(tmp_path / name)


def test_a_column_of_its_own_may_hold_any_separator(tmp_path):
    (tmp_path / "a.csv").write_text("question\n" + "".join(f'"How much; is | {n}?"\n' for n in range(3)))
    assert len(load(tmp_path / "a.csv").train) == 3


@pytest.mark.parametrize("encoding, named", [("utf-16", "utf-16"), ("latin1", "latin1")])
def test_the_encoding_to_convert_from(tmp_path, encoding, named):
    (tmp_path / "a.jsonl").write_bytes('{"question": "Où?"}\n'.encode(encoding))
    with pytest.raises(DataError, match=f"iconv -f {named} -t utf-8"):
        load(tmp_path / "a.jsonl")


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
