"""The compressor of the paper, with a stand-in for its package."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch")

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.models.llmlingua import check_llmlingua, load_llmlingua


class PromptCompressor:
    """Takes what version 0.2.2 takes; keeps every word whose place is within the rate."""

    made: list[dict[str, Any]] = []  # noqa: RUF012 - a note of what was asked, for the tests

    def __init__(
        self, model_name: str, device_map: str = "cuda", model_config: Any = None, use_llmlingua2: bool = False
    ) -> None:
        self.made.append({"model": model_name, "device": device_map, "config": model_config, "two": use_llmlingua2})

    def compress_prompt(self, context: list[str], *, rate: float = 0.5) -> dict[str, Any]:
        words = context[0].split()
        return {"compressed_prompt": " ".join(words[: round(rate * len(words))]) + " ", "rate": "50%"}


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> type[PromptCompressor]:
    module = ModuleType("llmlingua")
    module.__spec__ = importlib.machinery.ModuleSpec("llmlingua", None)
    module.PromptCompressor = PromptCompressor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llmlingua", module)
    PromptCompressor.made.clear()
    return PromptCompressor


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    directory = tmp_path / "llmlingua-2-bert-base-multilingual-cased-meetingbank"
    directory.mkdir()
    return directory


def test_texts_are_compressed_each_by_itself(package: type[PromptCompressor], encoder: Path) -> None:
    compress = load_llmlingua(encoder)
    assert compress(["one two three four", "", "five six"], 0.5) == ["one two", "", "five"]
    assert compress(["one  two"], 1.0) == ["one  two"]
    assert compress(["one two"], 0.0) == [""]
    [made] = package.made
    assert (made["model"], made["two"]) == (str(encoder), True)
    assert made["config"] == {"trust_remote_code": False, "local_files_only": True}


def test_without_the_package_the_command_that_installs_it_is_named(encoder: Path) -> None:
    with pytest.raises(PrerequisiteError) as raised:
        check_llmlingua(encoder)
    assert str(raised.value).endswith("pip install 'symdistill[llmlingua]'")


def test_a_directory_it_cannot_use_is_named(package: type[PromptCompressor], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no directory .*nowhere.*compressor_model"):
        check_llmlingua(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="xlm-roberta-large or bert-base-multilingual-cased"):
        check_llmlingua(tmp_path)


def test_what_stops_it_from_starting_is_said(
    package: type[PromptCompressor], encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Any, **_: Any) -> None:
        raise ConnectionError("cannot reach the vocabulary")

    monkeypatch.setattr(PromptCompressor, "__init__", unreachable)
    with pytest.raises(PrerequisiteError, match=r"cannot reach the vocabulary.*TIKTOKEN_CACHE_DIR"):
        load_llmlingua(encoder)
