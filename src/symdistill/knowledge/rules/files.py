"""Rules in files: JSON lines that keep everything (`.jsonl`), or text for people (any other ending).

The first line of a JSONL file says what the rules are about: `{"rules": 1, "target": …, "default": …,
"questions": {…}}`. Every other line is a rule: `then`, `if` and `unless` as `text` writes literals, its measurements
and its sources.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from symdistill.errors import DataError
from symdistill.knowledge.rules.lines import json_lines, write_lines, write_whole
from symdistill.knowledge.rules.logic import TARGET, Conjunction, Rule, RuleSet, Source, SourceKind
from symdistill.knowledge.rules.text import literal_text, parse_literal, parse_text, rules_text
from symdistill.tasks.files import read_text

_FORM = 'A rule looks like {"then": "label = positive", "if": ["praises_acting", "NOT bored"], "unless": []}.'
_VERSION = 1
_SOURCE = ("detail", "model", "request_key", "prompt")


def write_rules(path: Path, rules: RuleSet) -> None:
    """Write rules as the ending of `path` says. Raises DataError where that cannot be done."""
    if not _is_json(path):
        write_whole(path, rules_text(rules))
        return
    head = {
        "rules": _VERSION,
        "target": rules.target,
        "default": rules.default,
        "questions": dict(sorted(rules.questions.items())),
    }
    write_lines(path, [head, *map(_row, rules.rules)])


def read_rules(path: Path) -> RuleSet:
    """The rules of a file. Raises DataError that names the line where something is wrong."""
    if not _is_json(path):
        return parse_text(read_text(path), str(path))
    head: Mapping[str, Any] = {}
    rules = []
    for number, (place, row) in enumerate(json_lines(path, _FORM)):
        if number == 0 and "rules" in row:
            if row["rules"] != _VERSION:
                raise DataError(
                    f"{place}: version {json.dumps(row['rules'])} of rules is not known.", "Update symdistill."
                )
            head = row
            continue
        try:
            rules.append(_rule(row))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as problem:
            said = f"`{problem.args[0]}` is missing" if isinstance(problem, KeyError) else problem
            raise DataError(f"{place}: no rule: {said}.", _FORM) from None
    target, default, questions = head.get("target", TARGET), head.get("default"), head.get("questions", {})
    if not isinstance(target, str) or not (default is None or isinstance(default, str)):
        raise DataError(f"{path}: `target` is a text, `default` a text or null.", "Correct its first line.")
    if not isinstance(questions, dict) or not all(isinstance(question, str) for question in questions.values()):
        raise DataError(f"{path}: `questions` has a text for each name.", "Correct its first line.")
    try:
        return RuleSet(tuple(rules), target, default, questions)
    except DataError as problem:
        raise DataError(f"{path}: {problem.message}", problem.fix) from None


def _is_json(path: Path) -> bool:
    return path.suffix == ".jsonl"


def _row(rule: Rule) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": rule.id,
        "if": [literal_text(literal) for literal in rule.body],
        "then": literal_text(rule.head),
        "unless": [[literal_text(literal) for literal in each] for each in rule.exceptions],
        "support": rule.support,
        "correct": rule.correct,
    }
    if rule.stated is not None:
        row["stated"] = rule.stated
    row["sources"] = [
        {"kind": s.kind} | {name: value for name in _SOURCE if (value := getattr(s, name))} for s in rule.sources
    ]
    return row


def _rule(row: Mapping[str, Any]) -> Rule:
    stated = row.get("stated")
    return Rule(
        parse_literal(row["then"]),
        _conjunction(row.get("if", [])),
        tuple(map(_conjunction, row.get("unless", []))),
        int(row.get("support", 0)),
        int(row.get("correct", 0)),
        None if stated is None else float(stated),
        tuple(map(_source, row.get("sources", []))),
    )


def _conjunction(texts: Any) -> Conjunction:
    if not isinstance(texts, list):
        raise ValueError("`if` is a list of conditions and `unless` a list of such lists")
    return tuple(parse_literal(text) for text in texts)


def _source(row: Mapping[str, Any]) -> Source:
    if row["kind"] not in get_args(SourceKind):
        raise ValueError(f"unknown source {row['kind']!r}")
    return Source(row["kind"], *(str(row.get(name, "")) for name in _SOURCE))
