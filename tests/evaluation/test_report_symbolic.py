"""The page about a tree or rules: every measure with its interval, and no text that breaks out."""

from __future__ import annotations

import json
from dataclasses import replace

from pages import Page
from rule_cases import reviews
from symdistill.evaluation.edits import rule_edits, student_edit
from symdistill.evaluation.following import followings
from symdistill.evaluation.interpretability import interpretability, shuffled_control
from symdistill.evaluation.report import render_report
from symdistill.evaluation.report_data import ReportData
from symdistill.evaluation.report_symbolic import SymbolicSummary, agreements
from symdistill.evaluation.tree_drawing import tree_svg
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.observations import facts_of
from symdistill.knowledge.rules.text import rule_text
from symdistill.knowledge.trees.fitting import fit_tree

ROWS = reviews(120)
HOSTILE = "</svg><script>alert(1)</script>"


def summary(word: str = "tree") -> SymbolicSummary:
    tree = fit_tree(ROWS, list(ROWS[0].answers), {"acting": f"{word} Is the acting praised?"}).tree
    rules, names = tree.rules(), [row.example_id for row in ROWS]
    facts = list(facts_of(ROWS))
    decisions = decide(rules, facts, names)
    gold = {row.example_id: str(row.label) for row in ROWS}
    edits = rule_edits(rules, facts, names, list(gold.values()))
    flipped = edits[0]
    after = {
        name: flipped.says if d.rule == flipped.rule else d.label for name, d in zip(names, decisions, strict=True)
    }
    return SymbolicSummary(
        method=word,
        kind="a tree",
        labels="teacher",
        kept=list(ROWS[0].answers),
        dropped={f"{word} mood": f"{word} noisy"},
        rules=[word + rule_text(rule) for rule in rules.rules],
        measures=interpretability(
            rules, decisions, gold, gold, depth=tree.depth, control=shuffled_control(decisions, gold)
        ),
        agreements=agreements(rules, decisions, {word: gold}),
        edits=edits,
        students=[student_edit(word, word, flipped.rule, flipped.says, decisions, gold, after)],
        followings=followings(decisions, _mostly(gold), {word: gold, "other": after}, [word], ["other"]),
        drawing=tree_svg(tree, word),
    )


def _mostly(gold: dict[str, str]) -> dict[str, str]:
    """Every fourth label is another one: there the knowledge is wrong."""
    other = dict(zip(sorted(set(gold.values())), sorted(set(gold.values()), reverse=True), strict=True))
    return {name: other[label] if at % 4 == 0 else label for at, (name, label) in enumerate(gold.items())}


def page(*found: SymbolicSummary) -> Page:
    return Page(render_report(ReportData(title="t", command="c", config="", symbolic=found)))


def test_fidelity_and_completeness_stand_together_with_the_control() -> None:
    shown = page(summary()).text
    for words in (
        "Knowledge that people read",
        "A tree over",
        "fidelity 100.0",
        "completeness 100.0",
        "shuffled (middle 95%)",
        "all of them, one by one",
        "made to say another label 100.0",
        "others that stay",
        "tree mood (tree noisy)",
        "follow it where it is wrong",
    ):
        assert words in shown, words


def test_nothing_is_shown_where_there_is_nothing() -> None:
    assert "Knowledge that people read" not in page().text
    bare = replace(summary(), agreements=(), edits=(), students=(), followings=(), dropped={}, drawing=None)
    shown = page(bare).text
    assert "Who agrees with it" not in shown
    assert "What an edit does" not in shown
    assert "follow it where it is wrong" not in shown


def test_hostile_text_is_only_text() -> None:
    found = page(summary(HOSTILE))
    assert "script" not in {tag for tag, _ in found.tags}
    assert HOSTILE in found.text


def test_the_measures_are_plain_json() -> None:
    found = summary()
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["fidelity"]["n"] == told["completeness"]["n"] == 120
    assert told["agreements"][0]["control"]["shuffles"] == 200
    following = told["followings"][0]
    assert (following["own"]["count"], following["own"]["n"], following["own_usual"]) == (30, 30, 0)
    assert following["other"]["count"] < 30
    assert following["difference"] > 0
    assert told["edits"]["together"]["flipped"]["moved"]["value"] == 1
    assert told["students"][0]["moved"]["value"] > 0
    assert told["students"][0]["elsewhere"]["n"] + told["students"][0]["moved"]["n"] == 120
