"""How well rules or a tree explain: what they get right, whom they agree with, what they cover, and how long they are.

Accuracy, fidelity and completeness stand together in one record: rules that say little may agree with a model wherever
they speak, and rules that always speak may agree with it by chance.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, quantiles
from typing import Any

from symdistill.evaluation.figures import NOTHING, accuracy_interval, p_value
from symdistill.evaluation.statistics import wilson
from symdistill.knowledge.rules.decisions import Decision
from symdistill.knowledge.rules.logic import SUBJECT, Literal, RuleSet

SHUFFLES = 200


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `n`, with the 95% Wilson interval. `value` is 0 where n is."""

    count: int
    n: int

    @property
    def value(self) -> float:
        return self.count / self.n if self.n else 0.0

    @property
    def low(self) -> float:
        return wilson(self.count, self.n).low

    @property
    def high(self) -> float:
        return wilson(self.count, self.n).high

    def __str__(self) -> str:
        return f"{accuracy_interval(self.value, self.low, self.high)} n={self.n:,}" if self.n else NOTHING


@dataclass(frozen=True, slots=True)
class Control:
    """Agreement of a model with what the rules decide, against what they decide about other inputs.

    The control deals the decisions out among the inputs anew: the same decisions as often, and nothing to do with the
    input. `low` and `high` hold the middle 95% of the shuffles, `p` is the share of them that agree no less, the rules
    themselves counted as one (Phipson and Smyth 2010).
    """

    agreement: Share
    mean: float
    low: float
    high: float
    p: float
    shuffles: int


@dataclass(frozen=True, slots=True)
class EditResponse:
    """What became of decisions after a rule was changed.

    `moved` counts changed decisions among the inputs the rule decides about, `as_wanted` those that now are what the
    changed rule says, `elsewhere` changed decisions among all other inputs.
    """

    moved: Share
    as_wanted: Share
    elsewhere: Share


@dataclass(frozen=True, slots=True)
class Interpretability:
    """The measures of one set of rules on one set of inputs.

    `accuracy` is that of all decisions, defaults included, against gold labels; `accuracy_covered` that of the inputs
    a rule speaks about. `fidelity` is the agreement with the explained model on these, None without its answers.
    `completeness` is their share. `literals` counts conditions a rule, exceptions included; `depth` is a tree's, for
    rules the length of the longest.
    """

    accuracy: Share
    accuracy_covered: Share
    fidelity: Share | None
    completeness: Share
    rules: int
    literals: float
    depth: int
    control: Control | None = None

    def as_json(self) -> dict[str, Any]:
        """The measures as plain values, each share with its interval."""
        found: dict[str, Any] = {"rules": self.rules, "mean_literals": self.literals, "depth": self.depth}
        for name in ("accuracy", "accuracy_covered", "fidelity", "completeness"):
            share = getattr(self, name)
            found[name] = None if share is None else share_json(share)
        if (control := self.control) is not None:
            found["control"] = {
                "agreement": share_json(control.agreement),
                **{name: getattr(control, name) for name in ("mean", "low", "high", "p", "shuffles")},
            }
        return found


def interpretability(
    rules: RuleSet,
    decisions: Sequence[Decision],
    gold: Mapping[str, str],
    model: Mapping[str, str] | None = None,
    *,
    depth: int | None = None,
    control: Control | None = None,
) -> Interpretability:
    """The measures of `decisions`, which `rules` made. `gold` and `model` map inputs to labels; inputs without one are
    left out of the measure that needs it. `depth` is the tree's where the rules are its leaves."""
    judged = [decision for decision in decisions if decision.example_id in gold]
    covered = [decision for decision in judged if decision.covered]
    fidelity = None
    if model is not None:
        compared = [decision for decision in decisions if decision.covered and decision.example_id in model]
        fidelity = _agreeing(compared, model)
    lengths = [rule.literals for rule in rules.rules]
    return Interpretability(
        accuracy=_agreeing(judged, gold),
        accuracy_covered=_agreeing(covered, gold),
        fidelity=fidelity,
        completeness=Share(sum(decision.covered for decision in decisions), len(decisions)),
        rules=len(rules.rules),
        literals=fmean(lengths) if lengths else 0.0,
        depth=max((len(rule.body) for rule in rules.rules), default=0) if depth is None else depth,
        control=control,
    )


def shuffled_control(
    decisions: Sequence[Decision], model: Mapping[str, str], *, shuffles: int = SHUFFLES, seed: int = 0
) -> Control | None:
    """Agreement of a model with the decisions, defaults included, against the same decisions shuffled among the inputs.

    None where all decisions are alike: there is nothing to shuffle then.
    """
    pairs = [(one.label, model[one.example_id]) for one in decisions if one.label and one.example_id in model]
    decided, said = [label for label, _ in pairs], [answer for _, answer in pairs]
    if len(set(decided)) < 2:
        return None

    def agreeing(labels: Sequence[str]) -> int:
        return sum(label == answer for label, answer in zip(labels, said, strict=True))

    own = Share(agreeing(decided), len(pairs))
    draw = random.Random(f"{seed}/shuffle")
    drawn = [agreeing(draw.sample(decided, len(decided))) / len(pairs) for _ in range(shuffles)]
    cuts = quantiles(drawn, n=40, method="inclusive")
    p = (1 + sum(value >= own.value for value in drawn)) / (1 + shuffles)
    return Control(own, fmean(drawn), cuts[0], cuts[-1], p, shuffles)


def _concludes(rules: RuleSet, place: int) -> bool:
    head = rules.rules[place].head
    return head.predicate == rules.target and len(head.terms) == 2 and isinstance(head.terms[1], str)


def with_conclusion(rules: RuleSet, rule_id: str, label: str) -> RuleSet:
    """The rules with another conclusion of one of them. Its strength stays, so that it decides where it did; its record
    goes, since that is of what it said before.

    Raises ValueError where there is no such rule about the target.
    """
    for place, rule in enumerate(rules.rules):
        if rule.id == rule_id and _concludes(rules, place):
            head = Literal(rules.target, (SUBJECT, label))
            if head == rule.head:
                return rules
            stated = rule.strength if rule.support else rule.stated
            changed = replace(rule, head=head, support=0, correct=0, stated=stated)
            return rules.with_rules((*rules.rules[:place], changed, *rules.rules[place + 1 :]))
    raise ValueError(f"no rule {rule_id} decides {rules.target}")


def edit_response(
    before: Mapping[str, str | None], after: Mapping[str, str | None], affected: Collection[str], wanted: str
) -> EditResponse:
    """How answers moved after a rule about the `affected` inputs was changed to say `wanted`.

    `before` and `after` are anybody's answers, by input: those of the rules, or of a student that is shown them.
    """
    names = [name for name in before if name in after]
    inside = [name for name in names if name in affected]
    outside = [name for name in names if name not in affected]

    def moved(of: Sequence[str]) -> Share:
        return Share(sum(before[name] != after[name] for name in of), len(of))

    return EditResponse(
        moved(inside), Share(sum(after[name] == wanted for name in inside), len(inside)), moved(outside)
    )


def measure_lines(measures: Interpretability) -> list[str]:
    """The measures for people, a line each."""
    fidelity = f"{NOTHING} (no model to agree with)" if measures.fidelity is None else measures.fidelity
    lines = [
        f"accuracy      {measures.accuracy}   where a rule speaks: {measures.accuracy_covered}",
        f"fidelity      {fidelity}",
        f"completeness  {measures.completeness}",
        f"size          {measures.rules:,} rules, {measures.literals:.1f} conditions each, depth {measures.depth}",
    ]
    if (control := measures.control) is not None:
        lines.append(
            f"control       agreement of all decisions {100 * control.agreement.value:.1f}, shuffled among the inputs "
            f"{100 * control.mean:.1f} [{100 * control.low:.1f}, {100 * control.high:.1f}] "
            f"({control.shuffles:,} shuffles, {p_value(control.p)})"
        )
    return lines


def _agreeing(decisions: Sequence[Decision], said: Mapping[str, str]) -> Share:
    return Share(sum(decision.label == said[decision.example_id] for decision in decisions), len(decisions))


def share_json(share: Share) -> dict[str, float]:
    """A share as plain values, with its interval."""
    return {"value": share.value, "low": share.low, "high": share.high, "count": share.count, "n": share.n}
