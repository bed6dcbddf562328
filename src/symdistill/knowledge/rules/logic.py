"""Rules as data: a head that follows from a body, unless one of the exceptions holds.

A set of rules means what a stratified logic program means (Apt, Blair and Walker 1988): what is not given and does
not follow is false, so `NOT` is negation as failure, and no rule may depend on its own negation. Every program of this
kind has exactly one answer, whatever evaluates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal as OneOf

from symdistill.content import content_key
from symdistill.errors import DataError

DOMAIN = "input"
"""Holds for every input there is, so that a rule may speak of an input without any condition that it must meet."""
TARGET = "label"
"""What rules about inputs decide, unless a set of rules names another."""

_NAME = re.compile(r"[a-z](?:_?[A-Za-z0-9])*")
_VARIABLE = re.compile(r"[A-Z][A-Za-z0-9]*")
KEYWORDS = frozenset({"if", "and", "or", "not", "then", "unless", "otherwise", "true"})
_LONGEST_NAME = 64
_MOST_LITERALS = 200

Fact = tuple[str, tuple[str, ...]]
"""A predicate and the constants it holds for."""
SourceKind = OneOf["teacher", "learner", "tree", "person"]


@dataclass(frozen=True, slots=True)
class Variable:
    """Stands for any constant. Its name begins with a capital."""

    name: str


Term = Variable | str
SUBJECT = Variable("X")
"""The input that a rule is about."""


def is_name(text: str) -> bool:
    """May this be a predicate? A small letter, then letters and digits, joined by single underscores."""
    return len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None and text not in KEYWORDS


def is_variable(text: str) -> bool:
    """Is this how a variable is written?"""
    return _VARIABLE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Literal:
    """A predicate applied to terms, or its negation. Raises ValueError for what is no name."""

    predicate: str
    terms: tuple[Term, ...] = (SUBJECT,)
    negated: bool = False

    def __post_init__(self) -> None:
        if not is_name(self.predicate):
            raise ValueError(f"{self.predicate!r} is no name of a predicate")
        if not self.terms:
            raise ValueError(f"{self.predicate} is about nothing")
        for variable in self.variables:
            if not is_variable(variable):
                raise ValueError(f"{variable!r} is no name of a variable")

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(term.name for term in self.terms if isinstance(term, Variable))

    @property
    def positive(self) -> Literal:
        return replace(self, negated=False) if self.negated else self

    @property
    def opposite(self) -> Literal:
        return replace(self, negated=not self.negated)


Conjunction = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule came from. `detail` says more in words; `request_key` addresses a teacher's reply in the store."""

    kind: SourceKind
    detail: str = ""
    model: str = ""
    request_key: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Rule:
    """IF all of `body` THEN `head`, UNLESS all of one of the `exceptions`.

    Of the `support` cases it was measured on, `correct` were right. `stated` is how sure its source said it is. An
    exception may speak of variables of its own: it holds where some constant makes it hold. Raises ValueError for a
    rule that says nothing: a negated head, an empty exception, a variable that nothing binds.
    """

    head: Literal
    body: Conjunction = ()
    exceptions: tuple[Conjunction, ...] = ()
    support: int = 0
    correct: int = 0
    stated: float | None = None
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if self.head.negated:
            raise ValueError("what follows cannot be negated")
        if self.head.predicate == DOMAIN:
            raise ValueError(f"`{DOMAIN}` is given and cannot follow")
        if self.literals > _MOST_LITERALS:
            raise ValueError(f"more than {_MOST_LITERALS} conditions")
        if not 0 <= self.correct <= self.support:
            raise ValueError(f"{self.correct} of {self.support} is impossible")
        if self.stated is not None and not 0 <= self.stated <= 1:
            raise ValueError(f"a confidence of {self.stated} is not between 0 and 1")
        bound = _bound_by(self.premises)
        if free := _unbound((self.head, *self.body), bound):
            raise ValueError(f"nothing without NOT says what {free} is")
        for exception in self.exceptions:
            if not exception:
                raise ValueError("an exception is empty")
            if free := _unbound(exception, bound | _bound_by(exception)):
                raise ValueError(f"nothing without NOT says what {free} is in an exception")

    @cached_property
    def id(self) -> str:
        """`r_` and 12 hexadecimal digits of what the rule says, in whatever order it is said."""
        said = {
            "head": _plain(self.head),
            "body": sorted(_plain(literal) for literal in self.body),
            "exceptions": sorted(sorted(_plain(literal) for literal in each) for each in self.exceptions),
        }
        return "r_" + content_key("rule1", said)[6:18]

    @property
    def premises(self) -> Conjunction:
        """The body, and, where only negations speak of the input X, that it is an input."""
        wanted = SUBJECT.name in self.head.variables.union(*(literal.variables for literal in self.body))
        return (Literal(DOMAIN), *self.body) if wanted and SUBJECT.name not in _bound_by(self.body) else self.body

    @property
    def confidence(self) -> float | None:
        """The share of measured cases it was right in; None where nothing was measured."""
        return self.correct / self.support if self.support else None

    @property
    def strength(self) -> float:
        """What decides between rules that disagree: Laplace's estimate of being right, (correct + 1) / (support + 2);
        without measurements what its source stated, or one half."""
        if self.support or self.stated is None:
            return (self.correct + 1) / (self.support + 2)
        return self.stated

    @property
    def literals(self) -> int:
        """How many conditions a reader has to read, those of exceptions included."""
        return len(self.body) + sum(map(len, self.exceptions))


@dataclass(frozen=True)
class RuleSet:
    """Rules that are meant together. `target` is what they decide about an input, `default` what holds where none of
    them speaks. `questions` says in words what a predicate asks about an input.

    Rules that say the same become one, with the sources of both; what the first one measured stays.

    Raises:
        DataError: a predicate has different numbers of terms, or a rule depends on its own negation.
    """

    rules: tuple[Rule, ...] = ()
    target: str = TARGET
    default: str | None = None
    questions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        merged: dict[str, Rule] = {}
        for rule in self.rules:
            known = merged.get(rule.id, rule)
            merged[rule.id] = replace(known, sources=tuple(dict.fromkeys((*known.sources, *rule.sources))))
        object.__setattr__(self, "rules", tuple(merged.values()))
        _check_sizes(self.rules)
        _ = self.strata  # raises where there is no order to work them out in

    @cached_property
    def strata(self) -> tuple[frozenset[str], ...]:
        """The predicates that follow from rules, in an order in which they can be worked out. Raises DataError."""
        return tuple(_strata(self.rules))

    @cached_property
    def precedence(self) -> tuple[int, ...]:
        """Places of the rules, the one that decides first: by strength, equal ones as they stand."""
        return tuple(sorted(range(len(self.rules)), key=lambda place: -self.rules[place].strength))

    @property
    def predicates(self) -> frozenset[str]:
        """Everything the rules speak of."""
        return frozenset(literal.predicate for rule in self.rules for literal in literals_of(rule))

    def with_rules(self, rules: Iterable[Rule]) -> RuleSet:
        """The same set with other rules."""
        return replace(self, rules=tuple(rules))


def literals_of(rule: Rule) -> Iterator[Literal]:
    """The head, the premises, and the literals of the exceptions."""
    yield rule.head
    yield from rule.premises
    for exception in rule.exceptions:
        yield from exception


def _plain(literal: Literal) -> list[object]:
    terms = [["?", term.name] if isinstance(term, Variable) else ["=", term] for term in literal.terms]
    return [literal.predicate, terms, literal.negated]


def _bound_by(literals: Iterable[Literal]) -> frozenset[str]:
    return frozenset(name for literal in literals if not literal.negated for name in literal.variables)


def _unbound(literals: Iterable[Literal], bound: frozenset[str]) -> str | None:
    """The first variable that is not bound, by name."""
    return min({name for literal in literals for name in literal.variables} - bound, default=None)


def _check_sizes(rules: Iterable[Rule]) -> None:
    sizes: dict[str, int] = {DOMAIN: 1}
    for rule in rules:
        for literal in literals_of(rule):
            known = sizes.setdefault(literal.predicate, len(literal.terms))
            if known != len(literal.terms):
                raise DataError(
                    f"`{literal.predicate}` has {known} terms in one rule and {len(literal.terms)} in another.",
                    "Write it with the same number of terms everywhere.",
                )


def _strata(rules: tuple[Rule, ...]) -> Iterator[frozenset[str]]:
    """Layers of predicates such that a negation only looks at layers before its own."""
    heads = {rule.head.predicate for rule in rules}
    level = dict.fromkeys(heads, 0)
    for _ in range(len(heads) + 1):
        rising = [
            (rule.head.predicate, level[predicate] + strictly)
            for rule in rules
            for predicate, strictly in _needs(rule)
            if predicate in heads and level[rule.head.predicate] < level[predicate] + strictly
        ]
        if not rising:
            break
        for head, least in rising:
            level[head] = max(level[head], least)
    else:
        circle = max(sorted(level), key=lambda predicate: level[predicate])
        raise DataError(
            f"`{circle}` depends on its own negation, so nobody can say what follows.",
            "Take out the NOT or UNLESS that leads back to it.",
        )
    for number in sorted(set(level.values())):
        yield frozenset(predicate for predicate, at in level.items() if at == number)


def _needs(rule: Rule) -> Iterator[tuple[str, bool]]:
    """The predicates a rule looks at, and whether they must be known completely before it."""
    for literal in rule.premises:
        yield literal.predicate, literal.negated
    for exception in rule.exceptions:
        for literal in exception:
            yield literal.predicate, True
