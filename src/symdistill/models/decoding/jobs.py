"""What is asked of a decoder and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symdistill.records import GATE_TOKENS

_STOP_TAIL = 16
"""Tokens beyond a stop string's own length that are looked at for it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to draw: prompt ids, a limit of new tokens, and how each token is chosen.

    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing off. Text from the first of `stop` on is left out.
    `top_two_at` asks for the two largest probabilities of every step at that temperature; 0: not wanted. `go_on_above`
    ends a reply that is not so sure of its first tokens (see `records.Sampling`).
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top_two_at: float = 0.0
    go_on_above: float = 0.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one job brought. `tokens` and `logprobs` (natural, at temperature 1) include the end token.

    `ended` tells a reply that came to its end from one that met its limit, `unsure` one that `go_on_above` ended;
    `cached` of the prompt's tokens were computed for another job already; `seconds` is this job's share of the time it
    was decoded in. `top_two` holds the two largest probabilities of each step, largest first, where they were asked
    for.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    ended: bool
    cached: int = 0
    seconds: float = 0.0
    top_two: tuple[tuple[float, float], ...] | None = None
    unsure: bool = False


class Row:
    """One job while it is decoded."""

    def __init__(self, job: Job, tokenizer: Any) -> None:
        self.job = job
        self.cached = 0
        self.seconds = 0.0
        self.tokens: list[int] = []
        self._tokenizer = tokenizer
        self._logprobs: list[float] = []
        self._top_two: list[tuple[float, float]] = []
        self._ended = False
        self._end_token = False
        self._unsure = False
        self._tail = max((len(s.encode()) for s in job.stop), default=0) + _STOP_TAIL
        self._numbers: npt.NDArray[np.float32] | None = None

    def number(self) -> float:
        """The random number, in [0, 1), that the next token is drawn with: the job's seed and the step decide it."""
        if self._numbers is None:
            generator = np.random.Generator(np.random.Philox(self.job.seed))
            self._numbers = generator.random(self.job.max_tokens, dtype=np.float32)
        return float(self._numbers[len(self.tokens)])

    def add(
        self, token: int, logprob: float, end_ids: frozenset[int], top_two: tuple[float, float] | None = None
    ) -> bool:
        """Take a token; say whether the reply is over."""
        self.tokens.append(token)
        self._logprobs.append(logprob)
        if top_two is not None:
            self._top_two.append(top_two)
        self._end_token = token in end_ids
        self._ended = self._end_token or self._meets_stop()
        over = self._ended or len(self.tokens) >= self.job.max_tokens
        judged = len(self.tokens) == GATE_TOKENS or (over and len(self.tokens) < GATE_TOKENS)
        if judged and self.job.go_on_above and self._top_two:
            margins = [100 * (first - second) for first, second in self._top_two]
            self._unsure = not sum(margins) / len(margins) > self.job.go_on_above
        return over or self._unsure

    def result(self) -> Decoded:
        text = self._text(self.tokens[:-1] if self._end_token else self.tokens)
        cuts = [at for at in (text.find(s) for s in self.job.stop) if at >= 0]
        return Decoded(
            tokens=tuple(self.tokens),
            logprobs=tuple(self._logprobs),
            text=text[: min(cuts)] if cuts else text,
            ended=self._ended,
            cached=self.cached,
            seconds=self.seconds,
            top_two=tuple(self._top_two) if self.job.top_two_at else None,
            unsure=self._unsure,
        )

    def _meets_stop(self) -> bool:
        if not self.job.stop:
            return False
        tail = self._text(self.tokens[-self._tail :])
        return any(s in tail for s in self.job.stop)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))
