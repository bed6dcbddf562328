"""Where the student fails, question by question, and how its sampled votes fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from symdistill.evaluation import plots
from symdistill.evaluation.figures import clean, percent
from symdistill.evaluation.metrics import TEACHER, describe_decoding
from symdistill.evaluation.report_data import Limits, MethodAnswers, ReportData
from symdistill.records import Example, Prediction
from symdistill.tasks.answers import answers_equal

_NO_ANSWER = "no answer found"


def failure_section(data: ReportData, limits: Limits) -> Mapping[str, Any] | None:
    """Wrong answers of the best method, by task; None where there is nothing to show."""
    subject = _best(data)
    if subject is None:
        return None
    wrong = [p for p in subject.predictions if not p.correct]
    others = [a for a in data.answers if a is not subject]
    lookup = {id(a): {p.example_id: p for p in a.predictions} for a in others}
    groups: dict[str, list[Prediction]] = {}
    asked: Counter[str] = Counter()
    for prediction in subject.predictions:
        asked[_task(data, prediction)] += 1
    for prediction in wrong:
        groups.setdefault(_task(data, prediction), []).append(prediction)
    shown = 0
    tasks = []
    for task, failures in sorted(groups.items(), key=lambda item: -len(item[1])):
        room = min(limits.failures_a_task, limits.failures - shown)
        cases = [
            _case(p, subject, data, limits, [(a, lookup[id(a)].get(p.example_id)) for a in others])
            for p in failures[:room]
        ]
        shown += len(cases)
        tasks.append({"task": clean(task, 80), "wrong": len(failures), "asked": asked[task], "cases": cases})
    kinds = Counter(_kind(p) for p in wrong)
    return {
        "method": clean(f"{subject.method}, {describe_decoding(subject.decoding, subject.samples)}", 120),
        "wrong": len(wrong),
        "asked": len(subject.predictions),
        "kinds": kinds.most_common(),
        "tasks": tasks[: limits.listed],
        "teacher": any(p.example_id in data.teacher_rationales for p in wrong),
    }


def vote_section(data: ReportData) -> list[Mapping[str, Any]]:
    """For each voted method: questions by how many of their samples agree, and what voting could gain at most."""
    return [_votes(a, data.examples) for a in data.answers if a.samples > 1 and a.predictions]


def _best(data: ReportData) -> MethodAnswers | None:
    """The most accurate student that is not the baseline (a reader wants to see it reason), else the baseline."""
    scored = [a for a in data.answers if a.predictions and a.method != TEACHER]
    if not scored:
        return None
    baseline = data.comparison.standing(data.comparison.baseline) if data.comparison else None
    rest = [a for a in scored if not baseline or (a.method, a.decoding) != (baseline.method, baseline.decoding)]
    return max(rest or scored, key=lambda a: (_accuracy(a.predictions), -a.samples))


def _accuracy(predictions: Sequence[Prediction]) -> float:
    return sum(p.correct for p in predictions) / len(predictions)


def _task(data: ReportData, prediction: Prediction) -> str:
    example = data.examples.get(prediction.example_id)
    return example.task if example else "task"


def _kind(prediction: Prediction) -> str:
    if prediction.answer is not None:
        return "another answer"
    if not prediction.samples:
        return "no reply at all"
    return "cut off before an answer" if "length" in prediction.finish_reasons else _NO_ANSWER


def _case(
    prediction: Prediction,
    subject: MethodAnswers,
    data: ReportData,
    limits: Limits,
    others: Sequence[tuple[MethodAnswers, Prediction | None]],
) -> Mapping[str, Any]:
    example = data.examples.get(prediction.example_id)
    chosen = next(
        (s for s, a in zip(prediction.samples, prediction.answers, strict=False) if a == prediction.answer), ""
    )
    tally = Counter(a if a is not None else "none" for a in prediction.answers).most_common(6)
    return {
        "id": clean(prediction.example_id, 80),
        "question": clean(_question(example), limits.text),
        "gold": clean(prediction.gold or "", 200),
        "answer": clean(prediction.answer, 200) if prediction.answer is not None else _NO_ANSWER,
        "reply": clean(chosen or (prediction.samples[0] if prediction.samples else ""), limits.text),
        "teacher": clean(data.teacher_rationales.get(prediction.example_id, ""), limits.text),
        "votes": ", ".join(f"{clean(answer, 40)} ×{times}" for answer, times in tally) if subject.samples > 1 else "",
        "others": [
            {
                "method": clean(f"{a.method}, {describe_decoding(a.decoding, a.samples)}", 80),
                "answer": clean(p.answer, 80) if p.answer is not None else _NO_ANSWER,
                "correct": p.correct,
            }
            for a, p in others[:12]
            if p is not None
        ],
    }


def _question(example: Example | None) -> str:
    if example is None:
        return "(the question is not at hand)"
    choices = "".join(f"\n({letter}) {text}" for letter, text in (example.choices or {}).items())
    return example.question + choices


def _votes(answers: MethodAnswers, examples: Mapping[str, Example]) -> Mapping[str, Any]:
    shares = [(_agreement(p, examples.get(p.example_id)), p.correct) for p in answers.predictions]
    n = answers.samples
    # A column for every count where they fit, else six ranges.
    edges = [i / n for i in range(n + 1)] if n <= 10 else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    labels = [f"{i}" for i in range(n + 1)] if n <= 10 else ["none", "≤20%", "≤40%", "≤60%", "≤80%", "≤100%"]
    bins, right = [0] * len(edges), [0] * len(edges)
    for share, correct in shares:
        place = next((i for i, edge in enumerate(edges) if share <= edge + 1e-9), len(edges) - 1)
        bins[place] += 1
        right[place] += correct
    agreed = [correct for share, correct in shares if share > 0.5]
    split = [correct for share, correct in shares if share <= 0.5]
    reachable = sum(p.correct or _among(p, examples.get(p.example_id)) for p in answers.predictions)
    return {
        "method": clean(answers.method, 80),
        "samples": n,
        "plot": plots.bars(bins, labels, f"Questions by agreement among {n} samples of {answers.method}", dark=right),
        "agreed": len(agreed),
        "agreed_right": percent(sum(agreed) / len(agreed), 0) if agreed else "",
        "split": len(split),
        "split_right": percent(sum(split) / len(split), 0) if split else "",
        "reachable": percent(reachable / len(shares)),
        "accuracy": percent(sum(c for _, c in shares) / len(shares)),
    }


def _agreement(prediction: Prediction, example: Example | None) -> float:
    """The share of all samples that gave the answer that won."""
    if prediction.answer is None:
        return 0.0
    kind, choices = (example.answer_type, example.choices) if example else ("text", None)
    same = sum(answers_equal(a, prediction.answer, kind, choices) for a in prediction.answers)
    return same / len(prediction.answers)


def _among(prediction: Prediction, example: Example | None) -> bool:
    """Whether any sample was right."""
    if example is None or prediction.gold is None:
        return False
    answers = {a for a in prediction.answers if a is not None}
    return any(answers_equal(a, prediction.gold, example.answer_type, example.choices) for a in answers)
