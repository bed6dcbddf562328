"""From replies to verdicts, and from verdicts to rows of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from symdistill.curation.steps import check_steps
from symdistill.errors import DataError
from symdistill.evaluation.flops import Shape, passes, question_flops
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.statistics import wilson
from symdistill.evaluation.voting import majority
from symdistill.records import Completion, Example, Prediction
from symdistill.tasks.answers import answers_equal, parse_answer
from symdistill.tasks.labels import Labels, labels_of

Decoding = Literal["greedy", "vote", "decided"]


@dataclass(frozen=True, slots=True)
class Scored:
    """One method's results.

    `row` is about all questions, `task_rows` about each task (none where there is only one), `contrast_rows` about
    the originals, the edited questions and the pairs (none where no question is an edit of another). `unlabelled`
    questions carry no answer and are in none of them.
    """

    predictions: tuple[Prediction, ...]
    row: MetricRow
    task_rows: tuple[MetricRow, ...] = ()
    contrast_rows: tuple[MetricRow, ...] = ()
    unlabelled: int = 0

    @property
    def rows(self) -> tuple[MetricRow, ...]:
        """All rows, as they stand in `metrics.json`: the whole first."""
        return (self.row, *self.task_rows, *self.contrast_rows)


@dataclass(frozen=True, slots=True)
class _Answered:
    """One question with what came back."""

    example: Example
    completions: Sequence[Completion]
    prediction: Prediction
    before: Sequence[Completion] = ()
    retrieved: bool | None = None
    search_flops: float = 0.0
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all rows of one evaluation have in common."""

    method: str
    decoding: Decoding
    samples: int
    split: str
    seed: int
    training_seed: int | None
    confidence: float
    parameters: float | None
    shape: Shape | None
    model: str | None
    engine: str | None


def score(
    examples: Sequence[Example],
    completions: Sequence[Sequence[Completion]],
    method: str,
    *,
    decoding: Decoding | None = None,
    samples: int | None = None,
    split: str = "test",
    seed: int = 0,
    training_seed: int | None = None,
    seconds: float | None = None,
    shape: Shape | None = None,
    model: str | None = None,
    engine: str | None = None,
    confidence: float = 0.95,
    before: Sequence[Sequence[Completion]] | None = None,
    retrieved: Sequence[bool] | None = None,
    parameters: float | None = None,
    search_flops: Sequence[float] | None = None,
    shortened: Sequence[bool] | None = None,
    labels: Labels | None = None,
) -> Scored:
    """Check every reply, let the samples of a question vote, and sum up.

    `completions[i]` are the replies to `examples[i]`; a question without any counts as wrong. `decoding` None: "vote"
    where several samples were drawn, else "greedy". `samples` is how many were asked for (None: the most that came).
    `seconds` is the wall time of the whole evaluation; `shape` is the local model's, None where it is remote.
    `before[i]` are passes that only decided how question i was answered: they cost, and have no vote. `retrieved`
    says of each question whether it was answered with knowledge, `shortened` whether with fewer passages than were
    found. `search_flops` are the operations that chose what each question was answered with; they count beside the
    model's own. `parameters` are the model's weights. `labels` are those that the tasks know (None: those that
    `examples` show): what names none of them is no answer.

    Raises:
        DataError: no question carries an answer to check against.
        ValueError: there are not as many lists of completions as examples.
    """
    if len(examples) != len(completions):
        raise ValueError(f"{len(examples)} examples with {len(completions)} lists of completions")
    known = labels or labels_of(examples)
    answered = [
        _Answered(
            example,
            replies,
            _with_passes(predict(example, replies, method, known), before[i] if before else ()),
            before[i] if before else (),
            retrieved[i] if retrieved else None,
            search_flops[i] if search_flops else 0.0,
            bool(shortened and shortened[i]),
        )
        for i, (example, replies) in enumerate(zip(examples, completions, strict=True))
        if example.answer is not None
    ]
    if not answered:
        raise DataError(
            f"None of the {len(examples)} evaluation questions has an answer to check against.",
            "Give rows with answers in `task.eval_path`.",
        )
    drawn = samples or max(1, *map(len, completions))
    how = decoding or ("vote" if drawn > 1 else "greedy")
    setting = _Setting(method, how, drawn, split, seed, training_seed, confidence, parameters, shape, model, engine)
    unlabelled = len(examples) - len(answered)
    whole = replace(
        _row(setting, answered),
        seconds=seconds,
        unlabelled=unlabelled or None,
        unanswered=sum(not a.completions for a in answered) or None,
    )
    tasks = list(dict.fromkeys(a.example.task for a in answered))
    by_task = [
        _row(setting, [a for a in answered if a.example.task == task], task=task) for task in tasks if len(tasks) > 1
    ]
    return Scored(
        predictions=tuple(a.prediction for a in answered),
        row=whole,
        task_rows=tuple(by_task),
        contrast_rows=_contrast(setting, answered),
        unlabelled=unlabelled,
    )


def predict(
    example: Example, completions: Sequence[Completion], method: str, labels: Labels | None = None
) -> Prediction:
    """The prediction the replies to one question amount to: each parsed, then the majority of them.

    One reply is a majority of one. `correct` is False where there is no gold answer. With `labels` a reply that names
    none of its task's has no answer.
    """
    answers = [parse_answer(c.text, example.answer_type, example.choices) for c in completions]
    if labels is not None:
        answers = [labels.named(example, answer) for answer in answers]
    vote = majority(answers, example.answer_type, example.choices, [_log_probability(c) for c in completions])
    correct = (
        vote.answer is not None
        and example.answer is not None
        and answers_equal(vote.answer, example.answer, example.answer_type, example.choices)
    )
    return Prediction(
        example_id=example.id,
        method=method,
        gold=example.answer,
        samples=tuple(whole_text(c) for c in completions),
        answers=tuple(answers),
        answer=vote.answer,
        correct=correct,
        prompt_tokens=sum(c.prompt_tokens for c in passes(completions)),
        cached_prompt_tokens=sum(c.cached_prompt_tokens for c in passes(completions)),
        generated_tokens=sum(c.completion_tokens for c in passes(completions)),
        finish_reasons=tuple(c.finish_reason for c in completions),
    )


def whole_text(completion: Completion) -> str:
    """All that a reply says: the answer is read from the second stretch, where there are two, and people read both."""
    return completion.text if completion.first is None else completion.first.text + completion.text


def _with_passes(prediction: Prediction, before: Sequence[Completion]) -> Prediction:
    """The prediction with the tokens of what was decoded before it."""
    if not before:
        return prediction
    return replace(
        prediction,
        prompt_tokens=prediction.prompt_tokens + sum(c.prompt_tokens for c in passes(before)),
        cached_prompt_tokens=prediction.cached_prompt_tokens + sum(c.cached_prompt_tokens for c in passes(before)),
        generated_tokens=prediction.generated_tokens + sum(c.completion_tokens for c in passes(before)),
    )


def _log_probability(completion: Completion) -> float | None:
    """The whole reply's log-probability in nats; None where the model did not say."""
    total = 0.0
    for stretch in passes([completion]):
        if not stretch.token_logprobs:
            return None
        total += sum(stretch.token_logprobs)
    return total


def _contrast(setting: _Setting, answered: Sequence[_Answered]) -> tuple[MetricRow, ...]:
    """Rows on contrast sets: originals that were edited, edited questions, and pairs of which both were right."""
    by_id = {a.example.id: a for a in answered}
    pairs = [(by_id[a.example.contrast_of], a) for a in answered if a.example.contrast_of in by_id]
    if not pairs:
        return ()
    originals = list({original.example.id: original for original, _ in pairs}.values())
    edited = [edit for _, edit in pairs]
    both = [original.prediction.correct and edit.prediction.correct for original, edit in pairs]
    return (
        _row(setting, originals, part="originals"),
        _row(setting, edited, part="edited"),
        _row(setting, [*originals, *edited], verdicts=both, part="pairs"),
    )


def _row(
    setting: _Setting,
    answered: Sequence[_Answered],
    *,
    verdicts: Sequence[bool] | None = None,
    task: str | None = None,
    part: str | None = None,
) -> MetricRow:
    """Sum up some questions; `verdicts` where they are not simply the questions' own."""
    right = [a.prediction.correct for a in answered] if verdicts is None else verdicts
    interval = wilson(sum(right), len(right), setting.confidence)
    replies = [c for a in answered for c in a.completions]
    parsed = sum(answer is not None for a in answered for answer in a.prediction.answers)
    flops = [question_flops(setting.shape, a.completions, a.before) for a in answered] if setting.shape else []
    search = fmean([a.search_flops for a in answered])
    retrieved = [a.retrieved for a in answered if a.retrieved is not None]
    steps = [equation for a in answered for text in a.prediction.samples for equation in check_steps(text).equations]
    return MetricRow(
        method=setting.method,
        split=setting.split,
        n=len(right),
        accuracy=sum(right) / len(right),
        ci_low=interval.low,
        ci_high=interval.high,
        parse_rate=parsed / len(replies) if replies else 0.0,
        decoding=setting.decoding,
        samples=setting.samples,
        prompt_tokens=fmean([a.prediction.prompt_tokens for a in answered]),
        generated_tokens=fmean([a.prediction.generated_tokens for a in answered]),
        prompt_flops_paper=fmean([paper for paper, _ in flops]) if flops else None,
        flops=fmean([total for _, total in flops]) + search if flops else None,
        seconds=None,
        seed=setting.seed,
        training_seed=setting.training_seed,
        confidence=setting.confidence,
        task=task,
        part=part,
        model=setting.model,
        engine=setting.engine,
        truncated_rate=sum(c.finish_reason == "length" for c in replies) / len(replies) if replies else 0.0,
        cached_prompt_tokens=fmean([a.prediction.cached_prompt_tokens for a in answered]),
        cost_usd=sum(c.cost_usd for a in answered for c in (*a.before, *a.completions)),
        retrieval_rate=fmean(retrieved) if retrieved else None,
        parameters=setting.parameters,
        equations=len(steps) or None,
        step_score=fmean([equation.holds for equation in steps]) if steps else None,
        search_flops=search or None,
        shortened=sum(a.shortened for a in answered) or None,
    )
