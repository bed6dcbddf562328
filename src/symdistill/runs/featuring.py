"""Rules and trees of a run: what the teacher is asked for them, through the run's store, and the files that come of it.

trees/questions.yaml   named questions, to be edited       trees/table.jsonl   the answers, one line an input
trees/proposals.jsonl  what became of every proposal       trees/answers.json  noise of each question, and how it went
trees/tree.json, .svg  the tree, its drawing               trees/rules.jsonl   its leaves as rules
trees/measures.json    how well it explains                trees/report.html     the same as a page
trees/proposed.jsonl   rules the teacher proposed

Every stage finds what was bought before: asking again costs nothing, whatever was added since is all that is bought.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, write_table
from symdistill.knowledge.rules.proposals import ProposedRule, proposed_set, rule_requests, rules_from
from symdistill.knowledge.trees.annotation import AskedAbout, answer_requests, answers_from, observations_from
from symdistill.knowledge.trees.features import read_features, write_features
from symdistill.knowledge.trees.noise import Noise, Screening, screen_training
from symdistill.knowledge.trees.questions import (
    Proposal,
    labels_of_task,
    proposals_from,
    question_requests,
    questions_of,
    task_text,
)
from symdistill.knowledge.trees.settings import AnswerSettings, QuestionSettings, ScreeningSettings
from symdistill.methods import Method
from symdistill.methods.kb_student import KbStudent
from symdistill.methods.symbolic import Symbolic
from symdistill.models.base import LanguageModel
from symdistill.models.registry import load_teacher
from symdistill.models.settings import TeacherSettings
from symdistill.records import Example, Request, Sampling
from symdistill.runs.directory import write_json, write_rows
from symdistill.runs.quoting import Quote
from symdistill.runs.teaching import open_teacher, quoted, teacher_sampler
from symdistill.runs.workspace import Workspace
from symdistill.tasks.splitting import draw


@dataclass(frozen=True, slots=True)
class TreeFiles:
    """The files of the stages in a run directory."""

    folder: Path

    @property
    def questions(self) -> Path:
        return self.folder / "questions.yaml"

    @property
    def proposals(self) -> Path:
        return self.folder / "proposals.jsonl"

    @property
    def table(self) -> Path:
        return self.folder / "table.jsonl"

    @property
    def answers(self) -> Path:
        return self.folder / "answers.json"

    @property
    def tree(self) -> Path:
        return self.folder / "tree.json"

    @property
    def drawing(self) -> Path:
        return self.folder / "tree.svg"

    @property
    def rules(self) -> Path:
        return self.folder / "rules.jsonl"

    @property
    def page(self) -> Path:
        return self.folder / "report.html"

    @property
    def proposed(self) -> Path:
        return self.folder / "proposed.jsonl"

    @property
    def measures(self) -> Path:
        return self.folder / "measures.json"


def tree_files(run_directory: Path) -> TreeFiles:
    """Where a run keeps its tree and what led to it."""
    return TreeFiles(run_directory / "trees")


def find_questions(work: Workspace, settings: QuestionSettings) -> tuple[dict[str, str], list[Proposal]]:
    """Ask the teacher for questions and write those that were taken, each with its name.

    Raises:
        DataError: no reply holds a question that can be used.
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
    """
    examples = one_task(work.task.train)
    model = open_teacher(work)
    requests = requests_for_questions(work, model, settings)
    with teacher_sampler(work, model) as sampler:
        sampled = sampler.sample(requests, stage="questions")
    proposals = proposals_from(requests, sampled.completions, sampled.failures, examples=examples)
    questions = questions_of(proposals, settings.most)
    files = tree_files(work.directory.path)
    write_rows(files.proposals, [dataclasses.asdict(proposal) for proposal in proposals])
    if not questions:
        said = ", ".join(f"{name} {count:,}" for name, count in _outcomes(proposals).items())
        raise DataError(
            f"No reply of {model.name} holds a question that can be used ({said}).",
            f"Look at {files.proposals}, or write {files.questions} yourself.",
        )
    write_features(files.questions, questions)
    return questions, proposals


def ask_questions(
    work: Workspace,
    settings: AnswerSettings,
    screening: ScreeningSettings | None = None,
    *,
    limit: int | None = None,
    answered_by: str | None = None,
) -> tuple[list[Observation], list[Noise], Screening]:
    """Have every question answered about every input, some a second time; write the table and the noise.

    `limit` inputs are drawn from train, and as many from the held-out ones. `answered_by` names another model than
    the teacher, in the forms `teacher.model` has; a finished student is `transformers:DIRECTORY`. Features that
    screening drops stay out of the table.

    Raises as `find_questions`; DataError where there are no questions yet.
    """
    files = tree_files(work.directory.path)
    features = _questions(files)
    teacher = _answering(work, answered_by)
    model = load_teacher(teacher)
    examples = asked_about(work, limit)
    asked = requests_for_answers(work, model, features, examples, settings)
    with teacher_sampler(work, model, teacher) as sampler:
        sampled = sampler.sample([one.request for one in asked], stage="answers")
    answers = answers_from(asked, sampled.completions, sampled.failures)
    observations = observations_from(examples, features, answers)
    noise, kept = screen_training(observations, answers, features, screening)
    if not kept.kept:
        raise DataError(
            "No question is answered well enough to be used: "
            + "; ".join(f"{name} ({reason})" for name, reason in list(kept.dropped.items())[:3])
            + ".",
            f"Reword the questions in {files.questions}, ask fewer at once, or screen less strictly.",
        )
    table = [
        dataclasses.replace(one, answers={name: one.answers.get(name) for name in kept.kept}) for one in observations
    ]
    write_table(files.table, table)
    write_json(
        files.answers,
        {
            "answered_by": model.name,
            "outcomes": dict(answers.outcomes),
            "dropped": dict(kept.dropped),
            "noise": [one.as_json() for one in noise],
        },
    )
    return table, noise, kept


def find_rules(work: Workspace, *, requests: int = 2, count: int = 12) -> tuple[RuleSet, list[ProposedRule]]:
    """Ask the teacher for rules over the run's questions; they are not measured yet.

    Raises as `find_questions`; DataError where no rule was understood.
    """
    files = tree_files(work.directory.path)
    questions = _questions(files)
    examples = one_task(work.task.train)
    labels = labels_of_task(examples)
    shown = shows_answers(work, work.config.features)
    if not shown:
        labels = sorted(labels)  # which one is the commonest is known from gold answers alone
    model = open_teacher(work)
    asked = rule_requests(
        task_text(examples), labels, questions, model.name, feature_sampling(work), requests=requests, count=count
    )
    with teacher_sampler(work, model) as sampler:
        sampled = sampler.sample(asked, stage="rules")
    proposals = rules_from(asked, sampled.completions, sampled.failures, names=questions, labels=labels)
    rules = proposed_set(proposals, questions, default=labels[0] if labels and shown else None)
    if not rules.rules:
        said = ", ".join(f"{name} {number:,}" for name, number in _outcomes(proposals).items()) or "no rule at all"
        raise DataError(
            f"No rule of {model.name} was understood ({said}).", "Ask another model, or write rules in a text file."
        )
    return rules, proposals


def price_questions(work: Workspace, settings: QuestionSettings) -> Quote:
    """What `find_questions` would buy. Asks no model and writes nothing."""
    one_task(work.task.train)
    model = open_teacher(work, to_ask=False)
    return quoted(work, model, requests_for_questions(work, model, settings))


def price_answers(
    work: Workspace, settings: AnswerSettings, *, limit: int | None = None, answered_by: str | None = None
) -> Quote:
    """What `ask_questions` would buy. Asks no model and writes nothing."""
    teacher = _answering(work, answered_by)
    model = load_teacher(teacher, to_ask=False)
    asked = requests_for_answers(
        work, model, _questions(tree_files(work.directory.path)), asked_about(work, limit), settings
    )
    return quoted(work, model, [one.request for one in asked], teacher)


def outcome_line(proposals: Sequence[Proposal | ProposedRule]) -> str:
    """How many proposals had which outcome, for people."""
    return " · ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in _outcomes(proposals).items())


def _outcomes(proposals: Sequence[Proposal | ProposedRule]) -> Mapping[str, int]:
    return dict(Counter(str(proposal.outcome) for proposal in proposals).most_common())


def _questions(files: TreeFiles) -> dict[str, str]:
    if not files.questions.exists():
        raise DataError(
            f"There are no questions at {files.questions}.",
            "Run `symdistill trees questions CONFIG` first, or write the file yourself.",
        )
    return read_features(files.questions)


def fitting_methods(work: Workspace) -> Iterator[tuple[Method, Symbolic]]:
    """The methods that have knowledge fitted, each with what fits it."""
    for method in work.methods:
        if isinstance(method, Symbolic):
            yield method, method
        elif isinstance(method, KbStudent):
            yield method, method.source


def shows_answers(work: Workspace, settings: QuestionSettings) -> bool:
    """Whether the teacher sees gold answers when it is asked for questions; see `QuestionSettings.show_answers`."""
    if settings.show_answers is not None:
        return settings.show_answers
    return all(source.settings.labels == "gold" for _, source in fitting_methods(work))


def requests_for_questions(work: Workspace, model: LanguageModel, settings: QuestionSettings) -> list[Request]:
    """What the teacher is asked for questions."""
    return question_requests(
        work.task.train,
        model.name,
        feature_sampling(work),
        requests=settings.requests,
        shown=settings.shown,
        count=settings.count,
        seed=work.config.seed,
        answers_shown=shows_answers(work, settings),
    )


def requests_for_answers(
    work: Workspace,
    model: LanguageModel,
    features: Mapping[str, str],
    examples: Sequence[Example],
    settings: AnswerSettings,
) -> list[AskedAbout]:
    """What is asked about inputs that `asked_about` marked."""
    # Only training inputs are asked about again: held-out ones decide nothing.
    train = [example for example in examples if example.split == "train"]
    again = draw(train, settings.again, work.config.seed, "again")[0] if settings.again else []
    return answer_requests(
        examples,
        features,
        model.name,
        feature_sampling(work),
        per_request=settings.per_request,
        again={example.id for example in again},
        seed=work.config.seed,
    )


def asked_about(work: Workspace, limit: int | None) -> list[Example]:
    """The inputs, each marked with the split it is used in."""
    found = []
    held_out = work.task.evaluation[: work.config.evaluation.limit]
    for examples, split in ((work.task.train, "train"), (held_out, "test")):
        drawn = list(examples) if limit is None else draw(examples, limit, work.config.seed, "features")[0]
        found += [dataclasses.replace(example, split=split) for example in drawn]
    return one_task(found)


def one_task(examples: Sequence[Example]) -> list[Example]:
    """The examples, if they belong together. Raises ConfigError, DataError."""
    names = sorted({example.task for example in examples})
    if len(names) > 1:
        raise ConfigError(
            f"The questions belong to {len(names)} tasks ({', '.join(names[:4])}), and a tree is about one.",
            "Give `task` a file of one task.",
        )
    if not examples:
        raise DataError("There are no training questions.", "Check `task`.")
    return list(examples)


def _answering(work: Workspace, answered_by: str | None) -> TeacherSettings:
    teacher = work.config.teacher
    return teacher if answered_by is None else teacher.model_copy(update={"model": answered_by})


def feature_sampling(work: Workspace) -> Sampling:
    """How questions, answers and rules are drawn: as everything of the teacher's, unless `features` says otherwise."""
    teacher, own = work.config.teacher, work.config.features
    return Sampling(
        temperature=teacher.temperature if own.temperature is None else own.temperature,
        max_tokens=teacher.max_tokens if own.max_tokens is None else own.max_tokens,
        top_p=teacher.top_p,
        top_k=teacher.top_k,
        seed=work.config.seed,
        stop=teacher.stop,
    )
