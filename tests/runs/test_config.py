"""The configuration: what is accepted, and how a mistake is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import ConfigError
from symdistill.runs.config import RunConfig, load_config, parse_config

WHOLE = """\
task: {name: gsm8k, path: train.jsonl, eval_path: test.jsonl}
teacher: {model: "openai:gpt-4o-mini", samples: 8, temperature: 0.7, budget_usd: 5}
method: {name: scotd}
student: {model: smollm2-135m, lora: {r: 32}}
training: {learning_rate: 2e-4, num_train_epochs: 3}
evaluation: {self_consistency: 8}
"""


def load(tmp_path: Path, text: str, *overrides: str) -> RunConfig:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return load_config(file, overrides)


def test_the_documented_example_is_accepted(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    assert config.teacher.samples == 8
    assert config.student.lora is not None
    assert config.student.lora.r == 32
    assert config.training.learning_rate == 2e-4  # YAML reads 2e-4 as text
    assert [m.label for m in config.build_methods()] == ["scotd"]


def test_a_method_can_be_named_in_one_word(tmp_path: Path) -> None:
    assert load(tmp_path, "method: label-only").build_methods()[0].label == "label-only"
    several = load(tmp_path, "methods: [label-only, {name: scotd, weighting: instance}]")
    assert [m.label for m in several.build_methods()] == ["label-only", "scotd"]


@pytest.mark.parametrize(
    "text, says",
    [
        (
            "task: {}\ntrainning:\n  learning_rate: 1\n",
            r"Unknown key `trainning` in .*config\.yaml, line 2\. Did you mean `training`\?",
        ),
        (
            "training:\n  num_train_epochs: 1\n  learning_rat: 1\n",
            r"`training\.learning_rat` in .*line 3\. Did you mean `training\.learning_rate`\?",
        ),
        ("learning_rate: 1\n", r"Did you mean `training\.learning_rate`\?"),
        ("teacher: {samples: many}\n", r"`teacher\.samples` in .*line 1 should be .*integer.*'many'"),
        ("teacher: {samples: 0}\n", r"`teacher\.samples`.*greater than 0"),
        ("task: {eval_fraction: 1.5}\n", r"`task\.eval_fraction`.*less than 1"),
        ("student: {lora: {rank: 8}}\n", r"`student\.lora\.rank`.*(Did you mean|Known here: .*r)"),
        ("method: {name: scotdd}\n", r"Unknown method `scotdd` in `method\.name`\. Did you mean `scotd`\?"),
        ("method: {name: scotd, weigthing: sample}\n", r"`method\.weigthing`\. Did you mean `method\.weighting`\?"),
        ("method: {name: scotd, weighting: some}\n", r"`method\.weighting` should be 'sample' or 'instance'"),
        ("method: {name: scotd, training: {lr: 1}}\n", r"training \(of scotd\)"),
        ("methods: [scotd, scotd]\n", "Two methods are called `scotd`"),
        ("method: scotd\nmethods: [std-cot]\n", "Both `method` and `methods`"),
        ("- a\n- b\n", "is a list, not a set of keys"),
        ("task: {a: [1\n", r"line 2"),
        ("task:\n\tname: x\n", r"line 2"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


def test_a_missing_file_offers_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"Did you mean `.*quickstart\.yaml`"):
        load_config(tmp_path / "quickstrat.yaml")


def test_overrides_change_single_keys(tmp_path: Path) -> None:
    config = load(
        tmp_path, WHOLE, "training.max_steps=10", "training.learning_rate=1e-3", "student.lora=null",
        "method.weighting=instance", "task.limit=5", "teacher.model=openai:gpt-4.1-mini",
    )  # fmt: skip
    assert config.training.max_steps == 10
    assert config.training.learning_rate == 1e-3
    assert config.student.lora is None
    assert config.method == {"name": "scotd", "weighting": "instance"}
    assert config.task.limit == 5
    assert config.teacher.model == "openai:gpt-4.1-mini"


def test_overrides_reach_into_lists(tmp_path: Path) -> None:
    config = load(tmp_path, "methods: [{name: std-cot}, {name: scotd}]", "methods.1.weighting=instance")
    assert config.methods[1] == {"name": "scotd", "weighting": "instance"}


@pytest.mark.parametrize(
    "override, says",
    [
        ("training.max_step=3", r"Did you mean `training\.max_steps`"),
        ("nonsense", "is not an override"),
        ("=3", "is not an override"),
        ("training.max_steps=[", "is not YAML"),
        ("methods.7.name=x", "not one of the 1 entries"),
    ],
)
def test_a_wrong_override_is_explained(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, "methods: [{name: scotd}]", override)


def test_the_resolved_configuration_reads_back_as_the_same(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    again = load(tmp_path, config.to_yaml())
    assert again == config
    assert again.identity() == config.identity()


def test_a_run_keeps_its_identity_when_only_limits_change(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    more = load(tmp_path, WHOLE, "teacher.budget_usd=50", "teacher.concurrency=99", "evaluation.self_consistency=4")
    other = load(tmp_path, WHOLE, "teacher.temperature=0.8")
    assert more.identity() == config.identity()
    assert other.identity() != config.identity()


def test_paths_beside_the_configuration_are_found(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("")
    (tmp_path / "taught.jsonl").write_text("")
    config = load(tmp_path, "task: {path: train.jsonl}\nteacher: {model: 'recorded:taught.jsonl'}")
    assert config.task.path == tmp_path / "train.jsonl"
    assert config.teacher.model == f"recorded:{tmp_path / 'taught.jsonl'}"


def test_methods_may_change_single_keys_of_a_section() -> None:
    config = parse_config(
        {
            "training": {"num_train_epochs": 3},
            "methods": [
                {"name": "label-only", "training": {"num_train_epochs": 6}},
                {"name": "scotd", "setting": "few-shot", "curation": {"select": "random"}},
            ],
        }
    )
    label_only, scotd = config.build_methods()
    assert config.training_for(label_only).num_train_epochs == 6
    assert config.training_for(scotd).num_train_epochs == 3
    assert config.curation_for(label_only).verify is True
    assert config.curation_for(scotd).verify is False
    assert config.curation_for(scotd).select == "random"
