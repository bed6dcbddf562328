"""The configuration: what is accepted, and how a mistake is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import ConfigError
from symdistill.runs.config import RunConfig, load_config, parse_config
from symdistill.runs.validation import Places

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
        ("training: {lr: 1}\n", r"`training\.lr`.*Known here: learning_rate, num_train_epochs, .*"),
        ("training: {temperature: 1}\n", r"`training\.temperature`.*Did you mean `teacher\.temperature`\?"),
        ("student: {lora: {rank: 8}}\n", r"`student\.lora\.rank`.*(Did you mean|Known here: .*r)"),
        (
            "method: {name: scotdd}\n",
            r"Unknown method `scotdd` in `method\.name` in .*, line 1\. Did you mean `scotd`\?",
        ),
        ("method: {name: scotd, weigthing: sample}\n", r"`method\.weigthing` in .*Did you mean `method\.weighting`\?"),
        (
            "methods:\n- label-only\n- {name: scotd, training: {lr: 1}}\n",
            r"key `methods\.1\.training\.lr` in .*, line 3\.",
        ),
        ("seed: 1\ntask: {}\nseed: 2\n", r"`seed` stands twice in .*, lines 1 and 3\."),
        ("training: {max_steps: 1, max_steps: 2}\n", r"`training\.max_steps` stands twice"),
        ("methods: [scotd, scotd]\n", "Two methods are called `scotd`"),
        ("method: scotd\nmethods: [std-cot]\n", "Both `method` and `methods`"),
        ("- a\n- b\n", "is a list, not a set of keys"),
        ("", r"config\.yaml is empty\. `symdistill init`"),
        ("# nothing but a remark\n", r"config\.yaml is empty\. "),
        ("task: {a: [1\n", r"line 2"),
        ("task:\n\tname: x\n", r"line 2"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


WRONG_VALUES = [
    ("teacher: {samples: many}", "`teacher.samples` in AT must be a whole number above 0, not `many`."),
    ("teacher: {samples: 0}", "`teacher.samples` in AT must be a whole number above 0, not 0."),
    ("teacher: {samples: -2}", "`teacher.samples` in AT must be a whole number above 0, not -2."),
    ("teacher: {samples: 2.5}", "`teacher.samples` in AT must be a whole number above 0, not 2.5."),
    ("teacher: {samples: true}", "`teacher.samples` in AT must be a whole number above 0, not true."),
    ("teacher: {samples: [1]}", "`teacher.samples` in AT must be a whole number above 0, not a list."),
    (
        "teacher: {temperature: hot}",
        "`teacher.temperature` in AT must be a number of at least 0, not `hot`. Leave the key out for its default, "
        "0.7.",
    ),
    ("teacher: {temperature: .inf}", "`teacher.temperature` in AT must be a number of at least 0, not inf."),
    ("teacher: {top_p: 1.5}", "`teacher.top_p` in AT must be a number above 0 and at most 1, not 1.5."),
    ("teacher: {stop: END}", "`teacher.stop` in AT must be a list of texts, not `END`. Write it as a list: [END]."),
    ("teacher: {stop: [1]}", "`teacher.stop.0` in AT must be text, not 1."),
    ("teacher: {model: 3}", "`teacher.model` in AT must be text, not 3."),
    (
        "teacher: {price: {input: 1}}",
        "`teacher.price` in AT has no `output`. Add it; it must be a number of at least 0.",
    ),
    ("task: {eval_fraction: 1.5}", "`task.eval_fraction` in AT must be a number above 0 and below 1, not 1.5."),
    ("task: {path: 3}", "`task.path` in AT must be a path, not 3."),
    ("task: {path: [a, b]}", "`task.path` in AT must be a path, not a list."),
    ("task: {columns: [a]}", "`task.columns` in AT must be a group of keys, not a list."),
    ("task: {columns: {question: 3}}", "`task.columns.question` in AT must be text, not 3."),
    ("task: {name: null}", "`task.name` in AT is empty; it must be text. Leave the key out for its default, `task`."),
    (
        "task: {answer_type: numeric}",
        "`task.answer_type` in AT must be `choice`, `number`, `label` or `text`, not `numeric`. Did you mean `number`?",
    ),
    ("task: questions.jsonl", "`task` in AT must be a group of keys, not `questions.jsonl`. Its keys: name, path, "),
    ("task: [a]", "`task` in AT must be a group of keys, not a list."),
    ("training:", "`training` in AT is empty; it must be a group of keys. Write its keys under it, or leave it out."),
    ("training: {bf16: maybe}", "`training.bf16` in AT must be true, false or `auto`, not `maybe`."),
    ("training: {bf16: 1}", "`training.bf16` in AT must be true, false or `auto`, not 1."),
    ("training: {lr_scheduler_type: Cosin}", "Did you mean `cosine`?"),
    ("training: {optim: adamx}", "Did you mean `adamw_torch_fused`?"),
    ("method: {name: skintern, schedule: inverse}", "Did you mean `inverse-exponential`?"),
    ("training: {optim: adamw_bnb_8bits}", "Did you mean `adamw_bnb_8bit`?"),
    ("training: {optim: galore_adamw}", "`training.optim` in AT must be the name of an optimizer"),
    ("method: {name: std-cot, training: {optim: xyz}}", "`method.training.optim` in AT must be the name"),
    ("method: {name: nesycd, general: {optim: Sgd}}", "Did you mean `sgd`?"),
    ("curation: {verify: 1}", "`curation.verify` in AT must be true or false, not 1."),
    ("curation: {verify: maybe}", "`curation.verify` in AT must be true or false, not `maybe`."),
    (
        "curation: {select: diverse}",
        "`curation.select` in AT must be `all`, `random`, `diversity`, `likelihood` or `open-endedness`, not "
        "`diverse`. "
        "Did you mean `diversity`?",
    ),
    ("curation: {min_words: 5, max_words: 2}", "`curation` in AT: max_words (2) is below min_words (5)."),
    ("student: {lora: true}", "`student.lora` in AT must be a group of keys, not true. Its keys: r, alpha, dropout."),
    ("student: {template: Chat}", "must be `auto`, `chat` or `plain`, not `Chat`. Did you mean `chat`?"),
    ("evaluation: {confidence: 95}", "`evaluation.confidence` in AT must be a number above 0 and below 1, not 95."),
    ("seed: -1", "`seed` in AT must be a whole number of at least 0, not -1. Leave the key out for its default, 0."),
    ("seed: x", "`seed` in AT must be a whole number of at least 0, not `x`."),
    ("store: 3", "`store` in AT must be a path, not 3."),
    ("method: 3", "`method` in AT must be the name of a method (zero-shot, "),
    ("method: [scotd]", "or a group of keys with `name`, not a list."),
    ("method: {}", "`method` in AT names no method. Add `name:` with one of zero-shot, "),
    ("method: {name: 3}", "Unknown method `3` in `method.name` in AT."),
    ("method: {name: Scotd}", "Did you mean `scotd`?"),
    ("method: {name: scotd, weighting: some}", "`method.weighting` in AT must be `sample` or `instance`, not `some`."),
    (
        "method: {name: scotd, weighting: instances}",
        "`method.weighting` in AT must be `sample` or `instance`, not `instances`. Did you mean `instance`?",
    ),
    ("method: {name: std-cot, samples: 0}", "`method.samples` in AT must be a whole number above 0, not 0."),
    ("method: {name: std-cot, label: a/b}", "`method.label` in AT must be a name without slashes"),
    ("method: {name: scotd, training: 3}", "`method.training` in AT must be a group of keys, not 3."),
    (
        "method: {name: scotd, training: {max_steps: x}}",
        "`method.training.max_steps` in AT must be a whole number above 0, or -1 for as many as `num_train_epochs` "
        "makes, not `x`.",
    ),
    (
        "training: {max_steps: 0}",
        "must be a whole number above 0, or -1 for as many as `num_train_epochs` makes, not 0.",
    ),
    ("training: {max_steps: -2}", "or -1 for as many as `num_train_epochs` makes, not -2."),
    (
        "evaluation: {self_consistency: 8, temperature: 0}",
        "`evaluation` in AT: `self_consistency` above 1 at `temperature` 0 would have one reply vote with itself.",
    ),
    (
        "method: {name: kb-student, source: 3}",
        "`method.source` in AT must be `tree`, `rules` or a group of keys with `name`",
    ),
    ("methods: {name: scotd}", "`methods` in AT must be a list of methods, each a name or a group of keys with `name`"),
    ("methods:", "`methods` in AT is empty; it must be a list of methods"),
    ("methods: [scotd, 3]", "`methods.1` in AT must be the name of a method"),
    ("methods: [{label: x}]", "`methods.0` in AT names no method."),
    ("1: x", "1 in AT cannot be a key."),
    ("task: {yes: x}", "true in AT cannot be a key. Keys are words; YAML takes yes, no, on and off for true and false"),
]


@pytest.mark.parametrize("text, says", WRONG_VALUES, ids=[text for text, _ in WRONG_VALUES])
def test_a_wrong_value_is_explained_in_plain_words(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"{text}\n")
    told = str(caught.value)
    assert says.replace("AT", f"{tmp_path / 'config.yaml'}, line 1") in told
    assert told.count("\n") == 0
    jargon = re.search(
        r"Input|valid |instance of|dictionary|tuple|string|integer|boolean|Field|pars(e|ing)|<class", told
    )
    assert jargon is None, told


def test_a_key_is_never_repeated_where_its_variable_should_stand(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the name of an environment variable") as caught:
        load(tmp_path, "teacher: {api_key_env: my-secret-key}")
    assert "secret" not in str(caught.value)


def test_a_missing_file_offers_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"Did you mean `.*quickstart\.yaml`"):
        load_config(tmp_path / "quickstrat.yaml")


@pytest.mark.parametrize("name", ["missing.yaml", "labels.yaml"])
def test_a_missing_file_offers_no_other_one(tmp_path: Path, name: str) -> None:
    for other in ("neg.yaml", "labels.jsonl"):
        (tmp_path / other).write_text("")
    with pytest.raises(ConfigError, match="There is no file") as caught:
        load_config(tmp_path / name)
    assert "Did you mean" not in str(caught.value)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value) == f"Cannot read {tmp_path}: Is a directory. A configuration is a UTF-8 YAML file."


def test_a_file_without_a_method_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No method is named in .*config\.yaml\. Add `method"):
        load(tmp_path, "seed: 1\n").build_methods(Places(str(tmp_path / "config.yaml")))


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
        (
            "training.max_step=3",
            r"`training\.max_step` \(override `training\.max_step=3`\)\. Did you mean `training\.max_steps`",
        ),
        (
            "training.max_steps=many",
            r"`training\.max_steps` \(override `training\.max_steps=many`\) must be a whole number",
        ),
        (
            "methods.0.training.max_steps=x",
            r"`methods\.0\.training\.max_steps` \(override .* must be a whole number .*, not `x`",
        ),
        (
            "trainin.max_steps=3",
            r"Unknown key `trainin` \(override `trainin\.max_steps=3`\)\. Did you mean `training`",
        ),
        ("training=3", r"`training` \(override `training=3`\) must be a group of keys, not 3"),
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


@pytest.mark.parametrize(
    "key, value", [("evaluation.limit", 1), ("evaluation.confidence", 0.9), ("evaluation.teacher", True)]
)
def test_what_cannot_differ_between_methods_is_refused_with_its_place(tmp_path: Path, key: str, value: Any) -> None:
    section, name = key.split(".")
    entry = {"name": "std-cot", section: {name: value}}
    with pytest.raises(ConfigError, match=rf"`methods\.1\.{section}\.{name}` in .*, line 3 cannot differ") as caught:
        load(tmp_path, f"methods:\n  - label-only\n  - {json.dumps(entry)}\n")
    assert f"`{key}` for the whole run" in caught.value.fix
    parse_config({section: {name: value}, "method": "std-cot"})


def test_methods_of_a_run_read_one_part_of_a_reply() -> None:
    reasons = {"name": "std-cot", "label": "reasons", "curation": {"rationale_from": "reasoning"}}
    with pytest.raises(ConfigError, match=r"`methods\.1\.curation\.rationale_from` in .* is reasoning"):
        parse_config({"methods": ["scotd", reasons]})
    parse_config({"methods": ["label-only", reasons]})
    parse_config({"method": reasons})
    parse_config({"curation": {"rationale_from": "reasoning"}, "methods": ["scotd", reasons]})


def epochs_of(**data: Any) -> float:
    config = parse_config(data)
    [method] = config.build_methods()
    return config.training_for(method).num_train_epochs


def test_skintern_alone_trains_as_long_as_in_its_paper(tmp_path: Path) -> None:
    assert epochs_of(method="skintern") == 12
    assert epochs_of(methods=[{"name": "skintern", "training": {"learning_rate": 1e-5}}]) == 12
    assert epochs_of(method="skintern", training={"num_train_epochs": 8}) == 8
    assert epochs_of(method={"name": "skintern", "training": {"num_train_epochs": 4}}) == 4
    assert epochs_of(method="scotd") == 3
    config = load(tmp_path, "method: skintern\ntraining: {learning_rate: 1.0e-4}\n")
    assert load(tmp_path, config.to_yaml()).identity() == config.identity()
    counted = parse_config({"method": "skintern", "training": {"max_steps": 8}})
    assert counted.training_for(counted.build_methods()[0]).max_steps == 8
    with pytest.raises(ConfigError, match=r"method\.steps"):
        parse_config({"method": "skintern", "training": {"num_train_epochs": 3}})
    with pytest.raises(ConfigError, match=r"`training\.num_train_epochs` .*is 4\.5, and `method\.steps` divides"):
        parse_config({"method": "skintern", "training": {"num_train_epochs": 4.5}})


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


@pytest.mark.parametrize(
    "method, concerned",
    [
        ("std-cot", False),
        ("tree", False),
        ("nesycd", True),
        ("skintern", True),
        ({"name": "std-cot", "gate": "always"}, True),
    ],
)
def test_how_knowledge_is_found_makes_another_run_where_it_is_looked_up(method: Any, concerned: bool) -> None:
    def identity(**knowledge: Any) -> dict[str, Any]:
        given = {"path": "b.sqlite", **knowledge} if concerned else knowledge
        return parse_config({"teacher": {"model": "openai:x"}, "method": method, "knowledge": given}).identity()

    assert (identity() != identity(retrieval={"top_k": 7})) is concerned
