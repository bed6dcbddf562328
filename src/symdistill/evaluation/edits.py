"""What editing rules does: each rule in turn says something else, or is gone, and decisions are looked at again.

An edit that works moves the decisions of its rule and no others. Whether a rule that goes moves its decisions depends
on who speaks in its place; both shares stand beside each other. The same is measured of a student that learned from the
edited rules: whether it listened, and whether it listened where it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from symdistill.evaluation.interpretability import EditResponse, Share, edit_response, share_json, with_conclusion
from symdistill.knowledge.rules.decisions import Decision, decide
from symdistill.knowledge.rules.logic import Fact, Rule, RuleSet, literals_of
from symdistill.knowledge.rules.text import rule_text

EditKind = Literal["flipped", "removed"]


@dataclass(frozen=True, slots=True)
class RuleEdit:
    """One edit of one rule: of the inputs it decided, the share whose decision moved; of all others, the share whose
    decision stayed. `says` is the new conclusion, empty where the rule is gone."""

    rule: str
    text: str
    kind: EditKind
    says: str
    moved: Share
    stayed: Share


@dataclass(frozen=True, slots=True)
class StudentEdit:
    """A student that learned from edited rules beside one that learned from the rules as they were.

    `base` and `edited` name the two, `rule` is the one that was changed and `says` what it says since. `response` is
    about the held-out inputs that this rule decides, and about the others.
    """

    base: str
    edited: str
    rule: str
    says: str
    response: EditResponse

    def as_json(self) -> dict[str, Any]:
        """Plain values, each share with its interval."""
        shares = {name: getattr(self.response, name) for name in ("moved", "as_wanted", "elsewhere")}
        told = {name: getattr(self, name) for name in ("base", "edited", "rule", "says")}
        return {**told, **{name: share_json(share) for name, share in shares.items()}}


def rule_edits(rules: RuleSet, facts: Sequence[Fact], inputs: Sequence[str], labels: Sequence[str]) -> list[RuleEdit]:
    """Every rule that decides an input, flipped and removed, the one that decides most first.

    `labels` are the labels of the training inputs: a rule is made to say the commonest other one of them. Raises
    DataError where a bound of inference is passed.
    """
    before = decide(rules, facts, inputs)
    by_id = {rule.id: rule for rule in rules.rules}
    found = []
    for name in most_used(before):
        decided = {one.example_id for one in before if one.rule == name}
        if (changed := conclusion_changed(rules, name, labels)) is not None:
            after = _labels_after(changed[0], before, facts, name, changed[1])
            found.append(_edit("flipped", changed[1], before, after, decided, by_id[name]))
        gone = rules.with_rules(rule for rule in rules.rules if rule.id != name)
        after = _labels_after(gone, before, facts, name, "")
        found.append(_edit("removed", "", before, after, decided, by_id[name]))
    return found


def _edit(
    kind: EditKind,
    says: str,
    before: Sequence[Decision],
    after: Sequence[str | None],
    decided: Collection[str],
    rule: Rule,
) -> RuleEdit:
    same = {old.example_id: old.label == new for old, new in zip(before, after, strict=True)}
    others = [one for one in same if one not in decided]
    moved = Share(sum(not same[one] for one in decided), len(decided))
    return RuleEdit(rule.id, rule_text(rule), kind, says, moved, Share(sum(same[one] for one in others), len(others)))


def _labels_after(
    edited: RuleSet, before: Sequence[Decision], facts: Sequence[Fact], rule_id: str, says: str
) -> list[str | None]:
    """The labels once a rule `says` something else, or, where that is empty, is gone. They follow from which rules
    fired; only where a condition speaks of what is decided is all of it worked out anew."""
    if any(literal.predicate == edited.target for rule in edited.rules for literal in [*literals_of(rule)][1:]):
        return [one.label for one in decide(edited, facts, [one.example_id for one in before])]
    found = []
    for one in before:
        said = ((name, says if name == rule_id else label) for name, label in one.fired if says or name != rule_id)
        found.append(next((label for _, label in said), edited.default))
    return found


def edits_together(edits: Sequence[RuleEdit], kind: EditKind) -> tuple[Share, Share]:
    """All edits of a kind as one: of the decisions that rules made the share that moved, of the others, over all edits,
    the share that stayed."""
    chosen = [edit for edit in edits if edit.kind == kind]
    return (
        Share(sum(edit.moved.count for edit in chosen), sum(edit.moved.n for edit in chosen)),
        Share(sum(edit.stayed.count for edit in chosen), sum(edit.stayed.n for edit in chosen)),
    )


def most_used(decisions: Sequence[Decision]) -> list[str]:
    """The ids of the rules that decided anything, the busiest first, of equally busy ones the first that did."""
    return [name for name, _ in Counter(one.rule for one in decisions if one.rule is not None).most_common()]


def conclusion_changed(rules: RuleSet, rule_id: str, labels: Sequence[str]) -> tuple[RuleSet, str] | None:
    """The rules with another conclusion of one of them, and that conclusion: the commonest of `labels` that it did not
    say. None where there is no other label, or the rule concludes no label."""
    said = next((rule.head.terms[-1] for rule in rules.rules if rule.id == rule_id), None)
    other = next((label for label, _ in Counter(labels).most_common() if label != said), None)
    if said is None or other is None:
        return None
    try:
        return with_conclusion(rules, rule_id, other), other
    except ValueError:
        return None


def student_edit(
    base: str,
    edited: str,
    rule: str,
    says: str,
    decisions: Sequence[Decision],
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
) -> StudentEdit:
    """How the answers of a student differ from those of its twin, where the edited rule decides and elsewhere.

    `decisions` are those of the rules as they were; `before` and `after` are answers by input.
    """
    affected = {one.example_id for one in decisions if one.rule == rule}
    return StudentEdit(base, edited, rule, says, edit_response(before, after, affected, says))


def edits_json(edits: Sequence[RuleEdit]) -> dict[str, Any]:
    """All edits as plain values."""
    together = {}
    for kind in get_args(EditKind):
        moved, stayed = edits_together(edits, kind)
        together[kind] = {"moved": share_json(moved), "stayed": share_json(stayed)}
    each = [
        {
            **{name: getattr(edit, name) for name in ("rule", "text", "kind", "says")},
            "moved": share_json(edit.moved),
            "stayed": share_json(edit.stayed),
        }
        for edit in edits
    ]
    return {"together": together, "each": each}


def edit_lines(edits: Sequence[RuleEdit]) -> list[str]:
    """The edit response for people, a line a kind."""
    lines = []
    for kind in get_args(EditKind):
        moved, stayed = edits_together(edits, kind)
        if moved.n:
            lines.append(f"{kind:<14}its decisions that move: {moved}   others that stay: {stayed}")
    return lines
