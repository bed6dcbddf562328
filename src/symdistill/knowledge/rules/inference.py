"""What follows from facts by rules, worked out bottom-up, layer by layer (semi-naive evaluation).

Names of variables range over the constants that occur, so there is always an end; how much may be derived and looked
at on the way is bounded all the same, since a few harmless rules can multiply without measure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import Conjunction, Fact, Literal, Rule, RuleSet, Variable
from symdistill.knowledge.rules.text import rule_text

Row = tuple[str, ...]
Bindings = dict[str, str]


_ROWS_OF_A_FACT = 10
"""Rows that each rule may look at for each fact that is given, above `Bounds.rows`: what many facts need anyway."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may follow, and how many rows may be looked at on the way, above 10 for each fact and rule.

    A million facts take 200 MB or so, and a million rows two seconds or so: the bounds hold before both are spent.
    """

    facts: int = 500_000
    rows: int = 3_000_000


class FactBase:
    """Facts, found by predicate and by the terms that are known of them.

    Raises DataError where a bound is passed.
    """

    def __init__(self, facts: Iterable[Fact] = (), bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._rows: defaultdict[str, dict[Row, None]] = defaultdict(
            dict
        )  # in order: what follows never depends on hashes
        self._indexes: defaultdict[str, dict[tuple[int, ...], defaultdict[Row, list[Row]]]] = defaultdict(dict)
        self._looked_at = 0
        self._allowed = self._bounds.rows
        self._rule: Rule | None = None
        self._given = 0
        for fact in facts:
            self.add(*fact)
        self._given = len(self)

    def __contains__(self, fact: Fact) -> bool:
        return fact[1] in self._rows.get(fact[0], {})

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __iter__(self) -> Iterator[Fact]:
        return ((predicate, row) for predicate, rows in self._rows.items() for row in rows)

    @property
    def predicates(self) -> frozenset[str]:
        """What the facts speak of."""
        return frozenset(predicate for predicate, rows in self._rows.items() if rows)

    def add(self, predicate: str, row: Row) -> bool:
        """Add a fact; whether it is new."""
        rows = self._rows[predicate]
        if row in rows:
            return False
        rows[row] = None
        for places, index in self._indexes[predicate].items():
            if places[-1] < len(row):
                index[tuple(row[place] for place in places)].append(row)
        return True

    def derive(self, rules: RuleSet) -> None:
        """Add everything that follows by `rules`."""
        for layer in rules.strata:
            self._close([rule for rule in rules.rules if rule.head.predicate in layer], layer)

    def heads(self, rule: Rule) -> list[Row]:
        """The rows a rule's head holds for, going by the facts that are here, each once."""
        known = self._rows.get(rule.head.predicate, {})
        found: dict[Row, None] = {}
        new, room = 0, self._room()
        for bindings in self._matches(rule, None, ()):
            row = _grounded(rule.head, bindings)
            if row not in found:
                found[row] = None
                new += row not in known
                if new > room:
                    raise self._too_many("facts follow", self._bounds.facts)
        return list(found)

    def _close(self, rules: Sequence[Rule], layer: frozenset[str]) -> None:
        fresh = self._added(
            (rule.head.predicate, _grounded(rule.head, bindings))
            for rule in rules
            for bindings in self._matches(rule, None, ())
        )
        while fresh:
            # A rule can only say more where a premise of its own layer is one of the last round's facts.
            fresh = self._added(
                (rule.head.predicate, _grounded(rule.head, bindings))
                for rule in rules
                for place, literal in enumerate(rule.premises)
                if not literal.negated and literal.predicate in layer and fresh.get(literal.predicate)
                for bindings in self._matches(rule, place, fresh[literal.predicate])
            )

    def _added(self, facts: Iterable[Fact]) -> dict[str, list[Row]]:
        """The facts that are new, by predicate. They are added when all are known: `facts` goes by what is here."""
        new: defaultdict[str, dict[Row, None]] = defaultdict(dict)
        count, room = 0, self._room()
        for predicate, row in facts:
            if row not in new[predicate] and (predicate, row) not in self:
                new[predicate][row] = None
                count += 1
                if count > room:
                    raise self._too_many("facts follow", self._bounds.facts)
        for predicate, rows in new.items():
            for row in rows:
                self.add(predicate, row)
        return {predicate: list(rows) for predicate, rows in new.items() if rows}

    def _room(self) -> int:
        """How many facts more may follow."""
        return self._bounds.facts - (len(self) - self._given)

    def _matches(self, rule: Rule, place: int | None, only: Iterable[Row]) -> Iterator[Bindings]:
        """Bindings of the premises that no exception speaks against; those of the premise at `place` from `only`."""
        self._rule = rule
        if place is None:
            self._allowed += _ROWS_OF_A_FACT * self._given
        for bindings in self._joined(rule.premises, {}, place, only):
            if not any(
                next(self._joined(exception, dict(bindings), None, ()), None) is not None
                for exception in rule.exceptions
            ):
                yield bindings

    def _joined(
        self, literals: Conjunction, bindings: Bindings, place: int | None, only: Iterable[Row]
    ) -> Iterator[Bindings]:
        if not literals:
            yield bindings
            return
        chosen = place if place is not None else self._next(literals, bindings)
        literal, rest = literals[chosen], literals[:chosen] + literals[chosen + 1 :]
        if literal.negated:
            self._count()
            if _grounded(literal, bindings) not in self._rows.get(literal.predicate, {}):
                yield from self._joined(rest, bindings, None, ())
            return
        for row in only if place is not None else self._candidates(literal, bindings):
            self._count()
            if (extended := _unified(literal, row, bindings)) is not None:
                yield from self._joined(rest, extended, None, ())

    def _next(self, literals: Conjunction, bindings: Mapping[str, str]) -> int:
        """The literal to look at next: one that only has to be checked, otherwise the one with fewest rows."""
        best = (2, 0, 0)
        for place, literal in enumerate(literals):
            free = any(isinstance(term, Variable) and term.name not in bindings for term in literal.terms)
            if not free:
                return place
            if not literal.negated:
                known = any(not isinstance(term, Variable) or term.name in bindings for term in literal.terms)
                best = min(best, (0 if known else 1, len(self._rows.get(literal.predicate, ())), place))
        return best[2]

    def _candidates(self, literal: Literal, bindings: Mapping[str, str]) -> Collection[Row]:
        """The rows that agree with a literal in every term that is known."""
        known = {
            place: bindings[term.name] if isinstance(term, Variable) else term
            for place, term in enumerate(literal.terms)
            if not isinstance(term, Variable) or term.name in bindings
        }
        rows = self._rows.get(literal.predicate, {})
        if len(known) == len(literal.terms):
            row = tuple(known.values())
            return (row,) if row in rows else ()
        if not known:
            return tuple(rows)
        places = tuple(known)
        indexes = self._indexes[literal.predicate]
        if places not in indexes:
            index: defaultdict[Row, list[Row]] = defaultdict(list)
            for row in rows:
                if places[-1] < len(row):
                    index[tuple(row[place] for place in places)].append(row)
            indexes[places] = index
        return tuple(indexes[places].get(tuple(known.values()), ()))

    def _count(self) -> None:
        self._looked_at += 1
        if self._looked_at > self._allowed:
            raise self._too_many("combinations of facts had to be looked at", self._allowed)

    def _too_many(self, what: str, bound: int) -> DataError:
        rule = f", the last ones for `{rule_text(self._rule)[:200]}`" if self._rule else ""
        return DataError(
            f"More than {bound:,} {what}{rule}.",
            "Join the rule's conditions by a variable they share or take some out, use fewer facts, or let clingo do "
            "it within limits of its own (`rules evaluate` and `rules measure` take `--engine clingo`).",
        )


def _grounded(literal: Literal, bindings: Mapping[str, str]) -> Row:
    return tuple(bindings[term.name] if isinstance(term, Variable) else term for term in literal.terms)


def _unified(literal: Literal, row: Row, bindings: Bindings) -> Bindings | None:
    """`bindings` with what this row adds to them; None where they disagree."""
    if len(row) != len(literal.terms):
        return None
    extended = dict(bindings)
    for term, value in zip(literal.terms, row, strict=True):
        known = extended.setdefault(term.name, value) if isinstance(term, Variable) else term
        if known != value:
            return None
    return extended
