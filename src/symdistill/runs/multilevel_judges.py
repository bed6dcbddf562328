"""The models behind the filters of a multilevel run, and who grades its audited slice."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from symdistill import content
from symdistill.curation.pairs import CriticFilter, EntailmentFilter, Pair, PairFilter, Scorer, filter_name, unusable
from symdistill.curation.words import squeezed
from symdistill.errors import ConfigError
from symdistill.methods.multilevel import AuditSettings, MultilevelSettings
from symdistill.models.base import LanguageModel
from symdistill.models.registry import load_teacher
from symdistill.models.settings import TeacherSettings
from symdistill.prompts.pairs import audit_messages
from symdistill.records import Request, Sampling
from symdistill.runs.multilevel_filters import audit_filter, build_filters
from symdistill.runs.multilevel_inputs import Sources, audited_inputs, inputs_of_round, read_labels
from symdistill.runs.quoting import Quote, check_price
from symdistill.runs.teaching import quoted, teacher_sampler
from symdistill.runs.validation import validated
from symdistill.runs.workspace import Workspace
from symdistill.tasks import check_answer

Grades = dict[str, bool]
"""By pair id, whether it is right; pairs nobody graded are absent."""

_YES_OR_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_AUDIT_TOKENS = 8


def build_scorers(filters: Sequence[PairFilter]) -> dict[str, Scorer]:
    """The models behind filters, loaded. Raises PrerequisiteError, DataError, ModelError."""
    return {filter_name(one): scorer for one in filters if (scorer := scorer_of(one)) is not None}


def scorer_of(one: PairFilter) -> Scorer | None:
    """The model behind a filter; None for a filter that has none."""
    if isinstance(one, CriticFilter):
        from symdistill.training.critic import Critic

        critic = Critic.load(one.path)
        threshold = critic.threshold if one.threshold is None else one.threshold
        return Scorer(lambda pairs: critic.probabilities([(p.input, p.output) for p in pairs]).tolist(), threshold)
    if isinstance(one, EntailmentFilter):
        from symdistill.models.entailment import EntailmentModel

        model = EntailmentModel.load(one.model)
        return Scorer(lambda pairs: model.probabilities([(p.input, p.output) for p in pairs]).tolist(), one.threshold)
    return None


def check_judges(work: Workspace, settings: MultilevelSettings) -> None:
    """Raise what would stop the judges later: a directory or a file that is not there, an auditor that is not named or
    cannot be opened."""
    for one in (*build_filters(settings), audit_filter(settings)):
        if isinstance(one, CriticFilter) and not one.path.is_dir():
            raise ConfigError(
                f"There is no directory {one.path} (`critic`).", "Name one that `symdistill triples critic` wrote."
            )
        if isinstance(one, EntailmentFilter) and not one.model.is_dir():
            raise ConfigError(f"There is no directory {one.model} (`entailment`).", "Name the directory of a model.")
    if settings.audit is None:
        return
    if settings.audit.labels is not None and settings.audit.labels.exists():
        _check_unknown(settings, settings.audit.labels)
    if settings.audit.by == "model" and auditor_settings(work, settings.audit).model in (None, "dataset"):
        raise ConfigError(
            "`multilevel.audit.by` is `model`, and no model is named.",
            "Set `multilevel.audit.auditor.model`, for example openai:gpt-4o-mini, or `teacher.model`.",
        )
    if settings.audit.by == "model":
        _open_auditor(work, settings.audit, to_ask=False)


def _check_unknown(settings: MultilevelSettings, path: Path) -> None:
    """Raises ConfigError where labels that are to audit are among those a critic that selects learned from."""
    labels = read_labels(path)
    for one in build_filters(settings):
        if not isinstance(one, CriticFilter):
            continue
        from symdistill.training.critic import digest_of, learned_by

        learned = learned_by(one.path)
        known = sum(digest_of(pair) in learned for pair in labels)
        if known:
            raise ConfigError(
                f"{known:,} of the {len(labels):,} labels in {path} {'is' if known == 1 else 'are'} among what the "
                "filter `critic` learned from: it is right about these, whatever it is worth.",
                "Take them out, and label other outputs.",
            )


def price_audit(work: Workspace, settings: MultilevelSettings, sources: Sources) -> Quote | None:
    """What grading all rounds would cost at most; None where no model grades."""
    if settings.audit is None or settings.audit.by != "model":
        return None
    teacher, model = _open_auditor(work, settings.audit, to_ask=False)
    pairs = _audited_ahead(work, settings, settings.audit.fraction, sources)
    requests = [_question(model.name, teacher, settings.audit, pair, work.config.seed) for pair in pairs]
    return quoted(work, model, requests, teacher, guessed={request.key for request in requests})


def _audited_ahead(work: Workspace, settings: MultilevelSettings, fraction: float, sources: Sources) -> list[Pair]:
    """As many outputs as may be graded in all rounds, each as long as one may become. Texts that are invented later
    stand for those of round 0."""
    seed, teacher = work.config.seed, work.config.teacher
    found: list[Pair] = []
    first = {one.id: one for one, _ in sources.seeds}
    if sources.seeds:
        audited = audited_inputs(list(first.values()), fraction, seed)
        rows = enumerate(sources.seeds)
        found = [Pair(f"0-{at}", 0, one.id, one.text, output) for at, (one, output) in rows if one.id in audited]
    for number in range(1 if sources.seeds else 0, settings.rounds + 1):
        inputs = inputs_of_round(settings, sources, 0 if settings.invent else number, [], [], seed)
        audited = audited_inputs(inputs, fraction, seed)
        samples = settings.samples if number else teacher.samples or settings.samples
        longest = " ".join(["word"] * (settings.max_tokens if number else teacher.max_tokens))
        found += [
            Pair(f"{number}-{one.id}-{sample}", number, one.id, one.text, f"{number} {sample} {longest}")
            for one in inputs
            if one.id in audited
            for sample in range(samples)
        ]
        if number:  # the student of the round, about what no round has
            found += [
                Pair(f"fixed-{number}-{one.id}", number, one.id, one.text, f"fixed {number} {longest}")
                for one in sources.fixed
            ]
    return found


def _open_auditor(
    work: Workspace, audit: AuditSettings, *, to_ask: bool = True
) -> tuple[TeacherSettings, LanguageModel]:
    """The model that grades, before its first call. Raises ConfigError, PrerequisiteError, DataError."""
    teacher = auditor_settings(work, audit)
    model = load_teacher(teacher, to_ask=to_ask)
    check_price(teacher, "multilevel.audit.auditor")
    return teacher, model


def auditor_settings(work: Workspace, audit: AuditSettings) -> TeacherSettings:
    """How a model that grades is asked: as the teacher is, but briefly and greedily. Raises ConfigError."""
    usual = {"temperature": 0.0, "max_tokens": _AUDIT_TOKENS}
    changes = {**work.config.teacher.model_dump(), **usual, **audit.auditor}
    return validated(TeacherSettings, changes, prefix="multilevel.audit.auditor")


def grader(work: Workspace, settings: MultilevelSettings) -> Callable[[Sequence[Pair]], Grades]:
    """What grades outputs. One that is no whole text is wrong, whoever grades; but where people label, only beside
    their labels: with some of these missing, what was cut would be the larger part of what is known to be wrong."""
    audit = settings.audit
    assert audit is not None
    grade, people = _grader(work, settings, audit), audit.by == "labels"

    def graded(pairs: Sequence[Pair]) -> Grades:
        whole = [pair for pair in pairs if not unusable(pair)]
        grades = grade(whole)
        if people and (not grades or len(grades) < len(whole)):
            return grades
        return {**grades, **{pair.id: False for pair in pairs if unusable(pair)}}

    return graded


def labelled(settings: MultilevelSettings, pairs: Sequence[Pair], graded: Collection[str]) -> str:
    """How many of the outputs to be graded people have labelled, in words to go on with; "" where others grade."""
    if settings.audit is None or settings.audit.by != "labels":
        return ""
    whole = [pair.id in graded for pair in pairs if not unusable(pair)]
    return f", {sum(whole):,} of {len(whole):,} outputs so far"


def _grader(work: Workspace, settings: MultilevelSettings, audit: AuditSettings) -> Callable[[Sequence[Pair]], Grades]:
    """Who grades outputs that are whole texts."""
    if audit.by == "gold":
        kind = settings.answer_type
        return lambda pairs: {p.id: check_answer(p.output, p.answer, kind) for p in pairs if p.answer is not None}
    if audit.by == "labels":
        assert audit.labels is not None
        said = read_labels(audit.labels) if audit.labels.exists() else {}
        return lambda pairs: {
            p.id: said[key] for p in pairs if (key := (squeezed(p.input), squeezed(p.output))) in said
        }
    if audit.by == "filter":
        one = audit_filter(settings)
        assert one is not None
        scorer = scorer_of(one)
        if scorer is None:
            return lambda pairs: {p.id: one.fault(p) is None for p in pairs}
        return lambda pairs: {
            p.id: score >= scorer.threshold for p, score in zip(pairs, scorer.scores(pairs), strict=True)
        }
    return lambda pairs: _asked(work, audit, pairs)


def audited_by(work: Workspace, settings: MultilevelSettings) -> str:
    """Who grades, in words for the report."""
    audit = settings.audit
    if audit is None:
        return ""
    if audit.by == "gold":
        return "the inputs' gold answers"
    if audit.by == "labels":
        return f"people's labels ({audit.labels.name if audit.labels else ''})"
    if audit.by == "filter":
        one = audit_filter(settings)
        return f"the filter `{filter_name(one) if one else ''}`"
    asked = auditor_settings(work, audit).model
    same = " (the teacher itself)" if asked == work.config.teacher.model else ""
    return f"the model {asked}{same}, asked: {audit.question}"


def _asked(work: Workspace, audit: AuditSettings, pairs: Sequence[Pair]) -> Grades:
    """What a model says to each pair; a reply without yes or no grades nothing."""
    if not pairs:
        return {}
    teacher, model = _open_auditor(work, audit)
    requests: dict[str, Request] = {p.id: _question(model.name, teacher, audit, p, work.config.seed) for p in pairs}
    with teacher_sampler(work, model, teacher) as sampler:
        replies = sampler.sample(list(requests.values()), stage="audit").completions
    grades: Grades = {}
    for name, request in requests.items():
        reply = replies.get(request.key)
        said = _YES_OR_NO.match(reply.text) if reply else None
        if said:
            grades[name] = said[1].lower() == "yes"
    return grades


def _question(model: str, teacher: TeacherSettings, audit: AuditSettings, pair: Pair, seed: int) -> Request:
    sampling = Sampling(temperature=teacher.temperature, max_tokens=teacher.max_tokens, seed=seed)
    messages = audit_messages(audit.question or "", pair.input, pair.output)
    return content.request(model, messages, sampling, 0, pair.id)
