"""Which keys of an entry mean nothing beside the others, and what is left of the entry without them."""

from __future__ import annotations

from typing import Any

import pytest

from symdistill.runs.idle import idle_keys, is_idle, without_idle


@pytest.mark.parametrize(
    "entry, means, idle",
    [
        ({"name": "scotd"}, ["gate.threshold", "knowledge"], []),
        ({"name": "scotd", "gate": None}, [], ["gate.threshold", "gate.dev_fraction", "knowledge", "knowledge.seed"]),
        ({"name": "scotd", "gate": "never"}, ["gate.dev_fraction", "gate.mode", "knowledge"], ["gate.rule"]),
        ({"name": "scotd", "gate": {"mode": "always"}}, ["knowledge"], ["gate.threshold", "gate.temperature"]),
        ({"name": "scotd", "gate": {"threshold": 50}}, ["gate.temperature"], ["gate.rule", "gate.within"]),
        ({"name": "scotd", "gate": {"threshold": 100}}, ["gate.threshold"], ["gate.temperature"]),
        ({"name": "scotd", "gate": {"rule": "cheapest"}}, ["gate.within"], []),
        ({"name": "nesycd"}, ["threshold", "gate_temperature", "rule"], ["within"]),
        ({"name": "nesycd", "gate": "always"}, ["dev_fraction"], ["threshold", "gate_temperature", "rule"]),
        ({"name": "kard"}, ["candidates", "reranking.width"], []),
        ({"name": "kard", "reranker": "none"}, ["passages"], ["candidates", "reranker_model", "reranking.tau_score"]),
        ({"name": "kard", "reranker_model": "m"}, ["reranking.sampled"], ["reranking.width"]),
        (
            {"name": "scotd", "gate": "always", "knowledge": {"name": "skintern"}},
            ["knowledge.analysis.model", "knowledge.curation"],
            ["knowledge.steps", "knowledge.training.max_steps", "knowledge.gate"],
        ),
        (
            {"name": "scotd", "gate": "always", "knowledge": {"name": "nesycd"}},
            ["knowledge.general.max_steps", "knowledge.show_gold", "knowledge.init_from"],
            ["knowledge.threshold", "knowledge.lambda_dc", "knowledge.evaluation"],
        ),
        ({"name": "scotd", "gate": 3, "knowledge": {"name": "scotd"}}, ["gate.threshold", "knowledge.samples"], []),
    ],
)
def test_keys_that_mean_something_and_keys_that_do_not(
    entry: dict[str, Any], means: list[str], idle: list[str]
) -> None:
    found = idle_keys(entry)
    assert [key for key in means if is_idle(key, found)] == []
    assert [key for key in idle if not is_idle(key, found)] == []


def test_an_entry_without_them_keeps_all_else() -> None:
    entry = {"name": "scotd", "samples": 3, "gate": {"mode": "always", "threshold": 4, "dev_fraction": 0.2}}
    assert without_idle(entry) == {"name": "scotd", "samples": 3, "gate": {"mode": "always", "dev_fraction": 0.2}}
    entry = {"name": "kard", "corpus": "c", "reranker": "none", "candidates": 9, "reranking": {"width": 4}}
    assert without_idle(entry) == {"name": "kard", "corpus": "c", "reranker": "none"}
