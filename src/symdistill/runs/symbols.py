"""Methods over symbols: a tree or rules of what the teacher answers about inputs, and students that learn from them.

The questions and the teacher's answers are the run's (`featuring`); every method fits its own knowledge to them and
keeps it in trees/LABEL/: tree.json and tree.svg, rules.jsonl, measures.json.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symdistill.errors import ConfigError, DataError, RunDirectoryError
from symdistill.evaluation.edits import conclusion_changed, most_used
from symdistill.evaluation.scoring import Scored, score
from symdistill.evaluation.tree_drawing import tree_document
from symdistill.knowledge.rules.decisions import Decision, decide, explained
from symdistill.knowledge.rules.files import read_rules, write_rules
from symdistill.knowledge.rules.lessons import reasons
from symdistill.knowledge.rules.lines import write_whole
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of, read_table
from symdistill.knowledge.trees.features import read_features, write_features
from symdistill.knowledge.trees.tree import write_tree
from symdistill.methods import Material, Method
from symdistill.methods.base import Lesson
from symdistill.methods.kb_student import KbStudent
from symdistill.methods.rules import RulesMethod
from symdistill.methods.symbolic import Distilled, Symbolic
from symdistill.models.base import LanguageModel
from symdistill.prompts import cue
from symdistill.records import Completion, Example, Request
from symdistill.runs.featuring import (
    TreeFiles,
    ask_questions,
    asked_about,
    find_questions,
    find_rules,
    fitting_methods,
    one_task,
    outcome_line,
    requests_for_answers,
    requests_for_questions,
    tree_files,
)
from symdistill.runs.quoting import Quote
from symdistill.runs.teaching import open_teacher, quoted
from symdistill.runs.workspace import Workspace

_PLACEHOLDER = "Does the writer say so, in these words or in others that come to the same?"


def needs_features(work: Workspace) -> bool:
    """Whether a method of the run has knowledge fitted."""
    return any(True for _ in fitting_methods(work))


def check_symbolic(work: Workspace) -> None:
    """What would stop these methods, as far as the configuration tells.

    Raises:
        ConfigError: nobody can answer questions about inputs. PrerequisiteError: a package is missing.
        DataError: the file of questions cannot be used.
    """
    for method, source in fitting_methods(work):
        if work.config.teacher.model in (None, "dataset"):
            raise ConfigError(
                f"{method.label} asks a teacher yes/no questions about every input, and "
                + ("no teacher is named." if work.config.teacher.model is None else "`dataset` cannot answer."),
                "Set `teacher.model`, for example openai:gpt-4o-mini.",
            )
        source.check()
        if work.config.features.questions is not None:
            read_features(work.config.features.questions)


def check_symbolic_task(work: Workspace) -> None:
    """Raises ConfigError or DataError where the questions of the run are not of one task that is about labels."""
    for method, source in fitting_methods(work):
        examples = one_task(work.task.train)
        if any(example.answer_type != "label" for example in examples):
            kinds = ", ".join(sorted({example.answer_type for example in examples}))
            raise ConfigError(
                f"{method.label} tells labels apart, and the answers of this task are of the type {kinds}.",
                "Leave this method out, or set `task.answer_type: label` where the answers are labels.",
            )
        found = {example.answer for example in examples if example.answer is not None}
        if source.settings.labels == "gold" and len(found) < 2:
            what = f"only the answer {next(iter(found))!r}" if found else "no answer"
            raise DataError(
                f"{method.label} tells labels apart, and the training questions have {what}.",
                "Give questions of at least two answers, or set `labels: teacher`.",
            )


def ensure_features(work: Workspace) -> None:
    """Have the questions and their answers, as far as methods of the run need them; what is stored is not bought again.

    A file in `features.questions` is copied; else the teacher is asked, once: trees/questions.yaml is kept and may be
    edited.

    Raises as `featuring.find_questions` and `featuring.ask_questions`.
    """
    if not needs_features(work):
        return
    settings, files = work.config.features, tree_files(work.directory.path)
    if settings.questions is not None:
        write_features(files.questions, read_features(settings.questions))
    elif not files.questions.exists():
        _, proposals = find_questions(work, settings)
        work.progress.note(f" features   {outcome_line(proposals)}")
    table, noise, kept = ask_questions(work, settings, settings)
    work.progress.note(f" features   {len(kept.kept):,} of {len(noise):,} questions kept, about {len(table):,} inputs")
    for name, reason in kept.dropped.items():
        work.progress.note(f"            {name} is left out: {reason}")
    if any(isinstance(source, RulesMethod) and source.settings.by == "teacher" for _, source in fitting_methods(work)):
        rules, said = find_rules(work)
        write_rules(files.proposed, rules)
        work.progress.note(f"            {len(rules.rules):,} rules of the teacher   {outcome_line(said)}")


def feature_requests(work: Workspace, model: LanguageModel) -> tuple[list[Request], list[Request]]:
    """What `ensure_features` asks the teacher, and what stands for more of it; nothing where no method needs it.
    Questions that nobody has written yet stand there as many as may be kept, at a length like theirs."""
    if not needs_features(work):
        return [], []
    settings, files = work.config.features, tree_files(work.directory.path)
    source = settings.questions or (files.questions if files.questions.exists() else None)
    features = read_features(source) if source else {f"q{number}": _PLACEHOLDER for number in range(settings.most)}
    asked = requests_for_answers(work, model, features, asked_about(work, None), settings)
    found = [one.request for one in asked]
    return (found, []) if source else (requests_for_questions(work, model, settings), found)


def price_features(work: Workspace) -> Quote | None:
    """What `ensure_features` would buy at most; None where nothing is asked. Asks no model and writes nothing."""
    if not needs_features(work):
        return None
    model = open_teacher(work, to_ask=False)
    certain, guessed = feature_requests(work, model)
    return quoted(work, model, [*certain, *guessed], guessed={request.key for request in guessed})


def method_files(work: Workspace, method: Method) -> TreeFiles:
    """Where a method keeps its tree and rules."""
    return TreeFiles(tree_files(work.directory.path).folder / method.label)


def table_of_run(work: Workspace) -> list[Observation]:
    """The teacher's answers. Raises RunDirectoryError where there are none yet."""
    files = tree_files(work.directory.path)
    if not files.table.exists():
        raise RunDirectoryError(
            f"{work.directory.path} has no answers to questions about its inputs yet.",
            "Finish the run: `symdistill run CONFIG --run-dir DIR`.",
        )
    return read_table(files.table)


def distil(work: Workspace, method: Symbolic, material: Material) -> tuple[Distilled, list[Observation]]:
    """The knowledge of a method, and the table it was fitted to. Raises as `Symbolic.distil`."""
    files = tree_files(work.directory.path)
    table = table_of_run(work)
    proposed = read_rules(files.proposed) if files.proposed.exists() else None
    return method.distil(table, read_features(files.questions), material, proposed), table


def with_lessons(work: Workspace, method: Method, material: Material) -> Material:
    """The material of a student that learns from knowledge, with what that says about each training question."""
    if not isinstance(method, KbStudent):
        return material
    found, table = distil(work, method.source, material)
    rules = found.rules if method.settings.flip is None else flipped(method, found)[0]
    rows = {one.example_id: one for one in table}
    known = [e for e in material.examples if e.id in rows]
    decisions = decide(rules, facts_of(rows[e.id] for e in known), [e.id for e in known])
    lessons = {
        one.example_id: Lesson(one.label, reasons(rules, one, rows[one.example_id].answers))
        for one in decisions
        if one.label is not None
    }
    return dataclasses.replace(material, lessons=lessons)


def flipped(method: KbStudent, found: Distilled) -> tuple[RuleSet, str, str]:
    """The rules with another conclusion of the one that `flip` names, that rule's id, and what it says now.

    Raises:
        ConfigError: fewer rules decide anything.
    """
    names = [one.example_id for one in found.rows]
    used = most_used(decide(found.rules, facts_of(found.rows), names))
    number = method.settings.flip or 1
    if number > len(used):
        raise ConfigError(
            f"`flip: {number}` of {method.label} names a rule that is not there: {len(used)} decide about training "
            "inputs.",
            f"Choose 1 to {len(used)}." if used else "Choose another `source`.",
        )
    changed = conclusion_changed(found.rules, used[number - 1], [one.label for one in found.rows if one.label])
    if changed is None:
        raise ConfigError(
            f"The rule that {method.label} is to flip has no other label to conclude.", "Leave `flip` out."
        )
    return changed[0], used[number - 1], changed[1]


@dataclass(frozen=True)
class Judged:
    """A symbolic method with its verdicts on the held-out inputs: what it decided, and by what."""

    method: Symbolic
    found: Distilled
    rows: Sequence[Observation]
    decisions: Sequence[Decision]
    scored: Scored


def judge_symbolic(work: Workspace, method: Symbolic, material: Material, questions: Sequence[Example]) -> Judged:
    """The decisions about the held-out inputs, and the files of the method's tree and rules.

    Raises:
        RunDirectoryError: the teacher was not asked about them yet.
    """
    found, table = distil(work, method, material)
    rows = {one.example_id: one for one in table}
    missing = [question.id for question in questions if question.id not in rows]
    if missing:
        raise RunDirectoryError(
            f"The teacher was not asked about {len(missing):,} of the held-out questions.",
            "Finish the run: `symdistill run CONFIG --run-dir DIR`; what is stored is not bought again.",
        )
    files = method_files(work, method)
    write_rules(files.rules, found.rules)
    if found.tree is not None:
        write_tree(files.tree, found.tree, seed=work.config.seed, labels=method.settings.labels)
        write_whole(files.drawing, tree_document(found.tree, f"Decision tree of {method.label}"))
    asked = [rows[question.id] for question in questions]
    decisions = decide(found.rules, facts_of(asked), [question.id for question in questions])
    taken = held_out_answers(work)
    replies = [
        [_said(found, decision, row, taken.get(decision.example_id, ()))]
        for decision, row in zip(decisions, asked, strict=True)
    ]
    scored = score(
        questions,
        replies,
        method.label,
        decoding="decided",
        seed=work.config.seed,
        model=open_teacher(work).name,
        confidence=work.config.evaluation.confidence,
    )
    return Judged(method, found, asked, decisions, scored)


def held_out_answers(work: Workspace) -> Mapping[str, Sequence[Completion]]:
    """The replies about each held-out input from which its answers were read."""
    model, features = open_teacher(work), read_features(tree_files(work.directory.path).questions)
    held_out = [example for example in asked_about(work, None) if example.split == "test"]
    asked = requests_for_answers(work, model, features, held_out, work.config.features)
    stored = work.store.completions([one.request.key for one in asked])
    found: defaultdict[str, list[Completion]] = defaultdict(list)
    for one in asked:
        if (reply := stored.get(one.request.key)) is not None:
            found[one.example_id].append(reply)
    return found


def _said(found: Distilled, decision: Decision, row: Observation, taken: Sequence[Completion]) -> Completion:
    """A decision as a reply: why, and the sentence every reply ends in. It costs what the teacher's answers cost."""
    why = found.tree.explain(row.answers) if found.tree is not None else explained(found.rules, decision)
    return Completion(
        key="",
        text=why if decision.label is None else f"{why}\n{cue(decision.label)}",
        prompt_tokens=sum(reply.prompt_tokens for reply in taken),
        cached_prompt_tokens=sum(reply.cached_prompt_tokens for reply in taken),
        completion_tokens=sum(reply.completion_tokens for reply in taken),
        cost_usd=sum(reply.cost_usd for reply in taken),
    )
