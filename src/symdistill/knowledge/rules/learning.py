"""Rules from labelled inputs: RIPPER (Cohen 1995) by wittgenstein, and exceptions to what it finds.

RIPPER tells one label from the rest. With more labels it is run for each but the commonest, the rarest first and on
what is left, as Cohen does; the commonest label is the default. Only yes/no features go in: an answer nobody knows
counts as no.
"""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from pydantic import Field, PositiveInt

from symdistill.errors import DataError, PrerequisiteError
from symdistill.knowledge.rules.decisions import decide, measured
from symdistill.knowledge.rules.inference import FactBase
from symdistill.knowledge.rules.logic import SUBJECT, TARGET, Literal, Rule, RuleSet, Source
from symdistill.knowledge.rules.observations import Observation, facts_of, require_labels
from symdistill.settings import Settings


class LearningSettings(Settings):
    """How rules are learned."""

    max_rules: PositiveInt = 12
    """For each label."""
    max_literals: PositiveInt = 4
    """Conditions in a rule."""
    rounds: int = Field(default=2, ge=0)
    """RIPPER's k: how often the rules are optimised."""
    exceptions: bool = True
    """Whether to add an UNLESS where one condition separates most of a rule's mistakes."""
    least_exceptions: PositiveInt = 5
    """Inputs an exception must hold for."""


def learn_rules(
    observations: Sequence[Observation],
    features: Sequence[str],
    questions: Mapping[str, str] | None = None,
    settings: LearningSettings | None = None,
    *,
    target: str = TARGET,
    seed: int = 0,
) -> RuleSet:
    """Rules from the labelled ones of `observations`, measured on them; the commonest label is the default.

    Raises:
        PrerequisiteError: wittgenstein is not installed.
        DataError: there is no feature, or there are not two labels.
    """
    require_wittgenstein()
    limits = settings or LearningSettings()
    rows = [one for one in observations if one.label is not None]
    labels = require_labels(rows, "The training part of the table")
    if not features:
        raise DataError("There is no feature to learn rules from.", "Name a table with answers.")
    asked = {name: (questions or {})[name] for name in features if name in (questions or {})}
    found: list[Rule] = []
    left = rows
    for label in reversed(labels[1:]):
        bodies = _ripper(left, features, label, limits, seed)
        source = Source("learner", f"RIPPER on {len(rows):,} inputs, seed {seed}")
        new = [Rule(Literal(target, (SUBJECT, label)), body, sources=(source,)) for body in bodies]
        found += new
        decisions = decide(RuleSet(tuple(new), target), facts_of(left), [one.example_id for one in left])
        covered = {decision.example_id for decision in decisions if decision.covered}
        left = [one for one in left if one.example_id not in covered]
    rules = measured(RuleSet(tuple(found), target, labels[0], asked), rows)
    return with_exceptions(rules, rows, features, limits.least_exceptions) if limits.exceptions else rules


def require_wittgenstein() -> None:
    """Raises PrerequisiteError where wittgenstein is not installed."""
    if find_spec("wittgenstein") is None:
        raise PrerequisiteError(
            "Rules are learned by wittgenstein, which is not installed.", "pip install 'symdistill[trees]'"
        )


def _ripper(
    rows: Sequence[Observation], features: Sequence[str], label: str, limits: LearningSettings, seed: int
) -> list[tuple[Literal, ...]]:
    """The bodies RIPPER finds for one label against the rest of `rows`."""
    positive = [one.label == label for one in rows]
    if not any(positive):
        return []
    if all(positive):
        return [()]
    import pandas as pd
    from wittgenstein import RIPPER

    # Columns by number: a feature's name then cannot be one of the library's own.
    columns = {f"f{place}": [int(bool(one.answers.get(name))) for one in rows] for place, name in enumerate(features)}
    model = RIPPER(
        k=limits.rounds,
        max_rules=limits.max_rules,
        max_rule_conds=limits.max_literals,
        n_discretize_bins=None,
        random_state=seed,
    )
    with _own_chance(), warnings.catch_warnings(record=True):
        model.fit(pd.DataFrame(columns), y=positive, pos_class=True)
    return [
        tuple(Literal(features[int(cond.feature[1:])], (SUBJECT,), not int(cond.val)) for cond in rule.conds)
        for rule in model.ruleset_.rules
    ]


@contextlib.contextmanager
def _own_chance() -> Iterator[None]:
    """The library seeds Python's one random generator; whoever else uses it is to find it as it was."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


def with_exceptions(
    rules: RuleSet, observations: Sequence[Observation], features: Sequence[str], least: int = 5
) -> RuleSet:
    """The rules about the target, measured, each with the one exception that helps it most, if one does.

    An exception is one condition more. It is taken where it holds for at least `least` of the inputs the rule fires on,
    the rule is wrong about most of these, and its strength rises.
    """
    rows = [one for one in observations if one.label is not None]
    gold = {one.example_id: one.label for one in rows}
    answers = {one.example_id: one.answers for one in rows}
    base = FactBase(facts_of(rows))
    base.derive(rules)
    found = []
    for rule in measured(rules, rows).rules:
        best = rule
        if rule.head.predicate == rules.target and rule.head.terms[0] == SUBJECT:
            cases = [(subject, gold[subject] == label) for subject, label in base.heads(rule) if subject in gold]
            spoken = {literal.predicate for literal in rule.body}
            for name in (name for name in features if name not in spoken):
                for negated in (False, True):
                    held = [right for subject, right in cases if bool(answers[subject].get(name)) != negated]
                    if len(held) < least or 2 * sum(held) >= len(held):
                        continue
                    candidate = Rule(
                        rule.head,
                        rule.body,
                        (*rule.exceptions, (Literal(name, (SUBJECT,), negated),)),
                        len(cases) - len(held),
                        sum(right for _, right in cases) - sum(held),
                        rule.stated,
                        rule.sources,
                    )
                    best = max(best, candidate, key=lambda each: each.strength)
        found.append(best)
    return rules.with_rules(found)
