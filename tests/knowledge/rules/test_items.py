"""Rules in a knowledge base: a person reads and edits them there, and they come back as rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from rule_cases import QUESTIONS
from symdistill.errors import DataError
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.rules.items import items_from_rules, rules_from_items
from symdistill.knowledge.rules.logic import Rule, RuleSet, Source
from symdistill.knowledge.rules.text import parse_text, rule_text


def test_rules_are_kept_edited_and_read_back(tmp_path: Path) -> None:
    strong, weak = parse_text("IF acting THEN label = positive\nIF boring THEN label = negative").rules
    strong = Rule(strong.head, strong.body, support=9, correct=9, sources=(Source("teacher", "", "m", "r1_a", "p/1"),))
    first, second = items_from_rules(RuleSet((weak, strong), questions=QUESTIONS), "reviews")
    assert (first.kind, first.title, first.task) == ("rule", "IF acting THEN label = positive", "reviews")
    assert first.text.startswith("If the answer to “Does the review praise the acting?” is yes, then label = positive.")
    assert [source.request_key for source in first.provenance] == ["r1_a"]
    assert not second.provenance
    with KnowledgeBase(tmp_path / "k.sqlite") as base:
        base.add([first, second], by="rules export")
        assert base.add([first], by="rules export") == []
        base.edit(second.id, by="ann", text="Boring films.\nIF boring AND NOT acting THEN label = negative")
        back = rules_from_items(base.items(kind="rule"))
    assert sorted(map(rule_text, back.rules)) == [
        "IF acting THEN label = positive",
        "IF boring AND NOT acting THEN label = negative",
    ]


def test_an_item_whose_last_line_is_no_rule_is_named() -> None:
    (item,) = items_from_rules(parse_text("IF acting THEN label = positive"), "reviews")
    broken = type(item)(item.id, item.kind, item.title, "If only", item.task)
    with pytest.raises(DataError, match=f"The last line of {item.id} is no rule"):
        rules_from_items([broken])
