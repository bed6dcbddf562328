"""Why rules decide as they do about an input, in the words a student is to learn."""

from __future__ import annotations

from collections.abc import Mapping

from symdistill.knowledge.rules.decisions import Decision
from symdistill.knowledge.rules.logic import SUBJECT, RuleSet


def reasons(rules: RuleSet, decision: Decision, answers: Mapping[str, bool | None]) -> str:
    """The questions that led to a decision, each with its answer: "Does the review praise the acting? Yes. …".

    Of a rule these are its conditions and then those of its exceptions; of the default all questions that any rule
    asks, since all of them had to fail. An answer nobody knows is No, as in rules. Empty where nothing was asked.
    """
    by_id = {rule.id: rule for rule in rules.rules}
    asking = list(rules.rules) if decision.rule is None else [by_id[decision.rule]]
    literals = [*(one for rule in asking for one in rule.body)]
    literals += [one for rule in asking for exception in rule.exceptions for one in exception]
    names = dict.fromkeys(one.predicate for one in literals if one.terms == (SUBJECT,))
    return " ".join(f"{_question(rules, name)} {'Yes' if answers.get(name) else 'No'}." for name in names)


def _question(rules: RuleSet, name: str) -> str:
    """The question in words; a name without one is made to look like a question."""
    text = " ".join(rules.questions.get(name, "").split())
    return text or f"{name.replace('_', ' ').capitalize()}?"
