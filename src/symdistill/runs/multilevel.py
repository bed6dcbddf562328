"""The family `multilevel`: rounds of generate → filter → train, each from inputs of its own.

Every reply is in the store, every student is found again by what it was trained on, and the rest is computed from
those: whenever the process ends, the same command goes on where it was. What was found is written anew after each
round:

lineage.jsonl   every output of a round: its input, writer and request, its scores, why it was dropped, how it was
                graded
kept.jsonl      what is learned, in the form of `seeds`
audit.jsonl     all that is graded, in the form of `labels`
rounds.json     each round in figures                         rounds/student-N/  the students
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from symdistill.curation.pairs import Pair, Sieve, filter_name
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.multilevel_metrics import RoundFigures
from symdistill.evaluation.report_multilevel import outcome_sentence, progress_line, rounds_table, students_table
from symdistill.evaluation.tables import plain_text
from symdistill.methods import Material
from symdistill.methods.multilevel import (
    MultilevelSettings,
    Round,
    Standing,
    Stop,
    chosen_student,
    stop_reason,
)
from symdistill.models.registry import load_teacher
from symdistill.models.settings import TeacherSettings
from symdistill.records import Example
from symdistill.runs.beforehand import shortest_above
from symdistill.runs.multilevel_asking import pairs_of, request_of, student_requests, teacher_requests
from symdistill.runs.multilevel_filters import audit_filter, build_filters
from symdistill.runs.multilevel_fixed import Answered, ask_fixed
from symdistill.runs.multilevel_inputs import Sources, audited_inputs, inputs_of_round, read_sources
from symdistill.runs.multilevel_judges import (
    audited_by,
    auditor_settings,
    build_scorers,
    check_judges,
    grader,
    labelled,
    price_audit,
)
from symdistill.runs.multilevel_writing import (
    Outcome,
    Rounds,
    check_cut,
    figures_of,
    report_rounds,
    write_rounds,
)
from symdistill.runs.quoting import Quote, summed
from symdistill.runs.reinforcing import asking, put_student
from symdistill.runs.teaching import quoted, teacher_sampler
from symdistill.runs.workspace import Workspace
from symdistill.tasks.files import file_meant

_NO_MEANING = ("demonstrations", "show_answer", "logprobs")


def section_of(work: Workspace) -> MultilevelSettings:
    """The section of the configuration. Raises ConfigError where there is none."""
    if work.config.multilevel is None:
        raise ConfigError("The configuration has no `multilevel` section.", "Add one.")
    return work.config.multilevel


def check_multilevel(work: Workspace) -> str:
    """What is there, in a line. Raises ConfigError, DataError or PrerequisiteError for what would stop the run later;
    asks nobody and writes nothing."""
    from symdistill.students.loading import check_student

    settings = section_of(work)
    check_cut(work, settings)
    for key in _NO_MEANING:
        if getattr(work.config.teacher, key):
            raise ConfigError(
                f"`teacher.{key}` has no meaning in a run of `multilevel`.",
                "Show the teacher pairs with `multilevel.demonstrations`." if key == _NO_MEANING[0] else "Take it out.",
            )
    if work.config.training.early_stopping_patience:
        raise ConfigError(
            "`training.early_stopping_patience` has no meaning in a run of `multilevel`: there are no dev questions.",
            "Take it out; `multilevel.stop` ends the rounds.",
        )
    if work.config.evaluation.teacher:
        raise ConfigError(
            "`evaluation.teacher` has no meaning in a run of `multilevel`: there are no held-out questions.",
            "Take it out.",
        )
    check_judges(work, settings)
    sources = read_sources(settings, work.config.seed)
    _check_answers(settings, sources)
    if not sources.seeds and work.config.teacher.model in (None, "dataset"):
        raise ConfigError(
            "No teacher is named that could write round 0.",
            "Set `teacher.model`, for example openai:gpt-4o-mini, or `multilevel.seeds` to a file of pairs.",
        )
    check_student(work.config.student)
    _check_lengths(work, settings, sources)
    return sources.line + _labels_to_come(settings)


def _labels_to_come(settings: MultilevelSettings) -> str:
    """That people have not labelled anything yet, and the file that may have been meant; "" where there are labels."""
    labels = settings.audit.labels if settings.audit else None
    if labels is None or labels.exists():
        return ""
    meant = file_meant(labels)
    return f"   no labels yet at {labels}" + (f" (did you mean {meant}?)" if meant else "")


def price_multilevel(work: Workspace) -> Quote | None:
    """What round 0, and a model that grades, may cost at most; None where no model is paid."""
    settings = section_of(work)
    sources = read_sources(settings, work.config.seed)
    audit = price_audit(work, settings, sources)
    if audit is not None:
        dollars = "" if audit.most_usd is None else f" (${audit.most_usd:.4f})"
        work.progress.note(
            f" audit      {audit.planned:,} questions of it are about outputs to come, at most: "
            f"{audit.most_tokens:,} tokens{dollars}"
        )
    if sources.seeds:
        return audit
    inputs = inputs_of_round(settings, sources, 0, [], [], work.config.seed)
    model = load_teacher(work.config.teacher, to_ask=False)
    found = quoted(work, model, [request for request, _ in teacher_requests(work, model, settings, sources, inputs)])
    return found if audit is None else summed(found, audit)


def teachers_of_rounds(work: Workspace) -> dict[str, TeacherSettings]:
    """Who writes round 0, where no file does, and a model that grades, by the section that their keys stand in."""
    settings = section_of(work)
    found = {} if settings.seeds or not work.config.teacher.model else {"teacher": work.config.teacher}
    if settings.audit is not None and settings.audit.by == "model":
        found["multilevel.audit.auditor"] = auditor_settings(work, settings.audit)
    return found


def run_multilevel(work: Workspace) -> str:
    """Run the rounds as far as they are not, choose a student, and write the report. What the terminal shows.

    Raises:
        DataError: round 0 keeps nothing, or there are no fresh inputs. TrainingError: training went wrong.
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
    """
    from symdistill.students.loading import locate_student

    settings = section_of(work)
    sources = read_sources(settings, work.config.seed)
    locate_student(work.config.student)
    _check_lengths(work, settings, sources)  # again: the tokenizer may have come with the student
    filters = build_filters(settings)
    known = [(one.id, one.text) for one in sources.invented_from]
    sieve = Sieve(filters, build_scorers(filters), known)
    grade = grader(work, settings) if settings.audit else None
    outcomes: list[Outcome] = []
    places: list[Path] = []
    answered: list[Answered] = []

    def learn() -> None:
        places.append(train_round(work, settings, outcomes, places))
        if grade:
            answered.append(ask_fixed(work, settings, sources, len(places), places[-1], grade))

    while True:
        number = len(outcomes)
        outcome = _written(work, settings, sources, outcomes, places[-1] if places else None)
        verdicts = sieve.judge(outcome.pairs)
        grades = grade([pair for pair in outcome.pairs if pair.audit]) if grade else {}
        outcomes.append(dataclasses.replace(outcome, verdicts=tuple(verdicts), grades=grades))
        figures = figures_of(work, outcomes, known)
        work.progress.note(f" round {number:<5}{progress_line(figures[-1])}")
        reason = stop_reason(standings(figures, answered), settings.rounds, settings.stop)
        if reason is not None:
            if not places:  # stopped before any student: what round 0 kept is learned all the same
                _check_kept(work, outcomes, figures)
                learn()
            return _finish(work, settings, outcomes, figures, places, answered, reason)
        write_rounds(work, outcomes, figures, answered)
        learn()


def standings(figures: Sequence[RoundFigures], answered: Sequence[Answered] = ()) -> list[Standing]:
    """What the rounds are stopped by."""
    verdicts = {one.student: one.figures.deciding for one in answered}
    return [
        Standing(
            kept=one.learned,
            generated=one.generated,
            tokens=one.tokens,
            deciding=verdicts.get(one.number, {}),
            novelty=one.novelty.share if one.novelty else None,
            diversity=one.diversity.distinct_2 if one.diversity else None,
            score=one.score,
        )
        for one in figures
    ]


def train_round(work: Workspace, settings: MultilevelSettings, outcomes: Sequence[Outcome], places: list[Path]) -> Path:
    """The student of the next round, trained or found, on what was kept so far."""
    from symdistill.runs.learning import train_student

    number = len(places) + 1
    method = Round(f"student-{number}", request_of(settings), student_instruction=work.config.student.instruction)
    learned = [pair for outcome in (outcomes if settings.learn == "all" else outcomes[-1:]) for pair in outcome.learned]
    by_input: dict[str, list[Pair]] = {}
    for pair in learned:
        by_input.setdefault(pair.input_id, []).append(pair)
    examples = [
        Example(name, pairs[0].input, rationales=tuple(pair.output for pair in pairs))
        for name, pairs in by_input.items()
    ]
    start = None
    if settings.train_from == "previous" and places:
        start = work.config.student.model_copy(update={"model": str(places[-1])})
    material = Material(examples=examples, seed=work.config.seed)
    target = work.directory.round("student", number)
    return train_student(work, method, material, method.training_examples(material), target=target, start=start)


def _check_answers(settings: MultilevelSettings, sources: Sources) -> None:
    """Raises DataError where answers are to be compared with, and inputs have none."""
    wanting = "the audit by `gold`" if settings.audit and settings.audit.by == "gold" else ""
    comparing = [one for one in (*build_filters(settings), audit_filter(settings)) if one and one.needs_answers]
    if comparing:
        wanting = f"the filter `{filter_name(comparing[0])}`"
    inputs = [one for some in (*sources.rounds, sources.fixed) for one in some] + [one for one, _ in sources.seeds]
    lacking = "that is invented" if settings.invent else next((one.id for one in inputs if one.answer is None), None)
    if wanting and lacking is not None:
        raise DataError(
            f"{wanting[0].upper()}{wanting[1:]} compares with answers, and the input {lacking} has none.",
            "Add `answer` to every row, or take it out.",
        )


def _check_lengths(work: Workspace, settings: MultilevelSettings, sources: Sources) -> None:
    """Raises ConfigError where nothing of round 0, which the first student learns from, fits into
    `training.max_length`."""
    limit, seed = work.config.training.max_length, work.config.seed
    given = sources.seeds or [(one, "") for one in inputs_of_round(settings, sources, 0, [], [], seed)]
    audited = audited_inputs([one for one, _ in given], settings.audit.fraction, seed) if settings.audit else set()
    method = Round("student-1", request_of(settings), student_instruction=work.config.student.instruction)
    learned = [(method.prompt(Example(one.id, one.text)), output) for one, output in given if one.id not in audited]
    learned.sort(key=lambda pair: len(pair[0][-1].content) + len(pair[1]))
    if (shortest := shortest_above(work.config.student, learned, limit)) is not None:
        what, until = ("pair", "") if sources.seeds else ("input", " before what is learned begins")
        raise ConfigError(
            f"No {what} of round 0 fits into `training.max_length`, {limit:,} tokens: the shortest takes "
            f"{shortest:,}{until}.",
            "Raise it, or shorten `multilevel.request` or `student.instruction`.",
        )


def _written(
    work: Workspace, settings: MultilevelSettings, sources: Sources, outcomes: Sequence[Outcome], place: Path | None
) -> Outcome:
    """The outputs of the next round, as its writer left them."""
    number, seed = len(outcomes), work.config.seed
    earlier = [one for outcome in outcomes for one in outcome.inputs]
    fraction = settings.audit.fraction if settings.audit else 0.0
    if number == 0 and sources.seeds:
        inputs = list({one.id: one for one, _ in sources.seeds}.values())
        audited = audited_inputs(inputs, fraction, seed) if fraction else set()
        pairs = [
            Pair(f"0-{at}", 0, one.id, one.text, output, one.answer, one.id in audited)
            for at, (one, output) in enumerate(sources.seeds)
        ]
        return Outcome(0, f"file {settings.seeds.name if settings.seeds else ''}", tuple(inputs), tuple(pairs))
    kept = [pair for outcome in outcomes for pair in outcome.learned]
    inputs = inputs_of_round(settings, sources, number, kept, earlier, seed)
    audited = audited_inputs(inputs, fraction, seed) if fraction else set()
    if place is None:
        model = load_teacher(work.config.teacher)
        requests = teacher_requests(work, model, settings, sources, inputs)
        writer = f"teacher {model.name}"
        with teacher_sampler(work, model) as sampler:
            replies = sampler.sample([request for request, _ in requests], stage=f"round {number}").completions
    else:
        writer = f"student {number}"
        with asking(work, place) as (sampler, name):
            requests = student_requests(work, name, settings, inputs)
            replies = sampler.sample([request for request, _ in requests], stage=f"round {number}").completions
    pairs = pairs_of(settings, number, requests, replies, audited)
    got = [replies[key] for key in dict.fromkeys(request.key for request, _ in requests) if key in replies]
    return Outcome(
        number,
        writer,
        tuple(inputs),
        tuple(pairs),
        failed=len(requests) - len(pairs),
        tokens=sum(reply.completion_tokens for reply in got),
        cost_usd=sum(reply.cost_usd for reply in got),
    )


def _check_kept(work: Workspace, outcomes: Sequence[Outcome], figures: Sequence[RoundFigures]) -> None:
    """Raises DataError where round 0 left nothing to learn from."""
    if outcomes[0].learned:
        return
    dropped = Counter(verdict.reason for verdict in outcomes[0].verdicts if verdict.reason)
    said = ", ".join(f"{name} {count:,}" for name, count in dropped.most_common()) or "no reply at all"
    write_rounds(work, outcomes, figures, ())
    raise DataError(
        f"Round 0 keeps none of {figures[0].generated:,} outputs to learn from ({said}).",
        f"Look at {work.directory.path / 'lineage.jsonl'}, and loosen `multilevel.filters`.",
    )


def _finish(
    work: Workspace,
    settings: MultilevelSettings,
    outcomes: Sequence[Outcome],
    figures: Sequence[RoundFigures],
    places: Sequence[Path],
    answered: Sequence[Answered],
    reason: Stop,
) -> str:
    """Choose a student and put it in its place, write everything down, and say what came of it."""
    from symdistill.runs.learning import read_card

    chosen = chosen_student([one.figures.accuracy for one in answered] or [None] * len(places))
    put_student(places[chosen - 1], work.directory.student("", alone=True), "multilevel")
    cards = {place.name: card for place in places if (card := read_card(place))}
    found = Rounds(outcomes, figures, answered, reason, chosen)
    audited = [pair for one in (*(o.pairs for o in outcomes), *(a.pairs for a in answered)) for pair in one]
    grades = {name for one in (*(o.grades for o in outcomes), *(a.grades for a in answered)) for name in one}
    by = audited_by(work, settings) + labelled(settings, [pair for pair in audited if pair.audit], grades)
    summary = report_rounds(work, settings, found, by, cards)
    tables = [rounds_table(figures, chosen), students_table(summary)]
    return "\n\n".join([*(plain_text(table) for table in tables if table), outcome_sentence(summary)])
