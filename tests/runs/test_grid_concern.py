"""What a varied key concerns, gates among it: a cell for all that makes a difference, and none for what makes none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError
from symdistill.runs.grid import Cell, load_grid

Load = Callable[..., list[Cell]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The cells of a grid of these methods, as YAML, with one seed."""

    def loaded(methods: str, vary: str, sections: str = "") -> list[Cell]:
        path = tmp_path / "proj" / "grid.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "task: {path: q.jsonl}\nteacher: {model: 'openai:x'}\n"
            f"{sections}methods: [{methods}]\ngrid: {{seeds: [0], vary: {{{vary}}}}}\n"
        )
        return list(load_grid(path, [], tmp_path / "out").cells)

    return loaded


def entries(cells: list[Cell], label: str) -> list[dict[str, Any]]:
    return [dict(cell.config.method or {}) for cell in cells if cell.method == label]


SCOTD = {"name": "scotd"}
NOTES = {"name": "nesycd"}


def test_a_gate_can_be_varied_where_the_entry_has_none(load: Load) -> None:
    for entry in ("scotd", "{name: scotd, gate: never}", "{name: scotd, knowledge: nesycd}"):
        found = entries(load(f"nesycd, {entry}", "scotd.gate: [confidence, never, null]"), "scotd")
        assert [e.get("gate") for e in found] == ["confidence", "never", None]
        assert [e.get("knowledge") for e in found] == [NOTES, None, None], "who looks nothing up has no notes written"


def test_what_stands_behind_a_gate_can_be_varied(load: Load) -> None:
    values = "[nesycd, noted, base.sqlite, {name: nesycd, show_gold: true}]"
    noted = "{name: skintern, label: noted, examples: 2}"
    found = entries(load(f"nesycd, {noted}, {{name: scotd, gate: always}}", f"scotd.knowledge: {values}"), "scotd")
    assert [e["knowledge"] for e in found[:2]] == [
        NOTES,
        {"name": "skintern", "label": "noted", "examples": 2, "training": {"num_train_epochs": 12}},
    ]
    assert Path(found[2]["knowledge"]).name == "base.sqlite"
    assert found[3]["knowledge"] == {**NOTES, "show_gold": True}


def test_a_key_of_a_gate_leaves_the_word_for_it_as_it_is(load: Load) -> None:
    cells = load("nesycd, {name: scotd, gate: always, knowledge: nesycd}", "scotd.gate.threshold: [40, 60]")
    assert [e["gate"] for e in entries(cells, "scotd")] == [
        {"mode": "always", "threshold": 40},
        {"mode": "always", "threshold": 60},
    ]


def test_a_given_base_can_be_varied_against_notes_that_are_written(load: Load) -> None:
    cells = load("nesycd, {name: scotd, gate: always}", "knowledge.path: [null, b.sqlite]")
    assert [e.get("knowledge") for e in entries(cells, "scotd")] == [NOTES, None]


@pytest.mark.parametrize(
    "methods, vary, says",
    [
        ("label-only, {name: scotd, gate: always}", "label-only.gate: [never]", r"`methods\.1\.gate`.*no method"),
        ("label-only, scotd", "scotd.gate: [always]", r"`grid\.vary\.scotd\.gate` in .*, line 4 needs knowledge"),
        (
            "label-only, nesycd, {name: scotd, gate: always}",
            "scotd.knowledge: [nesycd, label-only]",
            r"`grid\.vary\.scotd\.knowledge`.*names label-only, which has no notes",
        ),
        ("zero-shot, nesycd", "zero-shot.gate: [always]", r"`grid\.vary\.zero-shot\.gate`.*zero-shot trains none"),
        ("scotd, nesycd", "scotd.gate: [sometimes]", r"`grid\.vary\.scotd\.gate\.mode`"),
        ("scotd, nesycd", "scotd.knowledge: [nesycd]", r"`grid\.vary\.scotd\.knowledge`.*scotd has no gate"),
        (
            "std-cot, {name: scotd, gate: always, knowledge: {name: nesycd, general: {seed: 1}}}",
            "training.max_steps: [1, 2]",
            r"`methods\.1\.knowledge\.general\.seed`.*fixes what `grid\.seeds` varies",
        ),
        ("std-cot", "features.count: [4, 8]", r"`grid\.vary\.features\.count`.*changes nothing"),
        (
            "std-cot",
            "features.cuont: [4, 8]",
            r"Unknown key `grid\.vary\.features\.cuont`.*`grid\.vary\.features\.count`",
        ),
        ("{name: scotd, teacher: {samples: 9}}", "teacher.samples: [1, 5]", r"`grid\.vary\.teacher\.samples`.*nothing"),
        (
            "std-cot, skintern",
            "training.curriculum: [none, loss]",
            r"`grid\.vary\.training\.curriculum`.* is loss, .*skintern.*curriculum: none",
        ),
        (
            "{name: std-cot, training: {num_train_epochs: 4.5}}",
            "std-cot.training.curriculum: [loss]",
            r"`methods\.0\.training\.num_train_epochs`.*is 4\.5, and `training\.curriculum_steps` divides",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_key_of_the_file(
    load: Load, methods: str, vary: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        load(methods, vary)


def test_the_papers_epochs_give_way_to_those_that_are_varied(load: Load) -> None:
    cells = load("skintern", "training.num_train_epochs: [8, 24]")
    epochs = [cell.config.training_for(cell.config.build_methods()[0]).num_train_epochs for cell in cells]
    assert epochs == [8, 24]
    [fixed] = load("skintern", "", "")
    assert fixed.config.training_for(fixed.config.build_methods()[0]).num_train_epochs == 12


@pytest.mark.parametrize(
    "methods, vary, counts",
    [
        ("std-cot, {name: scotd, teacher: {samples: 30}}", "teacher.samples: [1, 5]", {"std-cot": 2, "scotd": 1}),
        (
            "std-cot, {name: skintern, training: {curriculum: none}}",
            "training.curriculum: [none, loss]",
            {"std-cot": 2, "skintern": 1},
        ),
        (
            "std-cot, {name: nesycd, training: {max_steps: 9}}",
            "training.max_steps: [1, 5]",
            {"std-cot": 2, "nesycd": 2},
        ),
        (
            "std-cot, {name: nesycd, training: {max_steps: 9}, general: {max_steps: 9}}",
            "training.max_steps: [1, 5]",
            {"std-cot": 2, "nesycd": 1},
        ),
        (
            "std-cot, {name: nesycd, teacher: {top_p: 0.9}}",
            "teacher.top_p: [0.5, 0.8]",
            {"std-cot": 2, "nesycd": 2},
        ),
        (
            "{name: scotd, teacher: {samples: 9}, gate: always, knowledge: {name: nesycd}}",
            "teacher.samples: [1, 5]",
            {"scotd": 2},
        ),
        ("tree, kb-student, std-cot", "features.count: [4, 8]", {"tree": 2, "kb-student": 2, "std-cot": 1}),
        (
            "{name: kb-student, source: {name: tree, labels: gold}}, label-only",
            "teacher.temperature: [0, 1]",
            {"kb-student": 2, "label-only": 1},
        ),
        (
            "{name: label-only, gate: never}, nesycd",
            "teacher.samples: [1, 5], knowledge.retrieval.top_k: [1, 2]",
            {"label-only": 1, "nesycd": 4},
        ),
        (
            "{name: label-only, gate: always}, nesycd",
            "teacher.samples: [1, 5], knowledge.retrieval.top_k: [1, 2]",
            {"label-only": 4, "nesycd": 4},
        ),
        (
            "{name: label-only, gate: always, knowledge: b.sqlite}, nesycd",
            "teacher.samples: [1, 5], knowledge.retrieval.top_k: [1, 2]",
            {"label-only": 2, "nesycd": 4},
        ),
        (
            "label-only, nesycd",
            "label-only.gate: [never, always], teacher.samples: [1, 5]",
            {"label-only": 3, "nesycd": 2},
        ),
    ],
)
def test_a_cell_for_what_makes_a_difference(load: Load, methods: str, vary: str, counts: dict[str, int]) -> None:
    cells = load(methods, vary)
    assert {label: sum(cell.method == label for cell in cells) for label in counts} == counts


def test_a_gate_keeps_the_questions_apart_that_its_notes_are_not_about(load: Load) -> None:
    cells = load("{name: nesycd, dev_fraction: 0.2}, scotd", "scotd.gate: [always, never]")
    assert [cell.config.build_methods()[0].gating.dev_fraction for cell in cells if cell.method == "scotd"] == [
        0.2,
        0.2,
    ]
