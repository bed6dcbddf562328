"""What makes two runs of a method seeds of one method: all it learns and answers by, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.items import KnowledgeItem
from symdistill.runs.config import parse_config
from symdistill.runs.grid_recipe import recipe_of

NESYCD = {"name": "nesycd"}
GATED = {"name": "scotd", "gate": "always", "knowledge": NESYCD}
KARD = {"name": "kard", "corpus": "c.txt"}
CONFIDENT = {"name": "scotd", "gate": {"mode": "confidence"}, "knowledge": NESYCD}


def recipe(method: Any, label: str = "", **sections: Any) -> str:
    """Of one method alone, or of the one with this label among several."""
    several = {"methods": method} if isinstance(method, list) else {"method": method}
    config = parse_config({"teacher": {"model": "openai:x"}, **several, **sections})
    return recipe_of(config, label or config.build_methods()[0].label)


@pytest.mark.parametrize(
    "one, other",
    [
        ({**NESYCD, "gate": "always"}, {**NESYCD, "gate": "never"}),
        ({**NESYCD, "threshold": 10}, {**NESYCD, "threshold": 90}),
        ({**NESYCD, "rule": "cheapest"}, NESYCD),
        (GATED, CONFIDENT),
        (CONFIDENT, {**CONFIDENT, "gate": {"mode": "confidence", "threshold": 50}}),
        ({**KARD, "reranker": "none"}, KARD),
        ({**KARD, "candidates": 50}, KARD),
        ({**KARD, "reranking": {"lexical": 0}}, KARD),
        (GATED, {**GATED, "knowledge": {**NESYCD, "show_gold": True}}),
        (GATED, {**GATED, "knowledge": {"name": "skintern"}}),
        ({"name": "std-cot", "teacher": {"temperature": 0.1}}, {"name": "std-cot"}),
        ({"name": "std-cot", "evaluation": {"self_consistency": 4}}, {"name": "std-cot"}),
    ],
)
def test_what_is_learned_or_asked_otherwise_is_another_method(one: Any, other: Any) -> None:
    assert recipe(one) != recipe(other)
    assert recipe(one, seed=1) == recipe(one), "a seed alone is none"


@pytest.mark.parametrize(
    "method, sections, alike",
    [
        ("tree", {"features": {"least_kappa": 0.9}}, False),
        ("std-cot", {"features": {"least_kappa": 0.9}}, True),
        ("nesycd", {"knowledge": {"retrieval": {"top_k": 7}}}, False),
        ("std-cot", {"knowledge": {"retrieval": {"top_k": 7}}}, True),
        ("std-cot", {"student": {"engine": "ctranslate2"}}, False),
        ("std-cot", {"student": {"batch_size": 3}}, True),
        ("std-cot", {"teacher": {"model": "openai:x", "samples": 7}}, False),
        ("label-only", {"teacher": {"model": "openai:x", "samples": 7}}, True),
        ("tree", {"teacher": {"model": "openai:y"}}, False),
        ("std-cot", {"teacher": {"model": "openai:x", "concurrency": 2}}, True),
        ("std-cot", {"task": {"fraction": 0.5}, "training": {"seed": 3}, "curation": {"seed": 3}}, True),
    ],
)
def test_a_section_counts_where_it_concerns_the_method(method: str, sections: dict[str, Any], alike: bool) -> None:
    assert (recipe(method) == recipe(method, **sections)) is alike


def test_it_does_not_matter_where_a_setting_stands() -> None:
    assert recipe({"name": "std-cot", "training": {"max_steps": 5}}) == recipe("std-cot", training={"max_steps": 5})
    assert recipe({"name": "std-cot", "label": "a"}) == recipe("std-cot")
    named = [NESYCD, {**GATED, "knowledge": "nesycd"}]
    assert recipe(named, "scotd") == recipe(GATED), "a cell of a grid writes out what a run names"
    gated = {**NESYCD, "threshold": 20, "evaluation": {"self_consistency": 4}}
    assert recipe([gated, named[1]], "scotd") == recipe(GATED), "how the makers of notes are asked decides no note"


def test_a_base_counts_by_its_items_and_not_by_its_place(tmp_path: Path) -> None:
    paths = [tmp_path / name / "knowledge.sqlite" for name in "abc"]
    for path, text in zip(paths, ("One.", "One.", "Two."), strict=True):
        path.parent.mkdir()
        with KnowledgeBase(path) as base:
            base.add([KnowledgeItem("k1", "summary", "T", text, "default")], by="test")
    one, same, other = (recipe({**GATED, "knowledge": str(path)}) for path in paths)
    assert one == same != other
    assert recipe({**GATED, "knowledge": str(paths[0].parent)}) == one, "a run directory stands for the base in it"
    assert recipe({**GATED, "knowledge": str(tmp_path / "x.sqlite")}) != recipe(
        {**GATED, "knowledge": str(tmp_path / "y.sqlite")}
    ), "what is not there any more cannot be the same"


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "kard", "corpus": "FILE"},
        {"name": "rl", "critic": "FILE", "reward": {"critic": 0.5}},
        {"name": "std-cot", "teacher": {"demonstrations": "FILE"}},
    ],
)
def test_what_is_read_counts_by_its_content_and_not_by_its_place(tmp_path: Path, entry: dict[str, Any]) -> None:
    paths = [tmp_path / name / "data.jsonl" for name in "abcd"]
    for path, text in zip(paths, ("one", "one", "two"), strict=False):
        path.parent.mkdir()
        path.write_text(text)

    def with_file(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: with_file(inner, path) for key, inner in value.items()}
        return str(path) if value == "FILE" else value

    one, same, other, gone = (recipe(with_file(entry, path)) for path in paths)
    assert one == same != other
    assert gone not in (one, other)
    one, same, other = (recipe(with_file(entry, path.parent)) for path in paths[:3])
    assert one == same != other, "so does a folder"


def test_a_model_counts_by_its_name(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / "student").mkdir(parents=True)
        (tmp_path / name / "student" / "weights").write_text(name)
    one, other = (recipe("std-cot", student={"model": str(tmp_path / name / "student")}) for name in "ab")
    assert one == other


@pytest.mark.parametrize(
    "one, other",
    [
        ({**NESYCD, "gate": "always", "threshold": 40}, {**NESYCD, "gate": "always"}),
        ({**GATED, "gate": {"mode": "always", "rule": "cheapest"}}, GATED),
        ({**KARD, "reranker": "none", "candidates": 50}, {**KARD, "reranker": "none"}),
        ({**GATED, "knowledge": {**NESYCD, "lambda_ap": 0}}, GATED),
    ],
)
def test_what_means_nothing_beside_the_rest_does_not_count(one: Any, other: Any) -> None:
    assert recipe(one) == recipe(other)
