"""Rules as people write and read them.

    IF praises_acting AND NOT bored THEN label = positive UNLESS sarcastic OR long AND NOT funny
    IF causes(X, Y) AND wants(Y, Z) THEN wants(X, Z)
    OTHERWISE label = negative

A name alone is about the input: `bored` is `bored(X)`, `label = positive` is `label(X, positive)`. AND binds more
tightly than OR; an OR before THEN makes two rules. Within brackets a word that begins with a capital is a variable.
Anything that is not a plain word stands in double quotes, with JSON's escapes. `#` begins a remark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import (
    KEYWORDS,
    SUBJECT,
    TARGET,
    Conjunction,
    Literal,
    Rule,
    RuleSet,
    Term,
    Variable,
    is_name,
    is_variable,
)

_TOKEN = re.compile(r'\s*(?:(?P<remark>#.*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[(),=])|(?P<word>[^\s(),="#]+))')
_PLAIN_WORD = re.compile(r"[a-z0-9][A-Za-z0-9_.-]*")
_LONGEST_LINE = 10_000
FORM = "A rule looks like `IF a AND NOT b THEN label = c UNLESS d`."


def literal_text(literal: Literal) -> str:
    """A literal as it stands in a rule."""
    terms = literal.terms
    if terms == (SUBJECT,):
        text = literal.predicate
    elif len(terms) == 2 and terms[0] == SUBJECT and isinstance(terms[1], str):
        text = f"{literal.predicate} = {_term(terms[1])}"
    else:
        text = f"{literal.predicate}({', '.join(map(_term, terms))})"
    return f"NOT {text}" if literal.negated else text


def conjunction_text(literals: Iterable[Literal]) -> str:
    """Literals joined by AND."""
    return " AND ".join(map(literal_text, literals)) or "TRUE"


def rule_text(rule: Rule) -> str:
    """A rule on one line. `parse_rule` reads it back."""
    text = f"IF {conjunction_text(rule.body)} THEN {literal_text(rule.head)}"
    if rule.exceptions:
        text += f" UNLESS {' OR '.join(map(conjunction_text, rule.exceptions))}"
    return text


def rules_text(rules: RuleSet) -> str:
    """A file for people: the rules in the order in which they decide, each with its record as a remark.

    Read back, without the records, they decide alike: of rules of equal strength the first one does.
    """
    lines = [f"{rule_text(rule)}{_record(rule)}" for rule in (rules.rules[place] for place in rules.precedence)]
    if rules.default is not None:
        lines.append(f"OTHERWISE {literal_text(Literal(rules.target, (SUBJECT, rules.default)))}")
    asked = {name: rules.questions[name] for name in sorted(rules.predicates & rules.questions.keys())}
    lines += [f"# {name}: {' '.join(question.split())}" for name, question in asked.items()]
    return "".join(f"{line}\n" for line in lines)


def _record(rule: Rule) -> str:
    if rule.support:
        return f"  # right in {rule.correct:,} of {rule.support:,}"
    return "" if rule.stated is None else f"  # stated confidence {rule.stated:g}"


def in_words(rule: Rule, questions: Mapping[str, str]) -> str:
    """A rule about inputs as a sentence; what has no question keeps its name."""

    def said(literal: Literal) -> str:
        question = questions.get(literal.predicate)
        if question is None or literal.terms != (SUBJECT,):
            return literal_text(literal)
        return f"the answer to “{' '.join(question.split())}” is {'not yes' if literal.negated else 'yes'}"

    conditions = " and ".join(map(said, rule.body)) or "nothing else is known"
    sentence = f"If {conditions}, then {literal_text(rule.head)}"
    if rule.exceptions:
        sentence += ", unless " + ", or unless ".join(" and ".join(map(said, each)) for each in rule.exceptions)
    return f"{sentence}."


def _term(term: Term) -> str:
    if isinstance(term, Variable):
        return term.name
    plain = _PLAIN_WORD.fullmatch(term) and term.lower() not in KEYWORDS
    return term if plain else json.dumps(term, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


class _Reader:
    """The tokens of one line, read from left to right. Raises ValueError for what does not fit."""

    def __init__(self, line: str) -> None:
        self._tokens = list(_tokens(line))
        self._at = 0

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def takes(self, *words: str) -> bool:
        """Whether one of these keywords comes next; it is passed over if so."""
        token = self.peek()
        found = token is not None and token.is_word(*words)
        self._at += found
        return found

    def marks(self, mark: str) -> bool:
        token = self.peek()
        found = token is not None and token.kind == "mark" and token.text == mark
        self._at += found
        return found

    def next(self, wanted: str) -> _Token:
        token = self.peek()
        if token is None:
            raise ValueError(f"the line ends where {wanted} should stand")
        self._at += 1
        return token

    def literal(self) -> Literal:
        negated = self.takes("not")
        token = self.next("a condition")
        if token.kind != "word" or not is_name(token.text):
            raise ValueError(f"{token.text!r} stands where a condition should; a name is small letters, digits and _")
        if self.marks("="):
            return Literal(token.text, (SUBJECT, self._constant()), negated)
        terms = self._terms() if self.marks("(") else (SUBJECT,)
        return Literal(token.text, terms, negated)

    def conjunction(self) -> Conjunction:
        if self.takes("true"):
            return ()
        literals = [self.literal()]
        while self.takes("and"):
            literals.append(self.literal())
        return tuple(literals)

    def alternatives(self) -> tuple[Conjunction, ...]:
        found = [self.conjunction()]
        while self.takes("or"):
            found.append(self.conjunction())
        return tuple(found)

    def end(self) -> None:
        if token := self.peek():
            raise ValueError(f"{token.text!r} does not belong there")

    def _terms(self) -> tuple[Term, ...]:
        terms: list[Term] = []
        while True:
            token = self.next("a term")
            if token.kind == "mark":
                raise ValueError(f"{token.text!r} stands where a term should")
            variable = token.kind == "word" and is_variable(token.text)
            terms.append(Variable(token.text) if variable else _constant(token))
            if self.marks(")"):
                return tuple(terms)
            if not self.marks(","):
                raise ValueError("a comma or a closing bracket is missing")

    def _constant(self) -> str:
        token = self.next("a value")
        if token.kind == "mark":
            raise ValueError(f"{token.text!r} stands where a value should")
        return _constant(token)


def _constant(token: _Token) -> str:
    return token.text if token.kind == "word" else str(json.loads(token.text, strict=False))


def _tokens(line: str) -> Iterable[_Token]:
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"the line is longer than {_LONGEST_LINE:,} characters")
    at, end = 0, len(line.rstrip())
    while at < end:
        match = _TOKEN.match(line, at)
        if match is None:
            raise ValueError(f"{line[at : at + 20].strip()!r} cannot be read")
        at = match.end()
        assert match.lastgroup is not None
        if match.lastgroup == "remark":
            return
        yield _Token(match.lastgroup, match[match.lastgroup])


def parse_literal(text: str) -> Literal:
    """One literal. Raises ValueError."""
    reader = _Reader(text)
    literal = reader.literal()
    reader.end()
    return literal


def parse_rule(line: str) -> list[Rule]:
    """The rule of a line, or several where an OR stands before THEN. Raises ValueError."""
    reader = _Reader(line)
    if not reader.takes("if"):
        raise ValueError("it does not begin with IF")
    bodies = reader.alternatives()
    if not reader.takes("then"):
        raise ValueError("THEN is missing")
    head = reader.literal()
    exceptions = reader.alternatives() if reader.takes("unless") else ()
    reader.end()
    return [Rule(head, body, exceptions) for body in bodies]


def parse_text(text: str, where: str = "the text") -> RuleSet:
    """The rules of a text, one a line; empty lines and remarks are passed over.

    Raises:
        DataError: a line is no rule, or the rules do not go together; `where` and the line's number are named.
    """
    rules: list[Rule] = []
    otherwise: tuple[str, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        try:
            reader = _Reader(line)
            if reader.peek() is None:
                continue
            if not reader.takes("otherwise"):
                rules += parse_rule(line)
                continue
            literal = reader.literal()
            reader.end()
            value = literal.terms[-1]
            if literal.negated or len(literal.terms) != 2 or literal.terms[0] != SUBJECT or isinstance(value, Variable):
                raise ValueError("OTHERWISE takes one `name = value`")
            if otherwise is not None:
                raise ValueError("there is a second OTHERWISE")
            otherwise = (literal.predicate, value)
        except ValueError as problem:
            raise DataError(f"{where}, line {number}: {problem}.", FORM) from None
    target, default = otherwise or (_target(rules), None)
    try:
        return RuleSet(tuple(rules), target, default)
    except DataError as problem:
        raise DataError(f"{where}: {problem.message}", problem.fix) from None


def _target(rules: Iterable[Rule]) -> str:
    """What rules decide that do not say it: `label` if one of them speaks of it, otherwise what the first one says."""
    heads = [rule.head.predicate for rule in rules]
    return TARGET if TARGET in heads or not heads else heads[0]
