"""Rules as items of a knowledge base, where they are versioned, reviewed and found for a question like any other.

The text of an item is the rule in words, which is what a student reads, and in the last line the rule itself, which is
what is read back after somebody edited it.
"""

from __future__ import annotations

from collections.abc import Iterable

from symdistill.errors import DataError
from symdistill.knowledge.items import KnowledgeItem, Provenance, item_id
from symdistill.knowledge.rules.logic import Rule, RuleSet
from symdistill.knowledge.rules.text import FORM, in_words, parse_rule, rule_text

_TITLE = 80


def items_from_rules(rules: RuleSet, task: str) -> list[KnowledgeItem]:
    """An item of kind `rule` for each rule, the one that decides first at the beginning."""
    return [_item(rules.rules[place], rules, task) for place in rules.precedence]


def _item(rule: Rule, rules: RuleSet, task: str) -> KnowledgeItem:
    line = rule_text(rule)
    text = f"{in_words(rule, rules.questions)}\n{line}"
    return KnowledgeItem(
        id=item_id("rule", task, line),
        kind="rule",
        title=line if len(line) <= _TITLE else f"{line[: _TITLE - 1].rstrip()}…",
        text=text,
        task=task,
        provenance=tuple(
            Provenance("", task, "", request_key=source.request_key, model=source.model, prompt=source.prompt)
            for source in rule.sources
            if source.kind == "teacher"
        ),
    )


def rules_from_items(items: Iterable[KnowledgeItem]) -> RuleSet:
    """The rules in items of kind `rule`; others are passed over. Their records have to be measured again.

    Raises:
        DataError: the last line of an item is no rule; its id is named.
    """
    found: list[Rule] = []
    for item in items:
        if item.kind != "rule":
            continue
        try:
            found += parse_rule(item.text.rstrip().rpartition("\n")[2])
        except ValueError as problem:
            raise DataError(f"The last line of {item.id} is no rule: {problem}.", FORM) from None
    return RuleSet(tuple(found))
