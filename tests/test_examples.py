"""The shipped examples are whole: every configuration loads, its files are there, the recording covers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.runs.config import load_config

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda p: p.name)
def test_the_configuration_loads_and_its_files_exist(path: Path) -> None:
    config = load_config(path)
    assert config.build_methods()
    assert config.task.path is not None
    assert config.task.path.exists()
    if config.teacher.demonstrations:
        assert config.teacher.demonstrations.exists()
