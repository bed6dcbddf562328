"""A decision tree over yes/no features, as data: it decides, explains, turns into rules, and is stored as JSON.

An answer nobody knows goes the way of "no", as in rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symdistill.errors import DataError
from symdistill.knowledge.rules.lines import write_whole
from symdistill.knowledge.rules.logic import SUBJECT, TARGET, Literal, Rule, RuleSet, Source, is_name
from symdistill.tasks.files import read_text

_VERSION = 1
_DEEPEST = 30

Answers = Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class Leaf:
    """The end of a path: the label it gives, and how many training inputs of each label came here."""

    label: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Split:
    """A question, and what follows from either answer to it."""

    feature: str
    no: Node
    yes: Node


Node = Leaf | Split
Step = tuple[str, bool]
"""A feature and the way that was taken at it."""


@dataclass(frozen=True)
class Tree:
    """`questions` say in words what each feature asks; `target` is what the tree decides."""

    root: Node
    questions: Mapping[str, str] = field(default_factory=dict)
    target: str = TARGET

    def decide(self, answers: Answers) -> str:
        """The label of an input with these answers."""
        return self.leaf(answers)[0].label

    def leaf(self, answers: Answers) -> tuple[Leaf, tuple[Step, ...]]:
        """Where an input ends, and the way there."""
        node, way = self.root, []
        while isinstance(node, Split):
            yes = bool(answers.get(node.feature))
            way.append((node.feature, yes))
            node = node.yes if yes else node.no
        return node, tuple(way)

    def leaves(self) -> Iterator[tuple[Leaf, tuple[Step, ...]]]:
        """All leaves from left (no) to right (yes), each with the way there."""
        waiting: list[tuple[Node, tuple[Step, ...]]] = [(self.root, ())]
        while waiting:
            node, way = waiting.pop()
            if isinstance(node, Leaf):
                yield node, way
            else:
                waiting += [(node.yes, (*way, (node.feature, True))), (node.no, (*way, (node.feature, False)))]

    @property
    def depth(self) -> int:
        return max(len(way) for _, way in self.leaves())

    @property
    def features(self) -> list[str]:
        """The features that are asked, the first ones first."""
        ways = [way for _, way in self.leaves()]
        steps = sorted({(place, name) for way in ways for place, (name, _) in enumerate(way)})
        return list(dict.fromkeys(name for _, name in steps))

    def question(self, feature: str) -> str:
        """A feature in words; its name where there are none."""
        return self.questions.get(feature) or feature

    def rules(self) -> RuleSet:
        """A rule for every leaf, with what it was right in; together they decide as the tree does."""
        found = []
        for number, (leaf, way) in enumerate(self.leaves(), 1):
            body = tuple(Literal(name, (SUBJECT,), not yes) for name, yes in way)
            found.append(
                Rule(
                    Literal(self.target, (SUBJECT, leaf.label)),
                    body,
                    support=sum(leaf.counts.values()),
                    correct=leaf.counts.get(leaf.label, 0),
                    sources=(Source("tree", f"leaf {number}"),),
                )
            )
        return RuleSet(tuple(found), self.target, None, dict(self.questions))

    def explain(self, answers: Answers) -> str:
        """Why an input with these answers is decided so, and which single other answer would change that."""
        leaf, way = self.leaf(answers)
        total, right = sum(leaf.counts.values()), leaf.counts.get(leaf.label, 0)
        because = "; ".join(f"{self.question(name)} {_said(answers.get(name))}" for name, _ in way)
        lines = [f"The decision is {leaf.label}." if not way else f"The decision is {leaf.label}, because: {because}."]
        like = "with these answers " if way else ""
        lines.append(f"Of {total:,} training inputs {like}{right:,} were {leaf.label}.")
        for name, yes in way:
            other = self.decide({**answers, name: not yes})
            if other != leaf.label:
                lines.append(f"Had the answer to “{self.question(name)}” been {_said(not yes)}, it would be {other}.")
        return " ".join(lines)


def _said(answer: bool | None) -> str:
    return "not known, which counts as no" if answer is None else "yes" if answer else "no"


def write_tree(path: Path, tree: Tree, **facts: Any) -> None:
    """Write a tree as JSON with `facts` about how it came about. Raises DataError where that cannot be done."""
    value = {
        "tree": _VERSION,
        "target": tree.target,
        "questions": dict(tree.questions),
        "root": _as_json(tree.root),
        **facts,
    }
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_tree(path: Path) -> Tree:
    """The tree of a file. Raises DataError where it holds none."""
    try:
        value = json.loads(read_text(path))
        if value["tree"] != _VERSION:
            raise DataError(f"{path}: version {json.dumps(value['tree'])} of trees is not known.", "Update symdistill.")
        questions = {str(name): str(question) for name, question in value["questions"].items()}
        return Tree(_from_json(value["root"], 0), questions, str(value["target"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
        raise DataError(f"{path} holds no tree ({problem!r}).", "Name a tree.json that `trees fit` wrote.") from None


def _as_json(node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        return {"label": node.label, "counts": dict(node.counts)}
    return {"feature": node.feature, "no": _as_json(node.no), "yes": _as_json(node.yes)}


def _from_json(value: Mapping[str, Any], depth: int) -> Node:
    if depth > _DEEPEST:
        raise ValueError(f"deeper than {_DEEPEST}")
    if "feature" not in value:
        return Leaf(str(value["label"]), {str(label): int(count) for label, count in value["counts"].items()})
    if not is_name(value["feature"]):
        raise ValueError(f"{value['feature']!r} is no name")
    return Split(value["feature"], _from_json(value["no"], depth + 1), _from_json(value["yes"], depth + 1))
