"""What a configuration means where it does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from symdistill.runs.config import load_config, parse_config

SOURCE = {"name": "nesycd", "dev_fraction": 0.2}
GATED = {"name": "scotd", "gate": "confidence"}


@pytest.mark.parametrize(
    "methods, share",
    [
        ([{**GATED, "knowledge": "nesycd"}, SOURCE], 0.2),
        ([{**GATED, "knowledge": SOURCE}], 0.2),
        ([GATED, SOURCE], 0.2),
        ([{**GATED, "gate": "never"}, SOURCE], 0.2),
        ([{**GATED, "gate": {"threshold": 40}}, SOURCE], 0.2),
        ([{**GATED, "gate": {"dev_fraction": 0.3}}, SOURCE], 0.3),
        ([{**GATED, "knowledge": "nesycd"}, "nesycd"], 0.1),
        ([{**GATED, "knowledge": "b.sqlite"}, SOURCE], 0.1),
        ([{**GATED, "knowledge": "skintern"}, SOURCE, "skintern"], 0.1),
        ([{"name": "skintern", "gate": "confidence"}, SOURCE], 0.1),
    ],
)
def test_a_gate_keeps_as_many_questions_apart_as_the_makers_of_its_notes(methods: list[Any], share: float) -> None:
    config = parse_config({"teacher": {"model": "openai:x"}, "methods": methods})
    gating = config.build_methods()[0].gating
    assert gating is not None
    assert gating.dev_fraction == share
    again = parse_config(config.model_dump(mode="json"))
    assert again.identity() == config.identity()


def test_a_base_that_is_given_says_nothing_of_a_share() -> None:
    config = parse_config({"knowledge": {"path": "b.sqlite"}, "methods": [GATED, SOURCE]})
    gating = config.build_methods()[0].gating
    assert gating is not None
    assert gating.dev_fraction == 0.1


def test_an_override_of_a_gate_leaves_the_word_for_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("teacher: {model: 'openai:x'}\nmethods: [nesycd, {name: scotd, gate: always}]\n")
    gating = load_config(path, ["methods.1.gate.threshold=40"]).build_methods()[1].gating
    assert gating is not None
    assert (gating.mode, gating.threshold) == ("always", 40)
