"""What the sections of a run have to be for a method, said in the keys of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import ConfigError
from symdistill.runs.config import load_config


@pytest.mark.parametrize(
    "method, overrides, says",
    [
        (
            "{name: skintern, steps: 20}",
            [],
            r"^`method\.steps` in .*, line 3 is 20, and the paper's `num_train_epochs` is 12: ",
        ),
        (
            "{name: skintern, steps: 20, training: {num_train_epochs: 12}}",
            [],
            r"and `method\.training\.num_train_epochs` in .*, line 3 is 12: ",
        ),
        (
            "{name: skintern, steps: 20}",
            ["method.training.num_train_epochs=12"],
            r"and `method\.training\.num_train_epochs` \(override `.*`\) is 12: ",
        ),
        (
            "{name: skintern, steps: 20, training: {learning_rate: 0.1}}",
            [],
            r"and the paper's `num_train_epochs` is 12: ",
        ),
        (
            "{name: skintern, steps: 20}",
            ["training.num_train_epochs=3"],
            r"and `training\.num_train_epochs` \(override `.*`\) is 3: ",
        ),
    ],
)
def test_epochs_that_nobody_wrote_are_called_the_papers(
    tmp_path: Path, method: str, overrides: list[str], says: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"task: {{path: q.jsonl}}\nteacher: {{model: 'openai:x'}}\nmethod: {method}\n")
    with pytest.raises(ConfigError, match=says):
        load_config(path, overrides)
