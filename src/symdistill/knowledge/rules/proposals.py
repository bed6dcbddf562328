"""Asking a teacher for rules over named questions, and reading the rules it writes.

A teacher writes a rule as it was asked to, or nearly: numbered, in bold, "If the review praises the acting and is not
boring, then positive", or in JSON. Every line that begins like a rule has an outcome; a condition that is none of the
names given is never guessed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from typing import Literal as OneOf

from symdistill import content
from symdistill.knowledge.rules.logic import (
    SUBJECT,
    TARGET,
    Conjunction,
    Literal,
    Rule,
    RuleSet,
    Source,
)
from symdistill.knowledge.rules.text import literal_text, parse_rule
from symdistill.knowledge.terms import terms
from symdistill.prompts.features import RULE_PROPOSALS, rule_proposal_messages
from symdistill.records import Completion, Failure, Request, Sampling

Outcome = OneOf["rule", "duplicate", "unknown_name", "unknown_answer", "unreadable", "cut", "failed"]

_MOST_LINES = 200
_LONGEST = 2_000
_MARK = re.compile(r"[\s>|]*(?:(?:\d{1,3}\s?[.):]|[-*•+])\s*)?[\s*_`\"'|]*")
_RULE = re.compile(r"(?:rule\s?\d{0,3}\s?[:.)-]\s?)?(?P<rule>if\b.*)", re.IGNORECASE)
_PARTS = re.compile(
    r"if\b(?P<body>.+?),?\s*(?:\bthen\b|=>|→|->)(?P<head>.+?)(?:[,;]?\s*\b(?:unless|except(?:\s+(?:if|when))?)\b(?P<exceptions>.+))?",
    re.IGNORECASE,
)
_AND = re.compile(r",?\s*\band\b\s*|\s*&+\s*|\s*∧\s*", re.IGNORECASE)
_OR = re.compile(r",?\s*\bor\b\s*|\s*\|+\s*|\s*∨\s*", re.IGNORECASE)
_NOT = re.compile(r"(?:not\b|no\b|¬|!|~)\s*", re.IGNORECASE)
_IS = re.compile(
    r"\s*(?:(?:==?|is|:)\s*(?P<answer>yes|no|true|false|not)|(?:is\s+)?(?P<answered>answered\s+(?:yes|no)))\s*",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"(?:(?:the\s+)?(?:label|answer|class|prediction|it)\s*(?:=|:|is|must be|should be)\s*)?(?P<label>.+)",
    re.IGNORECASE,
)
_TRIM = " \t*_`\"'|.,;:()"


@dataclass(frozen=True, slots=True)
class ProposedRule:
    """A line of a teacher's reply and what became of it; `rules` are those it holds."""

    text: str
    outcome: Outcome
    rules: tuple[Rule, ...] = ()
    detail: str = ""
    request_key: str = ""


def rule_requests(
    task: str,
    labels: Sequence[str],
    questions: Mapping[str, str],
    model: str,
    sampling: Sampling,
    *,
    requests: int = 2,
    count: int = 12,
) -> list[Request]:
    """`requests` samples of one prompt that asks for at most `count` rules. `model` is the name in content keys."""
    messages = rule_proposal_messages(task, labels, questions, count)
    return content.samples(model, messages, sampling, range(requests), "rules")


def rules_from(
    requests: Sequence[Request],
    completions: Mapping[str, Completion],
    failures: Mapping[str, Failure] | None = None,
    *,
    names: Iterable[str],
    labels: Sequence[str],
    target: str = TARGET,
) -> list[ProposedRule]:
    """Every rule of the replies with its outcome; what two replies say is a duplicate the second time."""
    reader = _Reader(frozenset(names), labels, target)
    seen: set[str] = set()
    found = []
    for request in requests:
        completion = completions.get(request.key)
        if completion is None:
            failure = (failures or {}).get(request.key)
            detail = f"{failure.kind}: {failure.message}" if failure else "no reply yet"
            found.append(ProposedRule("", "failed", (), detail, request.key))
            continue
        source = Source("teacher", "", request.model, request.key, RULE_PROPOSALS)
        for proposed in reader.read(completion, source):
            fresh = tuple(rule for rule in proposed.rules if rule.id not in seen)
            seen |= {rule.id for rule in fresh}
            outcome = "duplicate" if proposed.rules and not fresh else proposed.outcome
            found.append(ProposedRule(proposed.text, outcome, fresh or proposed.rules, proposed.detail, request.key))
    return found


def proposed_set(
    proposals: Iterable[ProposedRule],
    questions: Mapping[str, str],
    *,
    default: str | None = None,
    target: str = TARGET,
) -> RuleSet:
    """The rules that were understood, in the order they were proposed; one of several replies has all their sources."""
    rules = (rule for proposal in proposals for rule in proposal.rules if proposal.outcome in ("rule", "duplicate"))
    return RuleSet(tuple(rules), target, default, questions)


class _Unknown(ValueError):
    """A name or a label that was not among those given."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome: Outcome = outcome


class _Reader:
    """Reads rules over known names and labels from replies."""

    def __init__(self, names: frozenset[str], labels: Sequence[str], target: str) -> None:
        self._names = {_folded(name): name for name in names}
        self._labels = {_folded(label): label for label in labels}
        self._target = target

    def read(self, completion: Completion, source: Source) -> Iterator[ProposedRule]:
        lines = list(_lines(completion.text))[:_MOST_LINES]
        for number, line in enumerate(lines):
            if completion.finish_reason == "length" and number == len(lines) - 1:
                yield ProposedRule(line, "cut")
                continue
            try:
                rules = tuple(self._rules(line))
                yield ProposedRule(line, "rule", tuple(_from_source(rule, source) for rule in rules))
            except _Unknown as unknown:
                yield ProposedRule(line, unknown.outcome, (), str(unknown))
            except ValueError as problem:
                yield ProposedRule(line, "unreadable", (), str(problem))

    def _rules(self, line: str) -> list[Rule]:
        if len(line) > _LONGEST:
            raise ValueError("the line is too long")
        match = _PARTS.fullmatch(line.strip(_TRIM))
        if match is None:
            return self._known(parse_rule(line))
        exceptions = tuple(self._all(part) for part in _split(_OR, match["exceptions"] or ""))
        head = self._head(match["head"])
        return [Rule(head, self._all(part), exceptions) for part in _split(_OR, match["body"])]

    def _known(self, rules: list[Rule]) -> list[Rule]:
        for rule in rules:
            for literal in (*rule.body, *(each for exception in rule.exceptions for each in exception)):
                if _folded(literal.predicate) not in self._names:
                    raise _Unknown("unknown_name", literal_text(literal))
        return rules

    def _head(self, text: str) -> Literal:
        match = _HEAD.fullmatch(text.strip(_TRIM))
        said = match["label"].strip(_TRIM) if match else text
        for candidate in (said, text):
            label = self._labels.get(_folded(candidate))
            if label is not None:
                return Literal(self._target, (SUBJECT, label))
        raise _Unknown("unknown_answer", text.strip())

    def _all(self, text: str) -> Conjunction:
        return tuple(dict.fromkeys(self._literal(part) for part in _split(_AND, text)))

    def _literal(self, text: str) -> Literal:
        text = text.strip(_TRIM)
        negated = False
        if (match := _NOT.match(text)) and _folded(text) not in self._names:
            negated, text = True, text[match.end() :].strip(_TRIM)
        trailing = list(_IS.finditer(text))
        if trailing and trailing[-1].end() == len(text) and _folded(text) not in self._names:
            answer = (trailing[-1]["answer"] or trailing[-1]["answered"]).split()[-1].lower()
            negated ^= answer in ("no", "false", "not")
            text = text[: trailing[-1].start()].strip(_TRIM)
        text = text.removesuffix("(X").strip(_TRIM)
        name = self._names.get(_folded(text))
        if name is None:
            raise _Unknown("unknown_name", text)
        return Literal(name, (SUBJECT,), negated)


def _lines(reply: str) -> Iterator[str]:
    """The rules of a reply as lines, those of a reply in JSON put into the same form."""
    begin = min((at for at in (reply.find("["), reply.find("{")) if at >= 0), default=-1)
    if begin >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(reply, begin)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and isinstance(value.get("rules"), list):
            value = value["rules"]
        entries = value if isinstance(value, list) else [value]
        if rows := [entry for entry in entries if isinstance(entry, dict) and {"if", "then"} <= entry.keys()]:
            yield from map(_from_json, rows)
            return
    for line in reply.splitlines():
        text = line[match.end() :] if (match := _MARK.match(line)) else line
        if rule := _RULE.match(text):
            yield rule["rule"].strip()


def _from_json(row: Mapping[str, Any]) -> str:
    unless = f" UNLESS {_joined(row['unless'], ' OR ')}" if row.get("unless") else ""
    return f"IF {_joined(row['if'], ' AND ')} THEN {row['then']}{unless}"


def _joined(value: Any, by: str) -> str:
    if isinstance(value, list):
        return by.join(_joined(each, " AND ") for each in value)
    return str(value)


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    return [part for part in pattern.split(text) if part.strip(_TRIM)]


def _folded(text: str) -> str:
    return " ".join(terms(text.replace("_", " ")))


def _from_source(rule: Rule, source: Source) -> Rule:
    return Rule(rule.head, rule.body, rule.exceptions, sources=(source,))
