"""Rules as a ProbLog program: each rule with the probability that it is right.

Several rules that give an input the same label add up as independent causes do (noisy-or), which is ProbLog's
meaning of them and not a decision; `P::` is Laplace's estimate (`Rule.strength`), so that no rule is certain for
having been right a few times. Constants become quoted atoms. ProbLog's reader ends a quoted atom at a quote after an
escaped backslash, so quotes and backslashes are written as `%27` and `%5C`, like control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from symdistill.knowledge.rules.asp_program import spelled_out
from symdistill.knowledge.rules.logic import Conjunction, Fact, Literal, Rule, RuleSet, Term, Variable
from symdistill.knowledge.rules.text import rule_text

_TAKEN = frozenset(
    re.findall(
        r"\w+",
        "append apply arg all assertz atom atom_number atomic between call call_nc callable clause compare "
        "compound concat consult constraint dbreference delete error evidence extend fail false findall flatten "
        "float forall functor ground integer is is_list last length list2set max maplist member memberchk mod "
        "module nb nl nocache nonvar nth number numbervars once plus possible predicate primitive print query "
        "rational rem retract reverse select sort sublist subquery subtract succ sum true try_call unknown "
        "use_module utility var varnumbers write writeln writenl xor",
    )
)
"""Names that mean something in ProbLog; a predicate of such a name gets an underscore at its end, as no other has."""


def to_problog(rules: RuleSet, facts: Iterable[Fact] = (), queries: bool = True) -> str:
    """The program; with `queries` it asks for what the rules say about every input there is."""
    lines = [":- unknown(fail).", *(f"{_atom(predicate, row)}." for predicate, row in facts)]
    for number, place in enumerate(rules.precedence):
        rule = rules.rules[place]
        lines += ["", f"% {spelled_out(rule_text(rule))}", *_clauses(rule, number)]
    if queries:
        lines += ["", f"query({_name(rules.target)}(_, _))."]
    return "\n".join(lines) + "\n"


def _clauses(rule: Rule, number: int) -> list[str]:
    conditions = [_joined(rule.premises)] if rule.premises else []
    lines = []
    variables = sorted({name for literal in rule.premises for name in literal.variables})
    for place, exception in enumerate(rule.exceptions):
        name = f"exception_{number}_{place}_"
        head = f"{name}({', '.join(variables)})" if variables else name
        lines.append(f"{head} :- {_joined((*rule.premises, *exception))}.")
        conditions.append(f"\\+ {head}")
    head = f"{rule.strength:.6f}::{_atom(rule.head.predicate, rule.head.terms)}"
    lines.append(f"{head} :- {', '.join(conditions)}." if conditions else f"{head}.")
    return lines


def _joined(literals: Conjunction) -> str:
    # A negation looks at values, so what gives them stands before it.
    return ", ".join(map(_literal, sorted(literals, key=lambda literal: literal.negated)))


def _literal(literal: Literal) -> str:
    negation = "\\+ " if literal.negated else ""
    return negation + _atom(literal.predicate, literal.terms)


def _atom(predicate: str, terms: Sequence[Term]) -> str:
    return f"{_name(predicate)}({', '.join(map(_term, terms))})"


def _name(predicate: str) -> str:
    return f"{predicate}_" if predicate in _TAKEN else predicate


def _term(term: Term) -> str:
    if isinstance(term, Variable):
        return term.name
    return "'" + spelled_out(term).replace("'", "%27").replace("\\", "%5C") + "'"
