"""Labels a teacher gave: its commonest, written as the gold ones are."""

from __future__ import annotations

from typing import Any

import pytest

from symdistill.methods.base import Material
from symdistill.methods.label_only import LabelOnly, LabelOnlySettings
from symdistill.methods.taught import taught_answers
from symdistill.records import Example, Rationale


def example(name: str, gold: str | None, **more: Any) -> Example:
    return Example(id=name, task="t", question=f"Question {name}?", answer=gold, **{"answer_type": "label", **more})


def said(name: str, *answers: str | None) -> list[Rationale]:
    return [
        Rationale(name, "t", "q", f"Because. {answer}", answer, None, index, "m", f"{name}{index}")
        for index, answer in enumerate(answers)
    ]


GOLD = [example("a", "Positive"), example("b", "negative")]


@pytest.mark.parametrize(
    "answers, taught",
    [
        (["positive"], "Positive"),
        (["NEGATIVE"], "negative"),
        (["negative", "positive", "Positive"], "Positive"),
        (["negative", "positive"], "negative"),
        (["mixed"], None),
        (["mixed", "mixed", "positive"], "Positive"),
        ([None], None),
        ([], None),
    ],
)
def test_the_commonest_answer_that_is_a_label(answers: list[str | None], taught: str | None) -> None:
    assert taught_answers(GOLD, said("a", *answers)).get("a") == taught


def test_without_gold_labels_every_answer_is_one() -> None:
    assert taught_answers([example("a", None)], said("a", "mixed")) == {"a": "mixed"}
    assert taught_answers([example("a", "3", answer_type="number")], said("a", "5")) == {"a": "5"}


def test_label_only_learns_the_teacher_s_answers_and_no_gold_one() -> None:
    method = LabelOnly(LabelOnlySettings(name="label-only", labels="teacher"))
    assert (method.needs, method.verify) == ("rationales", False)
    material = Material(GOLD, [*said("a", "negative"), *said("b", "unclear")])
    learned = method.training_examples(material)
    assert [(one.example_id, one.completion) for one in learned] == [("a", "Therefore, the answer is negative.")]
    gold = LabelOnly(LabelOnlySettings(name="label-only"))
    assert (gold.needs, gold.verify) == ("answers", True)
    assert [one.completion for one in gold.training_examples(material)] == [
        "Therefore, the answer is Positive.",
        "Therefore, the answer is negative.",
    ]
    assert learned[0].prompt == gold.training_examples(material)[0].prompt
