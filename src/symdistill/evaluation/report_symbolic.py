"""How well a tree or rules explain, as people read it: in the report, and in measures.json beside the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from symdistill.evaluation.edits import RuleEdit, StudentEdit, edits_json, edits_together
from symdistill.evaluation.figures import NOTHING, clean, p_value, percent, points
from symdistill.evaluation.following import Following
from symdistill.evaluation.interpretability import (
    Control,
    Interpretability,
    Share,
    interpretability,
    share_json,
    shuffled_control,
)
from symdistill.evaluation.tables import Table
from symdistill.knowledge.rules.decisions import Decision
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.text import in_words

_SHOWN_EDITS = 12
_SHOWN_RULES = 24
_MODELS = 24
_LABELS = {
    "teacher": "the teacher's labels",
    "gold": "the gold labels",
    "table": "the labels of the table",
    "model": "the answers of the explained model",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the held-out answers of `model` are what the knowledge says: on the inputs a rule speaks about, and on
    all of them against the same decisions shuffled."""

    model: str
    fidelity: Share
    control: Control | None


@dataclass(frozen=True, slots=True)
class SymbolicSummary:
    """A method that decides by knowledge: a `kind` fitted to the labels of `labels` ("teacher", "gold", a "table", a
    "model").

    `rules` are in words, the one that decides first at the beginning. `measures` are against the gold answers to the
    held-out questions and, where the teacher answered them too (or a model is explained), its answers. `dropped` are
    questions that were not used, each with the reason. `edits` are about the knowledge itself, `students` about those
    that learned an edit of it, `followings` about those that learned it beside those that learned something else.
    """

    method: str
    kind: str
    labels: str
    kept: Sequence[str]
    dropped: Mapping[str, str]
    rules: Sequence[str]
    measures: Interpretability
    agreements: Sequence[Agreement]
    edits: Sequence[RuleEdit]
    students: Sequence[StudentEdit] = ()
    followings: Sequence[Following] = ()
    drawing: Markup | None = None

    def as_json(self) -> dict[str, Any]:
        """For measures.json."""
        return {
            "method": self.method,
            "kind": self.kind,
            "labels": self.labels,
            "questions": list(self.kept),
            "dropped": dict(self.dropped),
            **self.measures.as_json(),
            "agreements": [
                {
                    "model": one.model,
                    "fidelity": share_json(one.fidelity),
                    "control": None
                    if one.control is None
                    else {
                        "agreement": share_json(one.control.agreement),
                        **{k: getattr(one.control, k) for k in ("mean", "low", "high", "p", "shuffles")},
                    },
                }
                for one in self.agreements
            ],
            "edits": edits_json(self.edits),
            "students": [one.as_json() for one in self.students],
            "followings": [one.as_json() for one in self.followings],
        }


def agreements(
    rules: RuleSet,
    decisions: Sequence[Decision],
    models: Mapping[str, Mapping[str, str]],
    *,
    seed: int = 0,
) -> list[Agreement]:
    """The agreement of each of `models` (answers by input) with decisions that `rules` made."""
    found = []
    for name, said in models.items():
        fidelity = interpretability(rules, decisions, {}, said).fidelity or Share(0, 0)
        found.append(Agreement(name, fidelity, shuffled_control(decisions, said, seed=seed)))
    return found


def rules_in_words(rules: RuleSet) -> list[str]:
    """The rules as sentences, the one that decides first at the beginning, each with its record, and the default."""
    found = []
    for rule in (rules.rules[place] for place in rules.precedence):
        record = f" Right in {rule.correct:,} of {rule.support:,} training inputs." if rule.support else ""
        found.append(f"{in_words(rule, rules.questions)}{record}")
    return [*found, f"Otherwise {rules.target} = {rules.default}."] if rules.default is not None else found


def render_symbolic(summaries: Sequence[SymbolicSummary], title: str) -> str:
    """A page about knowledge alone, offline and without script as the report of a run."""
    from symdistill.evaluation.report import environment

    template = environment().get_template("symbolic_page.html.j2")
    return template.render(title=clean(title, 200), symbolic=[symbolic_section(one) for one in summaries])


def symbolic_section(summary: SymbolicSummary) -> Mapping[str, Any]:
    """The template's variables for one method."""
    measures = summary.measures
    return {
        "method": clean(summary.method, 80),
        "kind": summary.kind,
        "labels": _LABELS.get(summary.labels, summary.labels),
        "drawing": summary.drawing,
        "rules": [clean(rule, 600) for rule in summary.rules[:_SHOWN_RULES]],
        "more_rules": max(0, len(summary.rules) - _SHOWN_RULES),
        "size": f"{measures.rules:,} rules, {measures.literals:.1f} conditions each, depth {measures.depth}",
        "measures": _measures_table(measures),
        "agreements": _agreements_table(summary.agreements[:_MODELS]),
        "edits": _edits_table(summary.edits),
        "students": _students_table(summary.students),
        "followings": _followings_table(summary.followings),
        "kept": len(summary.kept),
        "dropped": [(clean(name, 80), clean(why, 300)) for name, why in summary.dropped.items()],
    }


def _measures_table(measures: Interpretability) -> Table:
    rows = [["measure", "value (95%)", "of"]]
    for name, share in (
        ("accuracy", measures.accuracy),
        ("accuracy where a rule speaks", measures.accuracy_covered),
        ("fidelity", measures.fidelity),
        ("completeness", measures.completeness),
    ):
        rows.append([name, *_cells(share)])
    return rows


def _agreements_table(found: Sequence[Agreement]) -> Table:
    if not found:
        return []
    table = [["answers of", "fidelity (95%)", "of", "all decisions", "shuffled (middle 95%)", "p"]]
    for one in found:
        control = [NOTHING] * 3
        if one.control is not None:
            c = one.control
            control = [
                percent(c.agreement.value),
                f"{percent(c.mean)} [{percent(c.low)}, {percent(c.high)}]",
                p_value(c.p).removeprefix("p").removeprefix("="),
            ]
        table.append([clean(one.model, 80), *_cells(one.fidelity), *control])
    return table


def _edits_table(edits: Sequence[RuleEdit]) -> Table:
    if not edits:
        return []
    table = [["rule", "edit", "its decisions that move (95%)", "of", "others that stay (95%)", "of"]]
    for kind, name in (("flipped", "made to say another label"), ("removed", "taken out")):
        moved, stayed = edits_together(edits, "flipped" if kind == "flipped" else "removed")
        if moved.n:
            table.append(["all of them, one by one", name, *_cells(moved), *_cells(stayed)])
    for edit in edits[:_SHOWN_EDITS]:
        what = f"says {edit.says}" if edit.says else "taken out"
        table.append([clean(edit.text, 120), clean(what, 60), *_cells(edit.moved), *_cells(edit.stayed)])
    return table


def _students_table(found: Sequence[StudentEdit]) -> Table:
    if not found:
        return []
    table = [["student", "beside", "the rule says", "moved (95%)", "of", "as it says", "moved elsewhere (95%)", "of"]]
    for one in found:
        wanted = one.response.as_wanted
        table.append(
            [
                clean(one.edited, 60),
                clean(one.base, 60),
                clean(one.says, 60),
                *_cells(one.response.moved),
                percent(wanted.value) if wanted.n else NOTHING,
                *_cells(one.response.elsewhere),
            ]
        )
    return table


def _followings_table(found: Sequence[Following]) -> Table:
    if not found:
        return []
    table = [["student", "against", "says it (95%)", "usually", "the other says it (95%)", "usually", "of"]]
    table[0] += ["follows (95%)", "p", "p (Holm)"]
    for one in found:
        told = [NOTHING] * 3
        if one.difference is not None and one.low is not None and one.high is not None:
            told[0] = f"{points(one.difference)} [{points(one.low)}, {points(one.high)}]"
            told[1:] = [p_value(p).removeprefix("p").removeprefix("=") for p in (one.p, one.adjusted) if p is not None]
        line = [clean(one.student, 60), clean(one.against, 60)]
        for share, usual in ((one.own, one.own_usual), (one.other, one.other_usual)):
            line += [_cells(share)[0], NOTHING if usual is None else percent(usual)]
        table.append([*line, f"{one.own.n:,}", *told])
    return table


def _cells(share: Share | None) -> list[str]:
    if share is None or not share.n:
        return [NOTHING, NOTHING]
    return [str(share).partition(" n=")[0], f"{share.n:,}"]
