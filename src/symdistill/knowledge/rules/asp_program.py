"""Rules as a logic program for clingo (answer set programming), and what clingo makes of them.

Constants become strings, in which `%` and every control character is written as `%` and its number in hexadecimal
(`%25`, `%0A`), so that nothing ends a string or a line and two texts stay two texts.
Names of our own end in an underscore, which no predicate does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from symdistill.knowledge.asp import Atom, asp_string, solve
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.rules.decisions import Decision, Firings, chosen
from symdistill.knowledge.rules.logic import (
    DOMAIN,
    Conjunction,
    Fact,
    Literal,
    Rule,
    RuleSet,
    Term,
    Variable,
    literals_of,
)
from symdistill.knowledge.rules.text import rule_text

_UNSAFE = re.compile("[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIRES = "fires_"
_CASE = "case_"


def spelled_out(text: str) -> str:
    """A text without control characters or lone surrogates, different for different texts."""
    return _UNSAFE.sub(lambda found: _number(ord(found[0])), text)


def _number(code: int) -> str:
    return f"%{code:02X}" if code < 0x100 else f"%u{code:04X}"


def to_asp(rules: RuleSet, facts: Iterable[Fact] = ()) -> str:
    """The program: facts, rules, and for each input the rule that decides about it and the label it gives.

    `fires_(N, X, L)` says that the Nth rule by precedence gives X the label L, `decides_(N, X)` and `decided_(X, L)`
    what comes of it. An exception is a predicate of its own, since it may speak of variables of its own.
    """
    lines = [*(f"{_atom(predicate, row)}." for predicate, row in facts)]
    defaults = _defined(rules)
    for rank, place in enumerate(rules.precedence):
        rule = rules.rules[place]
        lines += ["", f"% {spelled_out(rule_text(rule))}", *_clauses(rule, rank)]
        if rule.head.predicate == rules.target and len(rule.head.terms) == 2:
            subject, label = map(_term, rule.head.terms)
            lines += _clause(f"{_FIRES}({rank}, {subject}, {label})", rule, rank)
    lines += [
        "",
        "% The first rule that fires decides.",
        f"decides_(N, X) :- input(X), N = #min {{ M : {_FIRES}(M, X, _) }}, {_FIRES}(N, X, _).",
        f"decided_(X, L) :- decides_(N, X), {_FIRES}(N, X, L).",
    ]
    if rules.default is not None:
        lines.append(f"decided_(X, {_term(rules.default)}) :- input(X), not decides_(_, X).")
    return "\n".join([*defaults, *lines]) + "\n"


def decide_by_clingo(
    rules: RuleSet, facts: Iterable[Fact], inputs: Sequence[str], *, bounds: Bounds | None = None
) -> list[Decision]:
    """What `decisions.decide` gives, worked out by clingo from the program of `to_asp`.

    Raises:
        PrerequisiteError: clingo is not installed.
        LimitReached: clingo needs more time or memory than `bounds` gives it.
    """
    given = list(facts)
    constants = {spelled_out(constant): constant for constant in _constants(rules, given)}
    program = to_asp(rules, given) + f"#show.\n#show {_FIRES}/3.\n"
    fired: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for _, (rank, subject, label) in _answer(program, bounds):
        fired[constants[str(subject)]].append((rules.precedence[int(rank)], constants[str(label)]))
    found: Firings = fired
    return chosen(rules, inputs, found)


def consequences_by_clingo(rules: RuleSet, facts: Iterable[Fact], *, bounds: Bounds | None = None) -> frozenset[Fact]:
    """Everything that holds: the facts and what follows from them by the rules. Raises as `decide_by_clingo`."""
    given = list(facts)
    constants = {spelled_out(constant): constant for constant in _constants(rules, given)}
    sizes = {(predicate, len(row)) for predicate, row in given}
    sizes |= {(literal.predicate, len(literal.terms)) for rule in rules.rules for literal in literals_of(rule)}
    shown = "".join(f"#show {name}/{size}.\n" for name, size in sorted(sizes))
    atoms = _answer(to_asp(rules, given) + "#show.\n" + shown, bounds)
    return frozenset((name, tuple(constants[str(term)] for term in terms)) for name, terms in atoms)


def measured_by_clingo(rules: RuleSet, facts: Iterable[Fact], *, bounds: Bounds | None = None) -> RuleSet:
    """What `decisions.measured_on_facts` gives, worked out by clingo. Raises as `decide_by_clingo`."""
    given = list(dict.fromkeys(facts))
    predicates = {predicate for predicate, _ in given}
    constants = {spelled_out(constant): constant for constant in _constants(rules, given)}
    # A measured rule says what its cases are, under a name of our own, and so adds nothing to what is known.
    between = rules.with_rules(rule for rule in rules.rules if rule.head.predicate not in predicates)
    measured = [rule for rule in rules.rules if rule.head.predicate in predicates]
    lines = [*_defined(rules), to_asp(between, given), "#show."]
    for number, rule in enumerate(measured, len(rules.rules)):
        lines += [*_clauses(rule, number, _case(rule, number)), f"#show {_CASE}{number}_/{len(rule.head.terms)}."]
    cases: defaultdict[str, list[Fact]] = defaultdict(list)
    heads = {f"{_CASE}{number}_": rule for number, rule in enumerate(measured, len(rules.rules))}
    for name, terms in _answer("\n".join(lines) + "\n", bounds):
        rule = heads[name]
        cases[rule.id].append((rule.head.predicate, tuple(constants[str(term)] for term in terms)))
    known = set(given)
    return rules.with_rules(
        replace(rule, support=len(cases[rule.id]), correct=sum(case in known for case in cases[rule.id]))
        if rule.head.predicate in predicates
        else rule
        for rule in rules.rules
    )


def _case(rule: Rule, number: int) -> str:
    return _atom(f"{_CASE}{number}_", rule.head.terms)


def _answer(program: str, bounds: Bounds | None) -> tuple[Atom, ...]:
    """The one answer of a stratified program."""
    solved = solve(program, bounds=bounds, what="The program of the rules")
    if solved.models:
        return solved.models[-1].atoms
    assert solved.limit is not None, "a stratified program has an answer"
    raise solved.limit


def _constants(rules: RuleSet, facts: Iterable[Fact]) -> Iterator[str]:
    for _, row in facts:
        yield from row
    for rule in rules.rules:
        for literal in literals_of(rule):
            yield from (term for term in literal.terms if not isinstance(term, Variable))


def _defined(rules: RuleSet) -> list[str]:
    """Say of every predicate that it may hold for nothing, so that clingo does not wonder about it."""
    sizes = {literal.predicate: len(literal.terms) for rule in rules.rules for literal in literals_of(rule)}
    return [f"#defined {name}/{size}." for name, size in sorted((sizes | {DOMAIN: 1, _FIRES: 3}).items())]


def _clauses(rule: Rule, rank: int, head: str | None = None) -> list[str]:
    """The rule, with another head where one is given, and before it what its exceptions mean."""
    lines = [
        f"{_exception(rule, rank, number)} :- {_joined((*rule.premises, *exception))}."
        for number, exception in enumerate(rule.exceptions)
    ]
    return lines + _clause(head or _atom(rule.head.predicate, rule.head.terms), rule, rank)


def _clause(head: str, rule: Rule, rank: int) -> list[str]:
    conditions = [_joined(rule.premises)] if rule.premises else []
    conditions += [f"not {_exception(rule, rank, number)}" for number in range(len(rule.exceptions))]
    return [f"{head} :- {', '.join(conditions)}." if conditions else f"{head}."]


def _exception(rule: Rule, rank: int, number: int) -> str:
    """The exception as an atom over the variables of the rule's premises."""
    variables = sorted({name for literal in rule.premises for name in literal.variables})
    name = f"exception_{rank}_{number}_"
    return f"{name}({', '.join(variables)})" if variables else name


def _joined(literals: Conjunction) -> str:
    return ", ".join(map(_literal, literals))


def _literal(literal: Literal) -> str:
    return f"{'not ' if literal.negated else ''}{_atom(literal.predicate, literal.terms)}"


def _atom(predicate: str, terms: Sequence[Term]) -> str:
    return f"{predicate}({', '.join(map(_term, terms))})"


def _term(term: Term) -> str:
    if isinstance(term, Variable):
        return term.name
    return asp_string(spelled_out(term))
