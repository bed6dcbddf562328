"""Triples as facts for rules: `PersonX is late  xWant  to hurry` is `xWant("personx is late", "to hurry")`."""

from __future__ import annotations

from collections.abc import Iterable

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import DOMAIN, Fact, is_name
from symdistill.knowledge.triples.records import Triple


def facts_of_triples(triples: Iterable[Triple]) -> list[Fact]:
    """The triples as facts, each once, heads and tails in the forms that are compared.

    A relation keeps its name with a small first letter: `HinderedBy` is `hinderedBy`.

    Raises:
        DataError: a relation cannot be the name of a predicate, or two become the same one.
    """
    relations: dict[str, str] = {}
    found: dict[Fact, None] = {}
    for triple in triples:
        head, relation, tail = triple.fact
        name = relation[:1].lower() + relation[1:]
        if not is_name(name) or name == DOMAIN:
            raise DataError(
                f"The relation {relation!r} cannot be used in rules.", "Rename it: letters, digits and `_`."
            )
        if relations.setdefault(name, relation) != relation:
            raise DataError(f"The relations {relations[name]!r} and {relation!r} are one name in rules.", "Rename one.")
        found[name, (head, tail)] = None
    return list(found)
