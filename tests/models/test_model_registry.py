from __future__ import annotations

from pathlib import Path

import pytest

from symdistill.errors import ConfigError, DataError, PrerequisiteError, SymdistillError
from symdistill.models import TeacherSettings, load_teacher, parse_model_name
from symdistill.models.dataset import DatasetModel
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.records import Example


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "MY_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "name, parsed",
    [
        ("openai:gpt-4o-mini", ("openai", "gpt-4o-mini")),
        ("openai:meta-llama/Llama-3:free", ("openai", "meta-llama/Llama-3:free")),
        ("llama_cpp:/models/a b.gguf", ("llama_cpp", "/models/a b.gguf")),
        ("recorded:teacher.jsonl.gz", ("recorded", "teacher.jsonl.gz")),
        ("transformers:HuggingFaceTB/SmolLM2-135M", ("transformers", "HuggingFaceTB/SmolLM2-135M")),
        (" openai: gpt-x ", ("openai", "gpt-x")),
        ("dataset", ("dataset", "")),
    ],
)
def test_a_name_is_a_backend_and_a_model(name: str, parsed: tuple[str, str]) -> None:
    assert parse_model_name(name) == parsed


@pytest.mark.parametrize(
    "name, hint",
    [
        ("opnai:gpt-4o-mini", "openai:gpt-4o-mini"),
        ("OpenAI:gpt-4o-mini", "openai:gpt-4o-mini"),
        ("llama-cpp:x.gguf", "llama_cpp:x.gguf"),
        ("llama.cpp:x.gguf", "llama_cpp:x.gguf"),
        ("record:x.jsonl", "recorded:x.jsonl"),
        ("models/x.gguf", "llama_cpp:models/x.gguf"),
        ("teacher.jsonl.gz", "recorded:teacher.jsonl.gz"),
        ("gpt-4o-mini", "openai:gpt-4o-mini"),
        ("datasets", "dataset"),
        ("zebra:x", "openai:NAME"),
        ("openai:", "openai:NAME"),
        ("openai", "openai:NAME"),
        ("recorded: ", "recorded:FILE"),
        ("dataset:x", "`dataset`"),
        ("", "openai:NAME"),
    ],
)
def test_a_name_that_will_not_do_is_answered_with_one_that_does(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.model") as refused:
        parse_model_name(name)
    assert hint in refused.value.fix


def test_no_teacher_is_an_error_that_lists_them() -> None:
    with pytest.raises(ConfigError, match="not set"):
        load_teacher(TeacherSettings())


def test_a_missing_key_is_named() -> None:
    with pytest.raises(PrerequisiteError, match="MY_KEY") as refused:
        load_teacher(TeacherSettings(model="openai:gpt-4o-mini", api_key_env="MY_KEY"))
    assert "MY_KEY" in refused.value.fix


def test_a_server_of_ones_own_needs_no_key() -> None:
    model = load_teacher(TeacherSettings(model="openai:x", base_url="http://127.0.0.1:8080/v1/", concurrency=3))
    assert isinstance(model, OpenAICompatibleModel)
    assert (model.name, model.address) == ("openai:x", "http://127.0.0.1:8080/v1")
    assert (model.capacity.concurrency, model.capacity.batch, model.capacity.same_prompt) == (3, 1, False)


def test_settings_reach_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    model = load_teacher(TeacherSettings(model="openai:x", samples_per_call=4))
    assert (model.capacity.concurrency, model.capacity.batch, model.capacity.same_prompt) == (16, 4, True)


def test_the_rows_own_rationales() -> None:
    model = load_teacher(TeacherSettings(model="dataset"), [Example("e1", "?", rationales=("a", "b"))])
    assert isinstance(model, DatasetModel)
    assert model.available("e1") == 2


@pytest.mark.parametrize(
    "name, kind", [("llama_cpp:{}/no.gguf", PrerequisiteError), ("recorded:{}/no.jsonl", DataError)]
)
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str, kind: type[SymdistillError]) -> None:
    with pytest.raises(kind, match=r"no\.(gguf|jsonl)"):
        load_teacher(TeacherSettings(model=name.format(tmp_path)))
