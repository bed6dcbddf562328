"""Which training questions give an evaluation question away, and which only look like one."""

from __future__ import annotations

import json
import random

import pytest

from symdistill.records import Example
from symdistill.tasks import decontaminate, load_task
from symdistill.tasks.settings import TaskSettings

FARM = "A farmer keeps nineteen goats behind the old mill, and all but seven wander off at night. How many stay?"
TRAIN = "Two trains leave Oslo and Bergen at noon and travel towards each other on one single track. When do they meet?"
CHINESE = "小明有十二个苹果，他给了小红三个苹果，又给了小刚四个苹果，请问小明还剩几个苹果？"


def examples(*questions, task="task", **more):
    return [Example(f"{task}{n}", question, task=task, **more) for n, question in enumerate(questions)]


def removed(train, evaluation):
    kept, gone = decontaminate(train, evaluation)
    assert len(kept) + len(gone) == len(train)
    assert not {example.id for example in kept} & {overlap.id for overlap in gone}
    return gone


@pytest.mark.parametrize(
    "copy",
    [
        FARM,
        FARM.upper(),
        FARM.replace(" ", "  \n"),
        FARM.replace(",", "").replace(".", "").replace("?", ""),
        f"“{FARM}”",
    ],
)
def test_a_copy_is_removed(copy):
    (overlap,) = removed(examples(TRAIN, copy), examples("Something else?", FARM, task="eval"))
    assert (overlap.id, overlap.eval_id, overlap.kind, overlap.share) == ("task1", "eval1", "exact", 1.0)


@pytest.mark.parametrize(
    "near",
    [
        f"Here is a riddle for you. {FARM} Think before you answer.",
        FARM.replace("How many stay?", "Count those that stay."),
        FARM.replace("farmer", "shepherd"),
        FARM.replace("mill,", "mill -"),
    ],
)
def test_most_of_a_question_in_runs_of_eight_is_removed(near):
    (overlap,) = removed(examples(TRAIN, near), examples(FARM, task="eval"))
    assert (overlap.id, overlap.eval_id, overlap.kind) == ("task1", "eval0", "8-gram")
    assert 0.6 <= overlap.share <= 1


@pytest.mark.parametrize(
    "other",
    [
        TRAIN,
        "Behind the old mill stands a barn. A farmer keeps hay in it. How much hay fits?",
        FARM.replace("A farmer keeps nineteen goats behind the old mill, and", "Of the 40 sheep that graze there,"),
        "",
        "?",
    ],
)
def test_a_few_words_in_common_are_no_leak(other):
    assert not removed(examples(other), examples(FARM, task="eval"))


def test_other_numbers_make_another_question():
    story = "A baker puts {} loaves on each of the {} shelves of her new shop before it opens. How many loaves is that?"
    evaluation = examples(story.format(7, 12), task="eval")
    assert not removed(examples(story.format(8, 15)), evaluation)
    assert removed(examples("Well then. " + story.format(7, 12)), evaluation)


def test_chinese_is_compared_by_characters():
    near = "请回答：" + CHINESE
    assert removed(examples(near), examples(CHINESE, task="eval"))
    assert not removed(examples("小红有五支铅笔。"), examples(CHINESE, task="eval"))


def sums(count, seed, terms=3):
    draw = random.Random(seed)
    ask = "State the final answer to the following arithmetic problem: {} ="
    return [ask.format(" + ".join(str(draw.randrange(10, 100)) for _ in range(terms))) for _ in range(count)]


@pytest.mark.parametrize("held_out", [1, 3, 40])
@pytest.mark.parametrize("terms", [2, 3, 12])
def test_questions_of_one_template_stay_and_copies_among_them_go(held_out, terms):
    evaluation = examples(*sums(held_out, 1, terms), task="eval")
    train = examples(*sums(200, 2, terms), evaluation[0].question)
    train = [e for n, e in enumerate(train) if n == 200 or e.question != evaluation[0].question]
    gone = removed(train, evaluation)
    assert "task200" in {overlap.id for overlap in gone}
    assert {overlap.kind for overlap in gone} == {"exact"}


def test_a_template_of_one_of_many_tasks_is_a_template():
    others = [Example(f"o{n}", f"{n} {TRAIN} {n * 7}", task=f"other{n % 40}") for n in range(400)]
    train = examples(*sums(20, 2), task="sums") + others
    assert not removed(train, examples(*sums(2, 1), task="sums"))


def test_a_leak_inside_a_template_is_found():
    ask = "Read the following story with care and answer the question that stands below it in one word. "
    evaluation = examples(*[ask + text for text in (FARM, TRAIN, *sums(20, 3))], task="eval")
    train = examples(*[ask + text for text in sums(50, 4)], f"{ask}Once upon a time: {FARM}")
    (overlap,) = removed(train, evaluation)
    assert (overlap.id, overlap.eval_id, overlap.kind) == ("task50", "eval0", "8-gram")


def test_contrast_twins_in_evaluation_are_no_template():
    edits = ("nineteen", "twenty", "thirty", "forty", "fifty")
    evaluation = [Example("e", FARM)]
    evaluation += [Example(f"e{n}", FARM.replace("nineteen", n), contrast_of="e") for n in edits[1:]]
    (overlap,) = removed(examples(f"Listen. {FARM}"), evaluation)
    assert overlap.kind == "8-gram"


def test_the_same_stem_with_other_options_is_another_question():
    stem, one, other = (
        "Which of these is true?",
        {"A": "cats bark", "B": "dogs bark"},
        {"A": "fish swim", "B": "fish walk"},
    )
    evaluation = [Example("e", stem, choices=one)]
    assert not removed([Example("t", stem, choices=other)], evaluation)
    turned = {"A": "dogs bark", "B": "cats bark"}
    assert removed([Example("t", stem, choices=turned)], evaluation)


def test_operators_are_part_of_a_question():
    assert not removed(examples("What is 7 - 4 ?"), examples("What is 7 + 4 ?", task="eval"))
    assert removed(examples("what is 7+4"), examples("What is 7 + 4 ?", task="eval"))


def test_nothing_to_compare():
    train = examples(FARM)
    assert decontaminate(train, []) == (tuple(train), ())
    assert decontaminate([], train) == ((), ())


def test_order_is_kept_and_decides_nothing():
    evaluation = examples(FARM, TRAIN, task="eval")
    train = examples(*sums(30, 1), FARM, f"So: {TRAIN}", "What now?")
    kept, gone = decontaminate(train, evaluation)
    assert [example.id for example in kept] == [example.id for example in train if example in kept]
    turned_kept, turned_gone = decontaminate(train[::-1], evaluation[::-1])
    assert set(turned_kept) == set(kept)
    assert set(turned_gone) == set(gone)


def write(path, questions, **more):
    content = [{"id": f"{path.stem}{n}", "question": q, "answer": str(n), **more} for n, q in enumerate(questions)]
    path.write_text("".join(json.dumps(row) + "\n" for row in content), "utf-8")
    return path


def test_loading_takes_leaks_out_and_reports_them(tmp_path):
    path = write(tmp_path / "t.jsonl", [FARM, TRAIN, f"Listen. {TRAIN}", "What is left?"])
    apart = write(tmp_path / "e.jsonl", [TRAIN])
    task = load_task(TaskSettings(path=path, eval_path=apart))
    assert [example.id for example in task.train] == ["t0", "t3"]
    assert [(o.id, o.eval_id, o.kind) for o in task.removed] == [("t1", "e0", "exact"), ("t2", "e0", "8-gram")]
    untouched = load_task(TaskSettings(path=path, eval_path=apart, decontaminate=False))
    assert len(untouched.train) == 4
    assert untouched.removed == ()


def test_a_leak_is_found_though_the_limit_would_not_draw_the_evaluation_question(tmp_path):
    path = write(tmp_path / "t.jsonl", [FARM, "What is left?"])
    apart = write(tmp_path / "e.jsonl", [FARM, *sums(30, 1)])
    task = load_task(TaskSettings(path=path, eval_path=apart, eval_limit=1))
    assert [overlap.id for overlap in task.removed] == ["t0"]


def test_a_file_in_which_every_row_asks_the_same_leaves_nothing_to_train_on_and_says_so(tmp_path):
    path = write(tmp_path / "t.jsonl", [FARM] * 20)
    task = load_task(TaskSettings(path=path))
    assert task.train == ()
    assert len(task.evaluation) == 4
    assert len(task.removed) == 16
    assert any("All 16 training rows (1 different questions)" in note for note in task.notes)
