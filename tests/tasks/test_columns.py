"""From rows of many shapes to questions: column names, conversations, rationales."""

from __future__ import annotations

from functools import partial

import pytest

from question_files import everything, load, load_row, question, write
from symdistill.errors import ConfigError, DataError
from symdistill.tasks import check_answer


@pytest.fixture
def only(tmp_path):
    return partial(load_row, tmp_path / "row.jsonl")


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
