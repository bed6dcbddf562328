"""Generated questions: seeded, different, as hard as asked, and clear words where something is misspelt."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.tasks import check_answer, load_task
from symdistill.tasks.settings import TaskSettings

pytest.importorskip("reasoning_gym")


def make(name, seed=0, size=40, **settings):
    return load_task(TaskSettings(name=f"reasoning-gym:{name}", size=size, **settings), seed)


def questions(examples):
    return {example.question for example in examples}


def test_as_many_different_questions_as_asked_a_fifth_of_them_held_out():
    task = make("chain_sum")
    assert (len(task.train), len(task.evaluation)) == (32, 8)
    assert len(questions(task.train) | questions(task.evaluation)) == 40
    assert {example.task for example in task.train} == {"chain_sum"}
    assert {example.answer_type for example in (*task.train, *task.evaluation)} == {"number"}
    assert len({example.id for example in (*task.train, *task.evaluation)}) == 40


def test_the_gold_answers_are_right():
    for example in make("chain_sum", options={"min_terms": 2, "max_terms": 2}).train:
        left, sign, right = example.question.split(":")[1].replace("=", "").split()
        result = int(left) + int(right) if sign == "+" else int(left) - int(right)
        assert check_answer(f"So the answer is {result}.", example.answer, example.answer_type)


def test_the_seed_decides():
    assert make("chain_sum") == make("chain_sum")
    one, other = make("chain_sum"), make("chain_sum", seed=1)
    assert not questions(one.train) & questions(other.train)


def test_a_mix_of_generators():
    task = make("chain_sum, gcd,chain_sum", size=31)
    assert Counter(example.task for example in (*task.train, *task.evaluation)) == {"chain_sum": 16, "gcd": 15}
    assert Counter(example.task for example in task.evaluation) == {"chain_sum": 3, "gcd": 3}
    assert task.name == "reasoning-gym:chain_sum, gcd,chain_sum"


def test_options_for_all_and_for_one():
    task = make(
        "chain_sum,decimal_chain_sum",
        size=20,
        options={"min_terms": 2, "max_terms": 2, "chain_sum": {"max_terms": 5, "min_terms": 5}},
    )
    terms = {}
    for example in (*task.train, *task.evaluation):
        numbers = [part for part in example.question.split(":")[1].split() if part[-1].isdigit()]
        terms.setdefault(example.task, set()).add(len(numbers))
    assert terms == {"chain_sum": {5}, "decimal_chain_sum": {2}}


def test_evaluation_outside_the_training_distribution():
    options = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    task = make("chain_sum", options=options, eval_options={"min_terms": 4, "max_terms": 4})
    assert (len(task.train), len(task.evaluation)) == (32, 8)
    counted = [{e.question.count("+") + e.question.count("- ") for e in side} for side in (task.train, task.evaluation)]
    assert counted == [{1}, {3}]
    same = make("chain_sum", size=100, options=options, eval_options={"min_terms": 2})
    assert not questions(same.train) & questions(same.evaluation)


def test_a_generator_that_runs_dry_says_so():
    task = make("products", size=400, options={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
    everything = (*task.train, *task.evaluation)
    assert len(everything) == len(questions(everything)) < 400
    assert any("only" in note and "products" in note for note in task.notes)


@pytest.mark.parametrize(
    "name, answer_type",
    [
        ("syllogism", "label"),
        ("time_intervals", "text"),
        ("spell_backward", "text"),
        ("number_sequence", "number"),
        ("mini_sudoku", "text"),
        ("word_sorting", "text"),
    ],
)
def test_answers_of_many_kinds_are_read_back_from_the_closing_sentence(name, answer_type):
    for example in make(name, size=20).train:
        assert example.answer_type == answer_type
        assert check_answer(f"Step by step.\nTherefore, the answer is {example.answer}.", example.answer, answer_type)


def test_limits_hold_for_generated_questions_too():
    task = make("chain_sum", limit=5, eval_limit=3)
    assert (len(task.train), len(task.evaluation)) == (5, 3)


@pytest.mark.parametrize(
    "settings, message, hint",
    [
        ({"name": "chain_sums"}, "no generator `chain_sums`", "`chain_sum`"),
        ({"name": "qqqq"}, "no generator `qqqq`", "Some there are"),
        ({"name": "chain_sum", "options": {"min_term": 2}}, "chain_sum has no option `min_term`", "`min_terms`"),
        ({"name": "chain_sum", "eval_options": {"hard": True}}, "no option `hard`", "min_digits"),
        ({"name": "chain_sum", "options": {"seed": 3}}, "no option `seed`", "chain_sum takes"),
        (
            {"name": "chain_sum", "options": {"min_terms": 9, "max_terms": 2}},
            "does not accept min_terms=9",
            "task.options",
        ),
        ({"name": "chain_sum", "options": {"min_terms": "two"}}, "does not accept min_terms='two'", "task.options"),
        ({"name": "chain_sum,gcd", "options": {"gcd": 3}}, "`task.options.gcd` should be a set", "gcd: {option"),
        ({"name": "rubiks_cube"}, "no single right answer", "another"),
        ({"name": ""}, "names no generator", "reasoning-gym:chain_sum"),
        ({"name": "chain_sum", "path": "a.jsonl"}, "`task.path` is set", "one of them"),
        ({"name": "chain_sum", "eval_path": "a.jsonl"}, "`task.eval_path` is set", "one of them"),
    ],
)
def test_mistakes_are_named(settings, message, hint):
    settings = dict(settings)
    with pytest.raises(ConfigError, match=message) as caught:
        make(settings.pop("name"), **settings)
    assert hint in caught.value.fix


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(PrerequisiteError) as caught:
        make("chain_sum")
    assert str(caught.value).endswith("pip install 'symdistill[reasoning-gym]'")


@pytest.mark.parametrize("module, source, extra", [("pyarrow", "a.parquet", "parquet"), ("datasets", "saved", "hub")])
def test_formats_without_their_package_name_the_command(tmp_path, monkeypatch, module, source, extra):
    path = tmp_path / source
    if source == "saved":
        path.mkdir()
        (path / "state.json").write_text("{}")
    else:
        path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PrerequisiteError) as caught:
        load_task(TaskSettings(path=path))
    assert str(caught.value).endswith(f"pip install 'symdistill[{extra}]'")


def test_importing_the_part_loads_nothing_heavy():
    heavy = ("numpy", "datasets", "pyarrow", "reasoning_gym")
    check = f"import sys, symdistill.tasks; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
