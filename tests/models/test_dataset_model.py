from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from symdistill import content
from symdistill.errors import RecordingMissing
from symdistill.models.dataset import DatasetModel
from symdistill.records import Completion, Example, Message, Request, Sampling

EXAMPLES = [
    Example("e1", "What is 3 + 4?", rationales=("3 + 4 = 7. Therefore, the answer is 7.", "<think>3+4</think>7")),
    Example("e2", "What is 1 + 1?"),
]


def wanted(model: DatasetModel, example: str, index: int) -> Request:
    return content.request(model.name, (Message("user", "?"),), Sampling(), index, example)


def test_sample_i_is_the_ith_rationale() -> None:
    model = DatasetModel(EXAMPLES)
    asked = [wanted(model, "e1", 1), wanted(model, "e1", 0)]
    assert asyncio.run(model.generate(asked)) == [
        Completion(asked[0].key, "7", reasoning="3+4"),
        Completion(asked[1].key, "3 + 4 = 7. Therefore, the answer is 7."),
    ]


def test_how_many_there_are() -> None:
    model = DatasetModel(EXAMPLES)
    assert [model.available(name) for name in ("e1", "e2", "e3")] == [2, 0, 0]


@pytest.mark.parametrize(
    "example, index, what", [("e1", 2, "brought 2"), ("e2", 0, "brought 0"), ("e3", 0, "no example 'e3'")]
)
def test_what_the_rows_do_not_have(example: str, index: int, what: str) -> None:
    model = DatasetModel(EXAMPLES)
    with pytest.raises(RecordingMissing, match=what):
        asyncio.run(model.generate([wanted(model, example, index)]))


def test_an_edited_rationale_is_another_teacher() -> None:
    edited = [replace(EXAMPLES[0], rationales=("3 + 4 = 7.",)), EXAMPLES[1]]
    assert DatasetModel(EXAMPLES).name != DatasetModel(edited).name
    assert DatasetModel(EXAMPLES).name == DatasetModel(reversed(EXAMPLES)).name
