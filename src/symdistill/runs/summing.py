"""What is reported of methods that decide by a tree or rules: how well these explain, and what an edit of them does."""

from __future__ import annotations

from collections.abc import Sequence

from symdistill.evaluation.edits import StudentEdit, edit_lines, rule_edits, student_edit
from symdistill.evaluation.following import followings
from symdistill.evaluation.interpretability import interpretability, measure_lines, shuffled_control
from symdistill.evaluation.metrics import TEACHER
from symdistill.evaluation.report_symbolic import SymbolicSummary, agreements, rules_in_words
from symdistill.evaluation.scoring import Scored
from symdistill.evaluation.tree_drawing import tree_svg
from symdistill.knowledge.rules.observations import facts_of, names_of
from symdistill.methods.kb_student import KbStudent
from symdistill.runs.directory import write_json
from symdistill.runs.featuring import tree_files
from symdistill.runs.symbols import Judged, flipped, method_files
from symdistill.runs.workspace import Workspace
from symdistill.tasks.answers import canonical_answer


def symbolic_summaries(work: Workspace, judged: Sequence[Judged], scored: Sequence[Scored]) -> list[SymbolicSummary]:
    """A summary of each method that decides by knowledge, beside all that answered the same questions.

    Each is written to trees/LABEL/measures.json, and said in a few lines.
    """
    found = []
    for one in judged:
        answers = {s.row.method: _labels(s, one) for s in scored if _main(s) and s.row.method != one.method.label}
        summary = _summary(work, one, answers)
        write_json(method_files(work, one.method).measures, summary.as_json())
        work.progress.note(f" {one.method.label}")
        for line in [*measure_lines(summary.measures), *edit_lines(summary.edits)]:
            work.progress.note(f"            {line}")
        found.append(summary)
    return found


def _summary(work: Workspace, judged: Judged, answers: dict[str, dict[str, str]]) -> SymbolicSummary:
    rules, tree, decisions = judged.found.rules, judged.found.tree, judged.decisions
    gold = {row.example_id: row.label for row in judged.rows if row.label is not None}
    taught = answers.get(TEACHER)
    seed = work.config.seed
    measures = interpretability(
        rules,
        decisions,
        gold,
        taught,
        depth=None if tree is None else tree.depth,
        control=shuffled_control(decisions, gold if taught is None else taught, seed=seed),
    )
    labels = [row.label for row in judged.found.rows if row.label is not None]
    names = [decision.example_id for decision in decisions]
    screened = work.directory.read_json(tree_files(work.directory.path).answers)
    return SymbolicSummary(
        method=judged.method.label,
        kind="rules" if tree is None else "a tree",
        labels=judged.method.settings.labels,
        kept=names_of(judged.rows),
        dropped=screened["dropped"],
        rules=rules_in_words(rules),
        measures=measures,
        agreements=agreements(rules, decisions, answers, seed=seed),
        followings=followings(decisions, gold, answers, *_followers(work, judged, answers), seed=seed),
        edits=rule_edits(rules, list(facts_of(judged.rows)), names, labels),
        students=_student_edits(work, judged, answers),
        drawing=None if tree is None else tree_svg(tree, f"Decision tree of {judged.method.label}"),
    )


def _followers(work: Workspace, judged: Judged, answers: dict[str, dict[str, str]]) -> tuple[list[str], list[str]]:
    """The students that learned this very knowledge unchanged, and those that learned something else."""
    mine = {m.label for m in _students_of(work, judged, answers)}
    own = [m.label for m in _students_of(work, judged, answers) if m.settings.flip is None]
    return own, [m.label for m in work.trained if m.label in answers and m.label not in mine]


def _students_of(work: Workspace, judged: Judged, answers: dict[str, dict[str, str]]) -> list[KbStudent]:
    """The students of this very knowledge, edited or not."""
    apart = {"label", "training", "curation", "evaluation"}
    own = judged.method.settings.model_dump(exclude=apart)
    return [
        m
        for m in work.methods
        if isinstance(m, KbStudent) and m.settings.source.model_dump(exclude=apart) == own and m.label in answers
    ]


def _student_edits(work: Workspace, judged: Judged, answers: dict[str, dict[str, str]]) -> list[StudentEdit]:
    """Students of this very knowledge that learned an edit of it, each beside one that learned it unchanged."""
    students = _students_of(work, judged, answers)
    found = []
    unchanged = {m.settings.learn: m for m in reversed(students) if m.settings.flip is None}
    for edited in (m for m in students if m.settings.flip is not None):
        base = unchanged.get(edited.settings.learn)
        if base is not None:
            _, rule, says = flipped(edited, judged.found)
            before, after = (
                {name.example_id: answers[m.label].get(name.example_id) for name in judged.decisions}
                for m in (base, edited)
            )
            found.append(student_edit(base.label, edited.label, rule, says, judged.decisions, before, after))
    return found


def _main(scored: Scored) -> bool:
    """Whether these are the answers a method is known by: not those of a vote beside them."""
    return scored.row.decoding != "vote"


def _labels(scored: Scored, judged: Judged) -> dict[str, str]:
    """What was answered, each label written as in the table; what is none of these stays as it is, and a reply without
    an answer is "": it agrees with nothing."""
    labels = [row.label for row in (*judged.rows, *judged.found.rows) if row.label is not None]
    written = {canonical_answer(label, "label"): label for label in labels}
    return {
        p.example_id: "" if p.answer is None else written.get(canonical_answer(p.answer, "label"), p.answer)
        for p in scored.predictions
    }
