"""Which rule decides, what rules are worth, and what is said about it."""

from __future__ import annotations

from rule_cases import QUESTIONS, reviews
from symdistill.knowledge.rules.decisions import Decision, decide, explained, measured, measured_on_facts
from symdistill.knowledge.rules.logic import Fact, RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of
from symdistill.knowledge.rules.text import parse_text

RULES = parse_text(
    "IF acting AND NOT boring THEN label = positive\nIF boring THEN label = negative\nOTHERWISE label = mixed"
)


def test_strength_decides_and_the_default_covers_nothing() -> None:
    rows = [
        Observation("plain", {"acting": True, "boring": False}),
        Observation("dull", {"acting": True, "boring": True}),
        Observation("unknown", {"acting": None, "boring": None}),
    ]
    plain, dull, unknown = decide(RULES, facts_of(rows), ["plain", "dull", "unknown"])
    assert (plain.label, plain.rule, plain.covered) == ("positive", RULES.rules[0].id, True)
    assert dull.label == "negative"
    assert unknown == Decision("unknown", "mixed", None, ())


def test_of_two_rules_that_disagree_the_stronger_one_decides() -> None:
    rules = parse_text("IF acting THEN label = positive\nIF boring THEN label = negative")
    rows = [Observation(f"g{n}", {"acting": True, "boring": False}, "positive" if n else "negative") for n in range(9)]
    rows += [Observation(f"b{n}", {"acting": False, "boring": True}, "negative") for n in range(9)]
    both = Observation("both", {"acting": True, "boring": True})
    learned = measured(rules, rows)
    assert [(rule.support, rule.correct) for rule in learned.rules] == [(9, 8), (9, 9)]
    (decision,) = decide(learned, facts_of([both]), ["both"])
    assert decision.label == "negative"
    assert [label for _, label in decision.fired] == ["negative", "positive"]


def test_inputs_without_a_label_say_nothing_about_a_rule() -> None:
    rows = [Observation("x", {"boring": True}, None), Observation("y", {"boring": True}, "negative")]
    assert [(rule.support, rule.correct) for rule in measured(RULES, rows).rules] == [(0, 0), (1, 1)]


def test_horn_rules_are_measured_on_the_facts_themselves() -> None:
    rules = parse_text("IF causes(X, Y) AND wants(Y, Z) THEN wants(X, Z)")
    facts: list[Fact] = [
        *(("causes", (head, "hunger")) for head in ("run", "fast", "sleep")),
        ("wants", ("hunger", "food")),
        ("wants", ("run", "food")),
        ("wants", ("fast", "food")),
    ]
    (rule,) = measured_on_facts(rules, facts).rules
    assert (rule.support, rule.correct) == (3, 2)


def test_what_only_rules_speak_of_is_derived_while_measuring() -> None:
    rules = parse_text("IF causes(X, Y) THEN linked(X, Y)\nIF linked(X, Y) AND linked(Y, Z) THEN causes(X, Z)")
    facts: list[Fact] = [("causes", pair) for pair in (("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"))]
    between, rule = measured_on_facts(rules, facts).rules
    assert (rule.support, rule.correct) == (3, 1)  # a-c is there; b-d and a-d are not
    assert between.support == 0


def test_a_decision_in_words() -> None:
    rules = measured(RuleSet(RULES.rules, "label", "mixed", QUESTIONS), reviews())
    (decision,) = decide(rules, facts_of([Observation("r", {"acting": True, "boring": True})]), ["r"])
    said = explained(rules, decision)
    assert said.startswith(
        f"r: negative, by {RULES.rules[1].id}. If the answer to “Does the writer call the film boring?” is yes"
    )
    assert "This rule was right in" in said
    (nothing,) = decide(rules, facts_of([Observation("n", {})]), ["n"])
    assert explained(rules, nothing) == "n: no rule speaks about it, so the default holds: mixed."
