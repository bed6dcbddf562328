"""One row of results, and how it stands in `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from symdistill.errors import DataError

TEACHER = "teacher"
"""The method name of the row about the teacher's own answers: a line to reach, not a contender."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """How one method, decoded in one way, did on one set of questions.

    The fields up to `seed` are what other programs rely on.

    accuracy, ci_low, ci_high: shares between 0 and 1; Wilson interval at `confidence`.
    parse_rate: share of the replies in which an answer was found.
    decoding, samples: "greedy" with 1, "vote" (majority of the parsed answers) with N, or "decided" with 1, where a
        tree or rules decide over answers of the teacher, whose tokens these are.
    prompt_tokens, generated_tokens: means per question, summed over its samples, as the model counts them.
        `cached_prompt_tokens` of the prompt tokens were not computed again (a prompt shared by N samples).
    prompt_flops_paper, flops: means per question, see `evaluation.flops`; None where the model is remote. `flops` hold
        `search_flops`, those of a reranker that chose what was read; None where there is none.
    seconds: wall time for all n questions, finding passages included; None where it was not measured for this part
        alone.
    task: set on a row about one task only.
    part: set on a row about contrast sets: "originals", "edited", or "pairs" (both of a pair right).
    engine: what computed the replies of a local model, and in which numbers: "torch bfloat16", "ctranslate2 int8".
    truncated_rate: share of the replies cut at the token limit.
    cost_usd: dollars for all n questions.
    unlabelled: questions left out because they carry no answer to check against.
    unanswered: questions to which no reply came at all; they count as wrong.
    retrieval_rate: share of the questions answered with knowledge or passages; None for a method that looks up none.
    knowledge_base: the path of the base that was tried with the student, where its method has another one or none.
    shortened: questions before which fewer passages stood than were found, since the student reads no longer prompt.
    training_seed: the seed that the method's student was trained with; None where none was. `seed` is the run's.
    parameters: the weights of the model that answered, where they are known.
    teacher_share, teacher_share_low, teacher_share_high: the accuracy over that of the teacher on the same questions,
        with its paired bootstrap interval, where the teacher was asked them too.
    equations: equations in the replies that could be recomputed, all counted together (`curation.steps`); None where
        there are none. step_score: the share of them that hold.
    """

    method: str
    split: str
    n: int
    accuracy: float
    ci_low: float
    ci_high: float
    parse_rate: float
    decoding: str
    samples: int
    prompt_tokens: float
    generated_tokens: float
    prompt_flops_paper: float | None
    flops: float | None
    seconds: float | None
    seed: int
    confidence: float = 0.95
    task: str | None = None
    part: str | None = None
    model: str | None = None
    engine: str | None = None
    truncated_rate: float | None = None
    cached_prompt_tokens: float | None = None
    cost_usd: float | None = None
    unlabelled: int | None = None
    unanswered: int | None = None
    retrieval_rate: float | None = None
    training_seed: int | None = None
    parameters: float | None = None
    teacher_share: float | None = None
    teacher_share_low: float | None = None
    teacher_share_high: float | None = None
    equations: int | None = None
    step_score: float | None = None
    search_flops: float | None = None
    shortened: int | None = None
    knowledge_base: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The row for `metrics.json`; an optional field that does not apply is left out."""
        required = {f.name for f in fields(self) if f.default is MISSING}
        return {k: v for k, v in asdict(self).items() if k in required or v is not None}


_TEXT = {"method", "split", "decoding", "task", "part", "model", "engine", "knowledge_base"}
_COUNT = {"n", "samples", "seed", "training_seed", "unlabelled", "unanswered", "equations", "shortened"}
_MAYBE_NONE = {"prompt_flops_paper", "flops", "seconds"}


def row_from_dict(values: Mapping[str, Any], where: str) -> MetricRow:
    """The row `as_dict` wrote; keys this version does not know are left aside. `where` names the place for errors.

    Raises:
        DataError: a key is missing or holds a value of another type.
    """
    known: dict[str, Any] = {}
    for field in fields(MetricRow):
        name, required = field.name, field.default is MISSING
        if name not in values:
            if required:
                raise DataError(f"{where} has no `{name}`.", "Evaluate the run again with this version.")
            continue
        value = values[name]
        if value is None and (not required or name in _MAYBE_NONE):
            known[name] = None if required or field.default is None else field.default
            continue
        wanted: tuple[type, ...] = (str,) if name in _TEXT else (int,) if name in _COUNT else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise DataError(f"{where}: `{name}` is {value!r}.", "Evaluate the run again to write it anew.")
        known[name] = value
    return MetricRow(**known)


def decoding_name(row: MetricRow) -> str:
    """How the answers were drawn, in words: "greedy", "vote of 8"."""
    return describe_decoding(row.decoding, row.samples)


def describe_decoding(decoding: str, samples: int) -> str:
    """ "vote of 8" for a vote, else the name itself."""
    return f"{decoding} of {samples}" if decoding == "vote" else decoding
