"""Predictions and metrics as they stand in a run directory, and what a comparison needs of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symdistill.content import content_key
from symdistill.errors import DataError
from symdistill.evaluation.metrics import MetricRow, describe_decoding, row_from_dict
from symdistill.records import Example, Prediction


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """One method, decoded in one way, in one run: its verdict on every question.

    `verdicts` and `golds` map a question's id to whether it was answered right and to its gold answer; `tasks` and
    `contrasts` to its task and, of a minimal edit of another question, to that one, where this is known; `asked` to the
    content key of its words, which older runs do not tell. `row` is the method's line in `metrics.json`, where there is
    one.
    """

    run: str
    method: str
    decoding: str
    samples: int
    verdicts: Mapping[str, bool]
    golds: Mapping[str, str | None] = field(default_factory=dict)
    row: MetricRow | None = None
    tasks: Mapping[str, str] = field(default_factory=dict)
    contrasts: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.method}, {describe_decoding(self.decoding, self.samples)}"


def evidence(
    predictions: Sequence[Prediction], row: MetricRow, run: str = "", questions: Iterable[Example] = ()
) -> RunEvidence:
    """What `predictions`, all of one method and decoding, say; `row` is their summary, `questions` what was asked."""
    asked = {q.id: q for q in questions if q.answer is not None}
    return RunEvidence(
        run=run,
        method=row.method,
        decoding=row.decoding,
        samples=row.samples,
        verdicts={p.example_id: p.correct for p in predictions},
        golds={p.example_id: p.gold for p in predictions},
        row=row,
        tasks={i: q.task for i, q in asked.items()},
        contrasts={i: q.contrast_of for i, q in asked.items() if q.contrast_of is not None},
        asked={i: words_key(q) for i, q in asked.items()},
    )


def words_key(question: Example) -> str:
    """The content key of what is asked: the question with its options, whatever its id."""
    return content_key("q4", [question.question, dict(question.choices or {})])


def prediction_dict(prediction: Prediction, decoding: str, question: Example) -> dict[str, Any]:
    """A prediction as a line of `predictions.jsonl`."""
    return {
        "id": prediction.example_id,
        "task": question.task,
        "asked": words_key(question),
        **({"contrast_of": question.contrast_of} if question.contrast_of is not None else {}),
        "method": prediction.method,
        "decoding": decoding,
        "gold": prediction.gold,
        "samples": list(prediction.samples),
        "answers": list(prediction.answers),
        "answer": prediction.answer,
        "correct": prediction.correct,
        "prompt_tokens": prediction.prompt_tokens,
        "cached_prompt_tokens": prediction.cached_prompt_tokens,
        "generated_tokens": prediction.generated_tokens,
        "finish_reasons": list(prediction.finish_reasons),
    }


def read_run(directory: Path) -> list[RunEvidence]:
    """The evidence of a finished run, in the order of its predictions.

    Predictions without a `decoding` count as a vote where a question has several samples, else as greedy.

    Raises:
        DataError: `predictions.jsonl` or `metrics.json` is missing, unreadable, or says something twice.
    """
    predictions = directory / "predictions.jsonl"
    rows = _read_metrics(directory / "metrics.json")
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for number, values in _read_lines(predictions):
        where = f"{predictions}, line {number}"
        for name, kind in (("id", str), ("method", str), ("correct", bool), ("samples", list)):
            if not isinstance(values.get(name), kind):
                raise DataError(f"{where} has no proper `{name}`.", _EVALUATE_AGAIN)
        decoding = str(values.get("decoding") or ("vote" if len(values["samples"]) > 1 else "greedy"))
        groups.setdefault((values["method"], decoding), []).append(values)
    if not groups:
        raise DataError(f"{predictions} holds no prediction.", _EVALUATE_AGAIN)
    return [_group(directory, method, decoding, lines, rows) for (method, decoding), lines in groups.items()]


def _group(
    directory: Path, method: str, decoding: str, lines: Sequence[Mapping[str, Any]], rows: Iterable[MetricRow]
) -> RunEvidence:
    verdicts = {line["id"]: line["correct"] for line in lines}
    if len(verdicts) != len(lines):
        raise DataError(
            f"{directory / 'predictions.jsonl'} answers a question twice for {method}, {decoding}.", _EVALUATE_AGAIN
        )
    row = next((r for r in rows if (r.method, r.decoding) == (method, decoding)), None)
    return RunEvidence(
        run=str(directory),
        method=method,
        decoding=decoding,
        samples=row.samples if row else max(len(line["samples"]) for line in lines),
        verdicts=verdicts,
        golds={line["id"]: line.get("gold") for line in lines},
        row=row,
        tasks={line["id"]: line["task"] for line in lines if isinstance(line.get("task"), str)},
        contrasts={line["id"]: line["contrast_of"] for line in lines if isinstance(line.get("contrast_of"), str)},
        asked={line["id"]: line["asked"] for line in lines if isinstance(line.get("asked"), str)},
    )


_EVALUATE_AGAIN = "Run `symdistill evaluate` on it again."


def _read_metrics(path: Path) -> list[MetricRow]:
    """The rows about all questions; rows about one task or a contrast set follow from the predictions."""
    try:
        values = json.loads(_read(path))
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}).", _EVALUATE_AGAIN) from None
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise DataError(f"{path} is not a list of rows.", _EVALUATE_AGAIN)
    rows = [row_from_dict(v, f"{path}, row {i}") for i, v in enumerate(values, 1)]
    return [r for r in rows if r.task is None and r.part is None]


def _read_lines(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    # Not splitlines(): a reply may hold U+2028, which JSON leaves as it is.
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error}).", _EVALUATE_AGAIN) from None
        if not isinstance(values, dict):
            raise DataError(f"{path}, line {number} is not an object.", _EVALUATE_AGAIN)
        yield number, values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(
            f"There is no {path.name} in {path.parent}.", "Name a run directory whose evaluation is finished."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read {path}: {error}.", _EVALUATE_AGAIN) from error
