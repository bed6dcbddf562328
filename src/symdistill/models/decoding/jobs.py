"""What is asked of a decoder and what comes back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from symdistill.models.stops import Stops
from symdistill.records import GATE_TOKENS

ANSWER_TOKENS = 32
"""Of a reply in two stretches so many tokens, or a quarter of them all if that is less, are left to the second."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to draw: prompt ids, a limit of new tokens, and how each token is chosen.

    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing off. Text from the first of `stop` on is left out.
    `top_two_at` asks for the two largest probabilities of every step at that temperature; 0: not wanted. `go_on_above`
    ends a reply that is not so sure of its first tokens (see `records.Sampling`).

    With `then`, the reply goes on after its end: these ids are read in the place of the token that ended it, and what
    follows is a second stretch, up to the next end. Both draw from `max_tokens`, and a first stretch that leaves too
    little to the second (`ANSWER_TOKENS`) is cut there. The end token is not read, nor is the last of a stop string.
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
    then: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.then and self.max_tokens < 2:
            raise ValueError("a reply in two stretches takes two tokens at least")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one job brought. `tokens` and `logprobs` (natural, at temperature 1) include the end token.

    `ended` tells a reply that came to its end from one that met its limit, `unsure` one that `go_on_above` ended;
    `cached` of the prompt's tokens were computed for another job already; `seconds` is this job's share of the time it
    was decoded in. `top_two` holds the two largest probabilities of each step, largest first, where they were asked
    for.

    Of a job that was told `then`, all this is about the second stretch, but for `seconds`, which is about both; `first`
    is the first, and `read` counts the tokens between the prompt and the second: they belong to its prompt, `cached`
    among them where they were computed once.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    ended: bool
    cached: int = 0
    seconds: float = 0.0
    top_two: tuple[tuple[float, float], ...] | None = None
    unsure: bool = False
    first: Decoded | None = None
    read: int = 0


class _Stretch:
    """The tokens drawn up to an end or a limit, with what is known of each."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.top_two: list[tuple[float, float]] = []
        self.ended = False
        self.end_token = False


class Row:
    """One job while it is decoded. `fed` is what follows the prompt; its last token is the next that the model reads.

    `cached` of the prompt's tokens were there before. `reads_again`: the second stretch began with a new pass over all
    before it. `stops` are the job's own.
    """

    def __init__(self, job: Job, stops: Stops) -> None:
        self.job = job
        self.cached = 0
        self.seconds = 0.0
        self.fed: list[int] = []
        self.reads_again = False
        self._stops = stops
        self._first: _Stretch | None = None
        self._stretch = _Stretch()
        self._given: deque[int] = deque()
        self._unsure = False
        self._numbers: npt.NDArray[np.float32] | None = None

    @property
    def position(self) -> int:
        """Where the next token that the model reads stands."""
        return len(self.job.prompt) + len(self.fed) - 1

    @property
    def turned(self) -> bool:
        """Whether the second stretch has begun."""
        return self._first is not None

    @property
    def reading(self) -> bool:
        """Whether the next tokens are given, and what would be drawn is not wanted."""
        return bool(self._given)

    @property
    def room(self) -> int:
        """Tokens that this stretch may have, those drawn already included."""
        if self._first is not None:
            return self.job.max_tokens - len(self._first.tokens)
        kept = max(1, min(ANSWER_TOKENS, self.job.max_tokens // 4)) if self.job.then else 0
        return self.job.max_tokens - kept

    def number(self) -> float:
        """The random number, in [0, 1), that the next token is drawn with: the job's seed and the step decide it."""
        if self._numbers is None:
            generator = np.random.Generator(np.random.Philox(self.job.seed))
            self._numbers = generator.random(self.job.max_tokens, dtype=np.float32)
        drawn = len(self._first.tokens) if self._first is not None else 0
        return float(self._numbers[drawn + len(self._stretch.tokens)])

    def read(self) -> None:
        """Take the next token that is given."""
        self.fed.append(self._given.popleft())

    def add(
        self, token: int, logprob: float, end_ids: frozenset[int], top_two: tuple[float, float] | None = None
    ) -> bool:
        """Take a token that was drawn; say whether the reply is over."""
        stretch = self._stretch
        self.fed.append(token)
        stretch.tokens.append(token)
        stretch.logprobs.append(logprob)
        if top_two is not None:
            stretch.top_two.append(top_two)
        stretch.end_token = token in end_ids
        stretch.ended = stretch.end_token or self._stops.met(stretch.tokens)
        over = stretch.ended or len(stretch.tokens) >= self.room
        if self._first is not None:
            return over
        judged = len(stretch.tokens) == GATE_TOKENS or (over and len(stretch.tokens) < GATE_TOKENS)
        if judged and self.job.go_on_above and stretch.top_two:
            margins = [100 * (first - second) for first, second in stretch.top_two]
            self._unsure = not sum(margins) / len(margins) > self.job.go_on_above
        if over and self.job.then and not self._unsure:
            self._go_on()
            return False
        return over or self._unsure

    def result(self) -> Decoded:
        found = self._decoded(self._stretch)
        if self._first is None:
            return replace(found, cached=self.cached, seconds=self.seconds, unsure=self._unsure)
        kept = len(self._first.tokens) - self._first.ended
        return replace(
            found,
            cached=0 if self.reads_again else len(self.job.prompt) + kept,
            seconds=self.seconds,
            first=replace(self._decoded(self._first), cached=self.cached),
            read=kept + len(self.job.then),
        )

    def _go_on(self) -> None:
        """The second stretch begins. The token that ended the first is not read; one that met its limit is."""
        self._first, self._stretch = self._stretch, _Stretch()
        self._given.extend(self.job.then)
        if self._first.ended:
            self.fed.pop()
            self.read()

    def _decoded(self, stretch: _Stretch) -> Decoded:
        text = self._stops.decode(stretch.tokens[:-1] if stretch.end_token else stretch.tokens)
        return Decoded(
            tokens=tuple(stretch.tokens),
            logprobs=tuple(stretch.logprobs),
            text=self._stops.cut(text),
            ended=stretch.ended,
            top_two=tuple(stretch.top_two) if self.job.top_two_at else None,
        )
