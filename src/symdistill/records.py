"""The records every layer speaks: frozen dataclasses without behaviour.

A question travels as `Example`; a call to a model as `Request` and comes back as `Completion` or, when it brought no
answer, is written down as `Failure`. Curation turns completions into `Rationale`s, methods turn those into
`TrainingExample`s, evaluation writes one `Prediction` a question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from symdistill.errors import FailureKind

AnswerType = Literal["choice", "number", "label", "text"]
FinishReason = Literal["stop", "length", "unsure"]
Role = Literal["system", "user", "assistant"]

GATE_TOKENS = 16
"""Tokens of a reply by which a student's confidence is judged (NesyCD, arXiv 2409.13203)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One question of a task.

    `answer` is None where the row carries no label. `choices` maps a letter to its text, in order. `rationales` are
    replies the row brought along (used by `teacher.model: dataset`). `contrast_of` names the example this one is a
    minimal edit of.
    """

    id: str
    question: str
    answer: str | None = None
    answer_type: AnswerType = "text"
    choices: Mapping[str, str] | None = None
    task: str = "task"
    split: str | None = None
    instruction: str | None = None
    rationales: tuple[str, ...] = ()
    contrast_of: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn. All of it is part of a request's content key.

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 switch the cuts off. `seed` is the run's seed; the seed a
    backend uses is derived from the request's key, so that no two samples share one. `logprobs` asks for the
    log-probability of every generated token, `top_two_at` for the two largest probabilities of every step at that
    temperature (0: not wanted); only local students give them. With them, `go_on_above` above 0 ends a reply as
    "unsure" after `GATE_TOKENS` tokens, or at its end if that comes first, unless 100·|p1 - p2| of those tokens is
    larger than it in the mean. A local student that is told `then` does not end where its reply does: it reads that
    text and goes on from there, to the second end of the reply; all of it is `max_tokens` long at most.
    """

    temperature: float = 0.0
    max_tokens: int = 256
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    top_two_at: float = 0.0
    go_on_above: float = 0.0
    then: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One reply wanted from one model. `key` (see `content.request`) addresses it in every store, for good.

    `example_id` says what the request is about and is not part of the key. Build it with `content.request`.
    """

    key: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    sample_index: int = 0
    example_id: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's reply to the request with the same key.

    `text` is the reply without its reasoning block; `reasoning` is that block, from the server's own field or from a
    leading <think> block, None when there was none. `finish_reason` is "length" when the reply was cut (an unclosed
    reasoning block counts as cut), "unsure" where `Sampling.go_on_above` ended it. Tokens are the model's own;
    `cached_prompt_tokens` of `prompt_tokens` were not computed again. `token_logprobs` holds natural logarithms, one a
    generated token. `top_two` holds the two largest probabilities of each step where `Sampling.top_two_at` asked for
    them. `seconds` is its share of the wall time of the calls under way.

    Where `Sampling.then` was asked for, all this is about the second stretch, whose prompt holds the first and that
    text, and `first` is the first; but `seconds` is about both, and "length" says that either was cut.
    """

    key: str
    text: str
    reasoning: str | None = None
    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0
    token_logprobs: tuple[float, ...] | None = None
    cost_usd: float = 0.0
    seconds: float = 0.0
    top_two: tuple[tuple[float, float], ...] | None = None
    first: Completion | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that brought no answer, and why. Written down, never replayed as an answer.

    `cost_usd` and `tokens` are what all its attempts may have been charged for.
    """

    key: str
    kind: FailureKind
    message: str
    attempts: int = 1
    cost_usd: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Rationale:
    """One teacher reply about one example, after parsing.

    `text` is what the student is to learn, `answer` the parsed answer (None: nothing parsable), `correct` the verdict
    against the gold answer (None: no gold). `token_logprobs` as in `Completion`.
    """

    example_id: str
    task: str
    question: str
    text: str
    answer: str | None
    correct: bool | None
    sample_index: int
    model: str
    key: str
    truncated: bool = False
    token_logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A rationale curation did not keep. `reason` is one of curation's names, `detail` says more."""

    rationale: Rationale
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """What the student is trained on: given `prompt`, produce `completion` (end of turn included by the collator).

    The loss is the token mean inside each `group`, weighted by `weight`; groups are then summed with the method's
    group weights. `given` are the pieces the reply begins with, read and not learned, each tokenised by itself.
    `phase` counts the steps of a curriculum: the epochs are divided evenly among them, and an epoch trains on the
    examples of its phase alone.
    """

    example_id: str
    prompt: tuple[Message, ...]
    completion: str
    weight: float = 1.0
    group: str = "default"
    given: tuple[str, ...] = ()
    phase: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a method answered to one question, raw samples included."""

    example_id: str
    method: str
    gold: str | None
    samples: tuple[str, ...]
    answers: tuple[str | None, ...]
    answer: str | None
    correct: bool
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    generated_tokens: int = 0
    finish_reasons: tuple[str, ...] = field(default=())
