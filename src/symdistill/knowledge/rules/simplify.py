"""Fewer and shorter rules: first what changes no decision on any input, then what costs nothing on a table.

`simplified` is exact: whatever the facts, the decisions stay the same. `pruned` looks at labelled inputs and takes
away conditions and rules that do not earn their place there, so it belongs on training inputs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from symdistill.knowledge.rules.decisions import decide, measured
from symdistill.knowledge.rules.logic import Conjunction, Literal, Rule, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.text import conjunction_text, literal_text, rule_text


@dataclass(frozen=True, slots=True)
class Simplified:
    """The rules that are left, and in a line each what was taken away and why."""

    rules: RuleSet
    removed: tuple[str, ...]


def simplified(rules: RuleSet) -> Simplified:
    """Take out what is said twice, can never hold, or changes nothing. The decisions are the same for all facts."""
    removed: list[str] = []
    shorter = [_shorter(rule, removed) for rule in (rules.rules[place] for place in rules.precedence)]
    kept: list[Rule] = []
    for rule in shorter:
        if rule is None:
            continue
        wider = next((other for other in kept if _implies(rule, other)), None)
        if wider is None:
            kept.append(rule)
        else:
            removed.append(f"{rule_text(rule)}: `{rule_text(wider)}` says so already")
    # In the order of precedence, so that equally strong rules keep theirs.
    return Simplified(rules.with_rules(kept), tuple(removed))


def _shorter(rule: Rule, removed: list[str]) -> Rule | None:
    """The rule without what is redundant in it; None where it can never fire."""
    body = tuple(dict.fromkeys(rule.body))
    if _impossible(body):
        removed.append(f"{rule_text(rule)}: its conditions contradict one another")
        return None
    exceptions: list[Conjunction] = []
    for exception in rule.exceptions:
        left = tuple(literal for literal in dict.fromkeys(exception) if literal not in body)
        if not left:
            removed.append(f"{rule_text(rule)}: its exception {conjunction_text(exception)} always holds")
            return None
        if _impossible((*left, *body)):
            removed.append(f"{rule_text(rule)}: the exception {conjunction_text(exception)} never holds")
        else:
            exceptions.append(left)
    needed = [
        each
        for place, each in enumerate(exceptions)
        if not any(
            set(other) < set(each) or (set(other) == set(each) and earlier < place)
            for earlier, other in enumerate(exceptions)
        )
    ]
    if len(body) < len(rule.body) or len(needed) < len(exceptions):
        removed.append(f"{rule_text(rule)}: what it says twice")
    return replace(rule, body=body, exceptions=tuple(needed))


def _impossible(literals: Iterable[Literal]) -> bool:
    said = set(literals)
    return any(literal.opposite in said for literal in said)


def _implies(special: Rule, general: Rule) -> bool:
    """Does `general` give the same wherever `special` does? Sufficient, not necessary."""
    bound = _variables(general.premises)
    return (
        special.head == general.head
        and set(general.premises) <= set(special.premises)
        and all(any(set(own) <= set(each) for own in special.exceptions) for each in general.exceptions)
        # "Unless some Y" and "for a Y, unless that Y" are two things.
        and all(_variables(each) & _variables(special.premises) <= bound for each in general.exceptions)
    )


def _variables(literals: Iterable[Literal]) -> frozenset[str]:
    return frozenset(name for literal in literals for name in literal.variables)


def pruned(rules: RuleSet, observations: Sequence[Observation]) -> Simplified:
    """Take conditions and whole rules away while the decisions about labelled inputs do not get worse.

    First each rule alone: a condition goes where Laplace's estimate of being right does not fall without it, the one
    whose going helps most first. Then the set: a rule goes, the weakest first, where no more inputs are decided
    wrongly and no fewer are covered without it. Rules are measured on these inputs.
    """
    removed: list[str] = []
    exact = simplified(rules)
    removed += exact.removed
    found = [_pruned(rule, exact.rules, observations, removed) for rule in measured(exact.rules, observations).rules]
    current = measured(exact.rules.with_rules(found), observations)
    again = simplified(current)
    removed += again.removed
    current = again.rules
    best = _score(current, observations)
    for rule in [current.rules[place] for place in reversed(current.precedence)]:
        without = current.with_rules(other for other in current.rules if other.id != rule.id)
        score = _score(without, observations)
        if score[0] >= best[0] and score[1] >= best[1]:
            removed.append(f"{rule_text(rule)}: without it no input is decided worse")
            current, best = without, score
    return Simplified(current, tuple(removed))


def _pruned(rule: Rule, rules: RuleSet, observations: Sequence[Observation], removed: list[str]) -> Rule:
    if rule.head.predicate != rules.target:
        return rule
    between = [other for other in rules.rules if other.head.predicate != rules.target]
    while len(rule.body) > 1:
        shorter = [_without(rule, place) for place in range(len(rule.body))]
        tried = [each for each in shorter if each is not None]
        if not tried:
            break
        worth = [measured(rules.with_rules([*between, each]), observations).rules[-1] for each in tried]
        best = max(worth, key=lambda each: each.strength)
        if best.strength < rule.strength:
            break
        gone = [literal_text(literal) for literal in rule.body if literal not in best.body]
        removed.append(f"{rule_text(rule)}: the condition {', '.join(gone)} makes it no better")
        rule = best
    return rule


def _without(rule: Rule, place: int) -> Rule | None:
    """The rule without one of its conditions; None where that leaves a variable nothing says anything about."""
    try:
        return replace(rule, body=rule.body[:place] + rule.body[place + 1 :], support=0, correct=0)
    except ValueError:
        return None


def _score(rules: RuleSet, observations: Sequence[Observation]) -> tuple[int, int]:
    """How many labelled inputs are decided rightly, and how many are covered."""
    labelled = [one for one in observations if one.label is not None]
    decisions = decide(rules, facts_of(labelled), [one.example_id for one in labelled])
    pairs = list(zip(decisions, labelled, strict=True))
    return sum(d.label == one.label for d, one in pairs), sum(d.covered for d, _ in pairs)
