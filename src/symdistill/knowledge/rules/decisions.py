"""What rules decide about inputs, which of them does, and how often each is right.

Where rules that fire disagree, the strongest decides (`Rule.strength`), of equally strong ones the first. An input no
rule speaks about gets the set's default, and counts as not covered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from symdistill.knowledge.rules.inference import Bounds, FactBase
from symdistill.knowledge.rules.logic import Fact, Rule, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of, labels_of
from symdistill.knowledge.rules.text import in_words


@dataclass(frozen=True, slots=True)
class Decision:
    """What rules say about one input.

    `rule` is the id of the rule that decided, None where `label` is the default. `fired` are all rules that spoke, the
    one that decided first, and what each said.
    """

    example_id: str
    label: str | None
    rule: str | None = None
    fired: tuple[tuple[str, str], ...] = ()

    @property
    def covered(self) -> bool:
        return self.rule is not None


def decide(
    rules: RuleSet, facts: Iterable[Fact], inputs: Sequence[str], *, bounds: Bounds | None = None
) -> list[Decision]:
    """What the rules decide about each of `inputs`, in their order. Raises DataError where a bound is passed."""
    base = FactBase(facts, bounds)
    base.derive(rules)
    return chosen(rules, inputs, firings(rules, base))


Firings = dict[str, list[tuple[int, str]]]
"""For each input the places of the rules that fire and the label each gives."""


def firings(rules: RuleSet, base: FactBase) -> Firings:
    """Which rules about the target speak about which inputs. `base` is to hold everything that follows."""
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for place, rule in enumerate(rules.rules):
        if rule.head.predicate != rules.target or len(rule.head.terms) != 2:
            continue
        for subject, label in base.heads(rule):
            found[subject].append((place, label))
    return found


def chosen(rules: RuleSet, inputs: Sequence[str], fired: Firings) -> list[Decision]:
    """The decision about each input, given which rules fire: what any evaluation of the rules comes down to."""
    rank = {place: number for number, place in enumerate(rules.precedence)}
    found = []
    for one in inputs:
        said = sorted(fired.get(one, ()), key=lambda pair: (rank[pair[0]], pair[1]))
        names = tuple((rules.rules[place].id, label) for place, label in said)
        found.append(Decision(one, names[0][1], names[0][0], names) if names else Decision(one, rules.default))
    return found


def measured(rules: RuleSet, observations: Iterable[Observation], *, bounds: Bounds | None = None) -> RuleSet:
    """The rules about the target with what each is worth: how many labelled inputs it fires on, and is right about.

    Raises DataError where a bound is passed.
    """
    labelled = [one for one in observations if one.label is not None]
    gold = labels_of(labelled, rules.target)
    base = FactBase(facts_of(labelled), bounds)
    base.derive(rules)
    return rules.with_rules(
        _counted(rule, base, gold) if rule.head.predicate == rules.target else rule for rule in rules.rules
    )


def measured_on_facts(rules: RuleSet, facts: Iterable[Fact], *, bounds: Bounds | None = None) -> RuleSet:
    """The rules with what each is worth going by facts that are taken for complete.

    A case of `IF causes(X, Y) AND wants(Y, Z) THEN wants(X, Z)` is a pair (X, Z) that the body gives, and it is right
    where the facts hold it (standard confidence under the closed world; Galárraga et al., AMIE, 2013). What the facts
    speak of themselves is not derived while it is measured; a predicate in between, which only rules speak of, is.
    Raises DataError where a bound is passed.
    """
    base = FactBase(facts, bounds)
    given = base.predicates
    known = frozenset(fact for fact in base if fact[0] in {rule.head.predicate for rule in rules.rules})
    base.derive(rules.with_rules(rule for rule in rules.rules if rule.head.predicate not in given))
    return rules.with_rules(
        _counted(rule, base, known) if rule.head.predicate in given else rule for rule in rules.rules
    )


def _counted(rule: Rule, base: FactBase, gold: Container[Fact]) -> Rule:
    cases = base.heads(rule)
    return replace(rule, support=len(cases), correct=sum((rule.head.predicate, row) in gold for row in cases))


def explained(rules: RuleSet, decision: Decision) -> str:
    """Why the rules decide so, in sentences."""
    if decision.rule is None:
        otherwise = "nothing is said" if decision.label is None else f"the default holds: {decision.label}"
        return f"{decision.example_id}: no rule speaks about it, so {otherwise}."
    by_id = {rule.id: rule for rule in rules.rules}
    rule = by_id[decision.rule]
    lines = [f"{decision.example_id}: {decision.label}, by {rule.id}. {in_words(rule, rules.questions)}"]
    if rule.support:
        lines.append(f"This rule was right in {rule.correct:,} of the {rule.support:,} cases it was measured on.")
    against = [by_id[name] for name, label in decision.fired if label != decision.label]
    lines += [f"{other.id} says otherwise and is weaker. {in_words(other, rules.questions)}" for other in against]
    return "\n".join(lines)
