"""symdistill from Python: what is refused before a run or a model is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import symdistill as sd
from symdistill.errors import ConfigError
from symdistill.runs.api import FinishedStudent
from symdistill.runs.config import parse_config


@pytest.mark.parametrize(
    "asked, says",
    [
        ({"answer_type": "nmber"}, r"`nmber` is no `answer_type`.*Did you mean `number`\?"),
        ({"answer_type": "boolean"}, r"`boolean` is no `answer_type`.*Known: choice, number, label, text"),
        ({"answer_type": "choice"}, "choice needs its choices"),
        ({"answer_type": "choice", "choices": {}}, "choice needs its choices"),
        ({"question": " \n"}, "question is empty"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(tmp_path: Path, asked: Mapping[str, Any], says: str) -> None:
    config = parse_config({"method": "std-cot"})
    student = FinishedStudent(tmp_path / "none", config.build_methods()[0], config)
    with pytest.raises(ConfigError, match=f"(?s){says}"):
        student.answer(**{"question": "2 + 3 =", **asked})


@pytest.mark.parametrize("start", [sd.run, sd.compare])
@pytest.mark.parametrize("overrides", [["training.max_steps=1"], [], "training.max_steps=1"])
def test_overrides_that_are_no_mapping_are_refused(tmp_path: Path, start: Any, overrides: Any) -> None:
    kind = type(overrides).__name__
    with pytest.raises(ConfigError, match=rf'(?s)`overrides` is a {kind}; .*overrides=\{{"training\.max_steps": 10\}}'):
        start(tmp_path / "none.yaml", overrides)
