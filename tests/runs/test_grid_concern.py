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
    cells = load("nesycd, {name: scotd, gate: confidence, knowledge: nesycd}", "scotd.gate.threshold: [40, 60]")
    assert [e["gate"] for e in entries(cells, "scotd")] == [
        {"mode": "confidence", "threshold": 40},
        {"mode": "confidence", "threshold": 60},
    ]


@pytest.mark.parametrize(
    "methods, vary, says",
    [
        (
            "nesycd, {name: scotd, gate: always, knowledge: nesycd}",
            "scotd.gate.threshold: [40, 60]",
            r"`grid\.vary\.scotd\.gate\.threshold` in .*, line 4 changes nothing of scotd, since its gate is `always`",
        ),
        ("{name: nesycd, gate: never}", "nesycd.threshold: [40, 60]", r"`grid\.vary\.nesycd\.threshold`.*is `never`"),
        ("{name: nesycd, gate: always}", "nesycd.gate_temperature: [0.5, 1]", "its gate is `always`"),
        ("{name: nesycd, threshold: 68}", "nesycd.rule: [best, cheapest]", "its threshold is set"),
        ("{name: nesycd, threshold: 0}", "nesycd.gate_temperature: [0.5, 1]", "a threshold of 0 leaves nothing"),
        ("nesycd", "nesycd.within: [0.01, 0.05]", "its `rule` is best"),
        ("nesycd, {name: scotd, gate: never}", "scotd.knowledge: [nesycd, b.sqlite]", "its gate is `never`"),
        (
            "{name: scotd, gate: always, knowledge: {name: nesycd}}",
            "scotd.knowledge.lambda_ap: [0, 1]",
            "nesycd only has notes written there",
        ),
        ("{name: kard, corpus: c.txt, reranker: none}", "kard.candidates: [50, 100]", "its `reranker` is none"),
        ("{name: kard, corpus: c.txt, reranker: none}", "kard.reranking.lexical: [0, 1]", "its `reranker` is none"),
        (
            "{name: kard, corpus: c.txt, reranker_model: m}",
            "kard.reranking.width: [64, 128]",
            "its reranker is an encoder",
        ),
    ],
)
def test_varying_what_means_nothing_in_its_method_is_refused(load: Load, methods: str, vary: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(methods, vary)


@pytest.mark.parametrize(
    "methods, vary, found",
    [
        (
            "nesycd, {name: scotd, knowledge: nesycd}",
            "scotd.gate: [never, confidence], scotd.gate.threshold: [40, 60]",
            ["scotd · gate never", "scotd · gate confidence · threshold 40", "scotd · gate confidence · threshold 60"],
        ),
        (
            "nesycd, {name: scotd, knowledge: nesycd}",
            "scotd.gate.threshold: [40, 60], scotd.gate: [null, always, confidence]",
            [
                "scotd · gate null",
                "scotd · gate always",
                "scotd · threshold 40 · gate confidence",
                "scotd · threshold 60 · gate confidence",
            ],
        ),
        (
            "nesycd, scotd",
            "scotd.gate: [null, never, always], scotd.knowledge: [nesycd, b.sqlite]",
            [
                "scotd · gate null",
                "scotd · gate never",
                "scotd · gate always · knowledge nesycd",
                "scotd · gate always · knowledge b.sqlite",
            ],
        ),
        (
            "{name: kard, corpus: c.txt}",
            "kard.reranker: [none, bi-encoder], kard.reranker_model: [a, b]",
            [
                "kard · reranker none",
                "kard · reranker bi-encoder · reranker_model a",
                "kard · reranker bi-encoder · reranker_model b",
            ],
        ),
        (
            "std-cot",
            "student.lora: [null, {r: 8}], student.lora.alpha: [8, 16]",
            ["std-cot · lora null", 'std-cot · lora {"r":8} · alpha 8', 'std-cot · lora {"r":8} · alpha 16'],
        ),
    ],
)
def test_what_means_nothing_beside_another_varied_key_makes_no_cell(
    load: Load, methods: str, vary: str, found: list[str]
) -> None:
    cells = load(methods, vary)
    assert [cell.title for cell in cells if cell.vary] == found


@pytest.mark.parametrize(
    "methods, sections",
    [
        (
            "nesycd, {name: scotd, label: a, gate: {mode: always, threshold: 40}, knowledge: nesycd}, "
            "{name: scotd, label: b, gate: always, knowledge: nesycd}",
            "",
        ),
        ("{name: nesycd, label: a, gate: never}, {name: nesycd, label: b, gate: never, threshold: 68}", ""),
        (
            "{name: kard, label: a, corpus: c.txt, reranker: none}, "
            "{name: kard, label: b, corpus: c.txt, reranker: none, candidates: 50}",
            "",
        ),
        ("scotd, {name: scotd, label: b, training: {max_steps: 5}}", "training: {max_steps: 5}\n"),
        ("{name: std-cot, label: a}, {name: std-cot, label: b, samples: 1}", ""),
        ("{name: nesycd, label: a}, {name: nesycd, label: b, general: {max_steps: 5}}", "training: {max_steps: 5}\n"),
        ("{name: nesycd, label: a}, {name: nesycd, label: b, analysis: {temperature: 0.0}}", ""),
        ("{name: std-cot, label: a}, {name: std-cot, label: b, evaluation: {temperature: 0.3}}", ""),
        ("{name: std-cot, label: a}, {name: std-cot, label: b, training: {curriculum_steps: 9}}", ""),
        (
            "{name: scotd, label: a, gate: always, knowledge: {name: nesycd, label: n}}, "
            "{name: scotd, label: b, gate: always, knowledge: {name: nesycd, label: m, lambda_ap: 0}}",
            "",
        ),
    ],
)
def test_two_entries_that_come_to_the_same_are_refused(load: Load, methods: str, sections: str) -> None:
    with pytest.raises(ConfigError, match="are the same run"):
        load(methods, "", sections)


@pytest.mark.parametrize(
    "methods, sections",
    [
        (
            "{name: rl, label: a, algorithm: dpo}, "
            "{name: rl, label: b, algorithm: dpo, training: {learning_rate: 0.1}}",
            "training: {learning_rate: 0.1}\n",
        ),
        ("{name: nesycd, label: a}, {name: nesycd, label: b, general: {max_steps: 5}}", "training: {max_steps: 6}\n"),
        ("{name: kard, label: a, corpus: c.txt}, {name: kard, label: b, corpus: d.txt}", ""),
        (
            "{name: nesycd, label: a, rule: cheapest}, {name: nesycd, label: b, rule: cheapest, within: 0.05}",
            "",
        ),
    ],
)
def test_two_entries_that_come_to_different_things_are_not(load: Load, methods: str, sections: str) -> None:
    assert len(load(methods, "", sections)) == 2


@pytest.mark.parametrize(
    "methods",
    [
        "{name: scotd, gate: always, knowledge: {name: nesycd, show_gold: true}}, "
        "{name: cascod, gate: always, knowledge: {name: nesycd}}, {name: std-cot, gate: always, knowledge: nesycd}",
        "{name: scotd, gate: always, knowledge: {name: nesycd, show_gold: true}}, nesycd, "
        "{name: std-cot, gate: always, knowledge: nesycd}",
    ],
)
def test_a_label_that_could_mean_two_methods_is_refused_as_a_run_refuses_it(load: Load, methods: str) -> None:
    with pytest.raises(ConfigError, match=r"Two methods are called `nesycd` \(`methods\.\d\.knowledge` in .*, line 3"):
        load(methods, "")


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
        ("tree, nesycd", "tree.gate: [always]", r"`grid\.vary\.tree\.gate`.*tree asks none"),
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
            "std-cot, {name: rl, training: {max_steps: 9}}",
            "training.max_steps: [1, 5]",
            {"std-cot": 2, "rl": 1},
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


def test_a_gate_that_is_never_keeps_as_many_questions_apart_as_the_notes_it_is_compared_with(load: Load) -> None:
    makers = "{name: nesycd, dev_fraction: 0.2}, {name: nesycd, label: other, dev_fraction: SHARE, show_gold: true}"
    vary = "scotd.gate: [always, never], scotd.knowledge: [nesycd, other]"
    for share, shares in (("0.2", [0.2, 0.2, 0.2]), ("0.3", [0.2, 0.3, 0.2, 0.3])):
        cells = load(f"{makers.replace('SHARE', share)}, scotd", vary)
        gates = [cell.config.build_methods()[0].gating for cell in cells if cell.method == "scotd"]
        assert [gate.dev_fraction for gate in gates] == shares
        assert [gate.mode for gate in gates[2:]] == ["never"] * (len(shares) - 2)


def test_a_gate_keeps_the_questions_apart_that_its_notes_are_not_about(load: Load) -> None:
    cells = load("{name: nesycd, dev_fraction: 0.2}, scotd", "scotd.gate: [always, never]")
    assert [cell.config.build_methods()[0].gating.dev_fraction for cell in cells if cell.method == "scotd"] == [
        0.2,
        0.2,
    ]
