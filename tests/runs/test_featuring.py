"""Questions, answers and rules of a run: bought once, written as files, and no worse for a stop in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from feature_teacher import reply_to, write_reviews
from symdistill.content import sample_seed
from symdistill.errors import ConfigError, DataError, Interrupted
from symdistill.knowledge.rules.observations import read_table
from symdistill.knowledge.rules.text import rule_text
from symdistill.knowledge.trees.features import read_features, write_features
from symdistill.knowledge.trees.settings import AnswerSettings, QuestionSettings, ScreeningSettings
from symdistill.models.scripted import ScriptedModel
from symdistill.records import Request
from symdistill.runs.config import RunConfig
from symdistill.runs.featuring import (
    ask_questions,
    find_questions,
    find_rules,
    price_answers,
    price_questions,
    tree_files,
)
from symdistill.runs.workspace import Workspace, workspace


def say(request: Request) -> Any:
    return reply_to(request.messages[-1].content, sample_seed(request.key))


@contextmanager
def opened(tmp_path: Path, script: Any = say, **teacher: Any) -> Iterator[tuple[Workspace, ScriptedModel]]:
    """A run whose teacher is a script."""
    path = tmp_path / "reviews.jsonl"
    if not path.exists():
        write_reviews(path)
    settings = RunConfig.model_validate({"task": {"path": str(path)}, "teacher": {"model": "openai:m", **teacher}})
    model = ScriptedModel(script, name="openai:m")
    with (
        mock.patch("symdistill.runs.teaching.load_teacher", return_value=model),
        mock.patch("symdistill.runs.featuring.load_teacher", return_value=model),
        workspace(settings, tmp_path / "run", needs_method=False) as work,
    ):
        yield work, model


def test_questions_answers_and_rules_from_one_teacher(tmp_path: Path) -> None:
    with opened(tmp_path) as (work, _):
        questions, proposals = find_questions(work, QuestionSettings(requests=2))
        assert list(questions) == ["praises_acting", "boring", "mood"]
        outcomes = [one.outcome for one in proposals]
        assert outcomes[:5] == ["question", "question", "question", "asks_for_the_answer", "not_yes_no"]
        assert outcomes.count("duplicate") == 3
        table, noise, kept = ask_questions(work, AnswerSettings(again=30))
        assert kept.kept == ("praises_acting", "boring")
        assert kept.dropped["mood"].startswith("noisy: asked again about 30 inputs")
        assert [one.agreement.kappa for one in noise[:2] if one.agreement] == [1.0, 1.0]
        rules, proposed = find_rules(work, requests=1)
    assert [rule_text(rule) for rule in rules.rules] == [
        "IF praises_acting AND NOT boring THEN label = positive",
        "IF boring THEN label = negative",
    ]
    assert [one.outcome for one in proposed] == ["rule", "rule", "unknown_name"]
    assert rules.default == "negative"
    files = tree_files(tmp_path / "run")
    assert read_features(files.questions) == questions
    assert read_table(files.table) == table
    assert {one.split: len([o for o in table if o.split == one.split]) for one in table} == {"train": 40, "test": 20}
    facts = json.loads(files.answers.read_text())
    assert facts["answered_by"] == "openai:m"
    assert facts["outcomes"] == {"complete": 90}
    assert facts["noise"][2]["agreement"]["n"] == 30


def test_nothing_is_bought_twice_and_a_reworded_question_is_asked_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as (work, model):
        find_questions(work, QuestionSettings())
        first, _, _ = ask_questions(work, AnswerSettings(again=12))
        bought = len(model.requests)
        find_questions(work, QuestionSettings())
        assert ask_questions(work, AnswerSettings(again=12))[0] == first
        assert len(model.requests) == bought
        ask_questions(work, AnswerSettings(again=20))
        assert len(model.requests) == bought + 8
        files = tree_files(work.directory.path)
        write_features(files.questions, {"praises_acting": "Is the acting good, says the writer?"})
        ask_questions(work, AnswerSettings(again=0))
        assert len(model.requests) == bought + 8 + 60


def test_a_stop_keeps_what_was_answered(tmp_path: Path) -> None:
    with opened(tmp_path) as (work, _):
        find_questions(work, QuestionSettings())

    def stops(request: Request) -> Any:
        if request.example_id == "r31":
            raise Interrupted("Stopped.")
        return say(request)

    with pytest.raises(Interrupted), opened(tmp_path, stops) as (work, _):
        ask_questions(work, AnswerSettings())
    with opened(tmp_path) as (work, model):
        price = price_answers(work, AnswerSettings())
        assert 0 < price.stored < price.planned
        ask_questions(work, AnswerSettings())
        assert len(model.requests) == price.to_buy


def test_a_student_answers_in_place_of_the_teacher(tmp_path: Path) -> None:
    """What it says costs nothing, and neither it nor the teacher is taken for the other."""
    name = "transformers:runs/reviews/student"
    student = ScriptedModel(lambda request: "1. yes\n2. no" if "Film 1" in str(request) else "1. no\n2. yes", name=name)
    with opened(tmp_path) as (work, teacher):
        write_features(
            tree_files(work.directory.path).questions, {"boring": "Is it boring?", "acting": "Is the acting good?"}
        )
        files = tree_files(work.directory.path)
        by_teacher = ask_questions(work, AnswerSettings(again=0))[0]
        bought = len(teacher.requests)
        with mock.patch("symdistill.runs.featuring.load_teacher", return_value=student) as loads:
            before = price_answers(work, AnswerSettings(again=0), answered_by=name)
            assert (before.to_buy, before.stored, before.most_usd) == (60, 0, 0.0)
            by_student = ask_questions(work, AnswerSettings(again=0), answered_by=name)[0]
            assert {call.args[0].model for call in loads.call_args_list} == {name}
            assert price_answers(work, AnswerSettings(again=0), answered_by=name).stored == 60
        assert json.loads(files.answers.read_text())["answered_by"] == name
        assert read_table(files.table) == by_student != by_teacher
        assert by_student[0].answers == {"boring": True, "acting": False}
        assert (len(teacher.requests), len(student.requests)) == (bought, 60)
        assert ask_questions(work, AnswerSettings(again=0))[0] == by_teacher
        assert (len(teacher.requests), len(student.requests)) == (bought, 60), "the teacher's answers are still there"


def test_a_price_asks_nobody(tmp_path: Path) -> None:
    with opened(tmp_path) as (work, model):
        assert price_questions(work, QuestionSettings(requests=3)).to_buy == 3
        with pytest.raises(DataError, match="There are no questions at"):
            price_answers(work, AnswerSettings())
        write_features(tree_files(work.directory.path).questions, {"boring": "Is it boring?"})
        assert price_answers(work, AnswerSettings(again=10)).to_buy == 70
        assert price_answers(work, AnswerSettings(again=0), limit=6).to_buy == 12
        assert not model.requests


def test_a_teacher_without_a_usable_question(tmp_path: Path) -> None:
    with opened(tmp_path, lambda request: "What is it about?") as (work, _):
        with pytest.raises(DataError, match=r"No reply of openai:m holds a question that can be used \(not_yes_no 4\)"):
            find_questions(work, QuestionSettings())
        assert tree_files(work.directory.path).proposals.exists()


def test_answers_that_are_all_noise(tmp_path: Path) -> None:
    with opened(tmp_path, lambda request: "maybe") as (work, _):
        files = tree_files(work.directory.path)
        write_features(files.questions, {"boring": "Is it boring?"})
        with pytest.raises(DataError, match=r"No question is answered well enough .* boring \(unanswered: 0%"):
            ask_questions(work, AnswerSettings())
        assert not files.table.exists()


def test_rules_that_nobody_understands(tmp_path: Path) -> None:
    with opened(tmp_path, lambda request: "It depends.") as (work, _):
        write_features(tree_files(work.directory.path).questions, {"boring": "Is it boring?"})
        with pytest.raises(DataError, match="No rule of openai:m was understood"):
            find_rules(work)


def test_several_tasks_are_no_one_tree(tmp_path: Path) -> None:
    rows = [{"id": f"e{n}", "question": f"q{n}?", "answer": "a", "task": f"t{n % 2}"} for n in range(20)]
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(tmp_path) as (work, _), pytest.raises(ConfigError, match="belong to 2 tasks"):
        find_questions(work, QuestionSettings())


def test_screening_can_be_told_to_keep_everything(tmp_path: Path) -> None:
    with opened(tmp_path) as (work, _):
        find_questions(work, QuestionSettings())
        kept = ask_questions(work, AnswerSettings(), ScreeningSettings(least_kappa=-1))[2]
    assert kept.kept == ("praises_acting", "boring", "mood")
