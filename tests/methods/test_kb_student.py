"""A student of distilled knowledge: what it learns, and how its source is named."""

from __future__ import annotations

from typing import Any

import pytest

from symdistill.errors import ConfigError
from symdistill.methods.base import Lesson, Material
from symdistill.methods.kb_student import KbStudent, KbStudentSettings
from symdistill.methods.label_only import LabelOnly, LabelOnlySettings
from symdistill.methods.rules import RulesMethod
from symdistill.methods.tree import TreeMethod
from symdistill.records import Example
from symdistill.runs.config import parse_config

EXAMPLES = [Example(id=name, task="t", question=f"{name}?", answer="no", answer_type="label") for name in "abc"]
LESSONS = {"a": Lesson("yes", "Is it so? Yes."), "b": Lesson("no")}


def student(**settings: Any) -> KbStudent:
    return KbStudent(KbStudentSettings.model_validate({"name": "kb-student", **settings}))


@pytest.mark.parametrize(
    "learn, completions",
    [
        ("explanations", ["Is it so? Yes. Therefore, the answer is yes.", "Therefore, the answer is no."]),
        ("labels", ["Therefore, the answer is yes.", "Therefore, the answer is no."]),
    ],
)
def test_it_learns_what_the_knowledge_says_and_skips_what_it_is_silent_about(
    learn: str, completions: list[str]
) -> None:
    learned = student(learn=learn).training_examples(Material(EXAMPLES, lessons=LESSONS))
    assert [one.completion for one in learned] == completions
    plain = LabelOnly(LabelOnlySettings(name="label-only")).training_examples(Material(EXAMPLES))
    assert [one.prompt for one in learned] == [one.prompt for one in plain[:2]]


def test_the_source_is_a_name_or_an_entry() -> None:
    assert isinstance(student().source, TreeMethod)
    assert isinstance(student(source="rules").source, RulesMethod)
    own = student(source={"max_depth": 2, "labels": "gold"})
    assert isinstance(own.source, TreeMethod)
    assert (own.source.settings.max_depth, own.needs) == (2, "answers")
    ripper = student(source={"name": "rules", "max_literals": 2})
    assert isinstance(ripper.source, RulesMethod)
    assert (ripper.source.settings.max_literals, ripper.needs) == (2, "rationales")


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"source": "forest"}, "source"),
        ({"source": {"name": "tree", "max_dept": 2}}, "max_dept"),
        ({"source": {"name": "rules", "max_depth": 2}}, "max_depth"),
        ({"flip": 0}, "flip"),
        ({"learn": "everything"}, "learn"),
    ],
)
def test_a_mistake_names_its_key(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config({"task": {"path": "x.jsonl"}, "method": {"name": "kb-student", **entry}})
