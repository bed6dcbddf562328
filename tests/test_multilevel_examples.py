"""The data of the multilevel examples: made again alike, and good enough to begin with."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.curation.pairs import Pair, Sieve
from symdistill.curation.words import squeezed
from symdistill.runs.config import load_config
from symdistill.runs.multilevel_filters import build_filters
from symdistill.runs.multilevel_inputs import read_sources

EXAMPLES = Path(__file__).parent.parent / "examples"


def made(folder: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"{folder}_data", EXAMPLES / folder / "data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.rows()


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_data_files_are_what_their_programs_make() -> None:
    inputs, seeds = made("arithmetic")
    assert written(EXAMPLES / "arithmetic" / "inputs.jsonl") == inputs
    assert written(EXAMPLES / "arithmetic" / "seeds.jsonl") == seeds
    assert written(EXAMPLES / "summaries" / "sentences.jsonl") == made("summaries")


def test_every_worked_sum_passes_the_filters_and_is_right() -> None:
    config = load_config(EXAMPLES / "arithmetic" / "arithmetic.yaml")
    assert config.multilevel is not None
    sources = read_sources(config.multilevel, 0)
    pairs = [Pair(f"0-{n}", 0, i.id, i.text, output, i.answer) for n, (i, output) in enumerate(sources.seeds)]
    assert all(verdict.kept for verdict in Sieve(build_filters(config.multilevel), {}).judge(pairs))
    assert all(f"the answer is {pair.answer}." in pair.output for pair in pairs)


def test_the_shown_summaries_pass_the_filters() -> None:
    config = load_config(EXAMPLES / "summaries" / "summaries.yaml")
    assert config.multilevel is not None
    shown = read_sources(config.multilevel, 0).demonstrations
    pairs = [Pair(f"0-{n}", 0, f"s{n}", text, output) for n, (text, output) in enumerate(shown)]
    assert [v.detail for v in Sieve(build_filters(config.multilevel), {}).judge(pairs)] == ["", "", ""]


@pytest.mark.parametrize("folder", ["arithmetic", "summaries", "instructions"])
def test_no_text_stands_twice(folder: str) -> None:
    for path in (EXAMPLES / folder).glob("*.jsonl"):
        texts = [squeezed(row.get("text") or row["input"]) for row in written(path)]
        assert len(texts) == len(set(texts)), path


def test_the_instructions_to_begin_with_are_not_like_one_another() -> None:
    config = load_config(EXAMPLES / "instructions" / "instructions.yaml")
    assert config.multilevel is not None
    sources = read_sources(config.multilevel, 0)
    pairs = [Pair(one.id, 0, one.id, "a list", one.text) for one in sources.invented_from]
    assert all(verdict.kept for verdict in Sieve(build_filters(config.multilevel), {}).judge(pairs))
